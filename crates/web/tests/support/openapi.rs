//! Reading an OpenAPI document: its operations, the requests that its examples make, and what differs between a value and
//! its schema. For the tests of every program that has such a document.

use serde_json::{Map, Value, json};

pub fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object"))
}

/// Every operation: its path, its method, and what the document says about it.
pub fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = object(&document["paths"]).iter();
    paths.flat_map(|(path, methods)| object(methods).iter().map(move |(name, op)| (&**path, &**name, op))).collect()
}

/// What differs between a value and its schema, of which the keywords are supported that the
/// document uses.
pub fn differences(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in object(schema) {
        let fits = match keyword.as_str() {
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let schema = document.pointer(target).unwrap_or_else(|| panic!("{target} leads nowhere"));
                found.extend(differences(document, schema, value, place));
                true
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                types.iter().any(|name| is_of_type(value, name.as_str().unwrap()))
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "oneOf" => {
                let fitting = |schema: &&Value| differences(document, schema, value, place).is_empty();
                rule.as_array().unwrap().iter().filter(fitting).count() == 1
            }
            "required" => value
                .as_object()
                .is_none_or(|map| rule.as_array().unwrap().iter().all(|name| map.contains_key(name.as_str().unwrap()))),
            "properties" => {
                for (name, schema) in object(rule) {
                    if let Some(value) = value.get(name) {
                        found.extend(differences(document, schema, value, &format!("{place}/{name}")));
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &String| schema.get("properties").is_some_and(|known| known.get(name).is_some());
                for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name)) {
                    match rule {
                        Value::Bool(false) => found.push(format!("{place}/{name} is not in the schema")),
                        schema => found.extend(differences(document, schema, value, &format!("{place}/{name}"))),
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(differences(document, rule, item, &format!("{place}/{index}")));
                }
                true
            }
            // Texts for people, and what the server checks by itself.
            "description" | "default" | "pattern" | "minLength" | "maxLength" | "maximum" => true,
            other => panic!("the document uses {other}, which this test does not know"),
        };
        if !fits {
            found.push(format!("{place}: {value} does not fit {keyword} {rule}"));
        }
    }
    found
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

/// The request that the examples of an operation make.
pub fn request(path: &str, method: &str, operation: &Value) -> String {
    let (mut target, mut query, mut headers) = (path.to_owned(), Vec::new(), String::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let example = &parameter["example"];
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        match parameter["in"].as_str().unwrap() {
            "path" => target = target.replace(&format!("{{{name}}}"), &example),
            "query" => query.push(format!("{name}={example}")),
            "header" => headers += &format!("{name}: {example}\r\n"),
            other => panic!("a parameter in {other}"),
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let body =
        operation["requestBody"].as_object().map(|body| body["content"]["application/json"]["example"].to_string());
    if let Some(body) = &body {
        headers += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    let method = method.to_uppercase();
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{}", body.unwrap_or_default())
}

#[test]
fn the_check_of_shapes_sees_what_is_wrong() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false});
    for wrong in [json!({}), json!({"n": 1.5}), json!({"n": 1, "m": 2}), json!([])] {
        assert!(!differences(&Value::Null, &schema, &wrong, "").is_empty(), "{wrong}");
    }
    assert!(differences(&Value::Null, &schema, &json!({"n": 1}), "").is_empty());
}
