//! What a log says, folded in one straight line: what the projection is compared with.
//!
//! It is written to be read rather than to be fast, and has nothing in common with the production
//! fold but the type of an event and the names in the graph: it works on the events' JSON, event by
//! event, and keeps the final graph itself. No parts, no differences, no lanes.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Edge, EntityId, Kind, Node, Properties, Snapshot, Value};
use projection::event::{Content, Event};
use serde_json::Value as Json;

/// What a log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The graph, without the marks. Its [`Display`](std::fmt::Display) is the canonical dump, one line an element.
    pub graph: Snapshot,
    /// How far each stream is folded, by its resource: all before the first hole and the first poison.
    pub marks: BTreeMap<EntityId, u64>,
    /// The poison of each stream that has one.
    pub poison: BTreeMap<EntityId, u64>,
    /// The resources that are linked to and were never created.
    pub stubs: BTreeSet<EntityId>,
}

/// Folds a log, its events in whatever order, and however often.
pub fn fold(log: &[Event]) -> Reference {
    let mut streams: BTreeMap<EntityId, BTreeMap<u64, &Event>> = BTreeMap::new();
    for event in log {
        streams.entry(event.position.resource.clone()).or_default().insert(event.position.sequence, event);
    }
    let mut world = World::default();
    let mut reference = Reference::default();
    for (resource, events) in streams {
        let mut mark = 0;
        for (sequence, event) in events {
            if sequence != mark + 1 {
                break;
            }
            if !world.apply(event) {
                reference.poison.insert(resource.clone(), sequence);
                break;
            }
            mark = sequence;
        }
        reference.marks.insert(resource, mark);
    }
    world.finish(&mut reference);
    reference
}

/// The graph while it grows.
#[derive(Default)]
struct World {
    resources: BTreeMap<String, Properties>,
    /// By resource and name: motivation, selector, items.
    annotations: BTreeMap<(String, String), (Json, Json, Vec<Json>)>,
    tombstones: BTreeMap<(String, String), u64>,
    words: BTreeMap<String, Properties>,
}

impl World {
    /// Does what the event says; false if nobody can say what that is.
    fn apply(&mut self, event: &Event) -> bool {
        if !matches!(event.content, Content::Known(_)) {
            return false;
        }
        let json = serde_json::to_value(event).expect("an event is plain data");
        let kind = json["type"].as_str().expect("a type");
        let payload = &json["payload"];
        let resource = event.position.resource.to_string();
        let is_system = resource == "__system__";
        let is_created = self.resources.contains_key(&resource);

        match kind {
            "entitytype.added" | "tagschema.added" => {
                if is_system {
                    self.describe(kind, payload);
                }
                return is_system;
            }
            "resource.created" | "resource.cloned" => {
                if !is_system {
                    self.create(&resource, kind, &json);
                }
                return !is_system;
            }
            "resource.archived"
            | "resource.unarchived"
            | "entitytag.added"
            | "entitytag.removed"
            | "annotation.added"
            | "annotation.removed"
            | "annotation.body.updated" => {
                if is_system || !is_created {
                    return false;
                }
            }
            _ => return true,
        }

        let facets = self.resources.get_mut(&resource).expect("it is created");
        match kind {
            "resource.archived" => {
                facets.insert("archived".into(), Value::Bool(true));
            }
            "resource.unarchived" => {
                facets.insert("archived".into(), Value::Bool(false));
            }
            "entitytag.added" | "entitytag.removed" => {
                let Some(Value::List(tags)) = facets.get("entityTypes") else {
                    unreachable!("every resource has tags")
                };
                let mut tags: BTreeSet<Value> = tags.iter().cloned().collect();
                let tag = Value::from(payload["entityType"].as_str().expect("a tag"));
                if kind == "entitytag.added" {
                    tags.insert(tag)
                } else {
                    tags.remove(&tag)
                };
                facets.insert("entityTypes".into(), Value::List(tags.into_iter().collect()));
            }
            "annotation.added" => {
                let annotation = &payload["annotation"];
                if annotation["target"]["source"] != resource.as_str() {
                    return false;
                }
                let key = (resource, text(&annotation["id"]));
                let mut body = Vec::new();
                for item in annotation["body"].as_array().into_iter().flatten() {
                    if !body.contains(item) {
                        body.push(item.clone());
                    }
                }
                self.tombstones.remove(&key);
                let selector = annotation["target"]["selector"].clone();
                self.annotations.insert(key, (annotation["motivation"].clone(), selector, body));
            }
            "annotation.removed" => {
                let key = (resource, text(&payload["annotationId"]));
                self.annotations.remove(&key);
                self.tombstones.entry(key).or_insert(event.position.sequence);
            }
            "annotation.body.updated" => {
                let key = (resource, text(&payload["annotationId"]));
                let Some((_, _, body)) = self.annotations.get_mut(&key) else {
                    return self.tombstones.contains_key(&key);
                };
                for operation in payload["operations"].as_array().expect("operations") {
                    operate(body, operation);
                }
            }
            _ => unreachable!("{kind} is dealt with above"),
        }
        true
    }

    fn create(&mut self, resource: &str, kind: &str, json: &Json) {
        let payload = &json["payload"];
        let mut facets = Properties::new();
        facets.insert("stub".into(), Value::Bool(false));
        facets.insert("archived".into(), Value::Bool(false));
        facets.insert("name".into(), Value::Text(text(&payload["name"])));
        facets.insert("format".into(), Value::Text(text(&payload["format"])));
        facets.insert("created".into(), Value::Text(text(&json["timestamp"])));
        if let Some(language) = payload["language"].as_str() {
            facets.insert("language".into(), Value::from(language));
        }
        if kind == "resource.cloned" {
            facets.insert("parent".into(), Value::Text(text(&payload["parentResourceId"])));
        }
        let tags: BTreeSet<Value> =
            payload["entityTypes"].as_array().into_iter().flatten().map(|tag| Value::Text(text(tag))).collect();
        facets.insert("entityTypes".into(), Value::List(tags.into_iter().collect()));
        self.resources.insert(resource.to_owned(), facets);
    }

    fn describe(&mut self, kind: &str, payload: &Json) {
        let mut word = Properties::new();
        let (kind, name) = if kind == "entitytype.added" {
            ("entity_type", text(&payload["entityType"]))
        } else {
            let mut schema = payload["schema"].as_object().expect("a schema").clone();
            let id = schema.remove("id").expect("its id");
            word.insert("schema".into(), Value::Text(Json::Object(schema).to_string()));
            ("tag_schema", text(&id))
        };
        word.insert("kind".into(), Value::from(kind));
        word.insert("name".into(), Value::from(name.as_str()));
        self.words.insert(format!("{kind}:{name}"), word);
    }

    /// Nodes and edges for everything, and a stub for whatever is linked to and not there.
    fn finish(self, reference: &mut Reference) {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        let mut linked = BTreeSet::new();
        for ((resource, name), (motivation, selector, body)) in self.annotations {
            let id = format!("{resource}#{name}");
            let mut properties = Properties::new();
            properties.insert("resource".into(), Value::from(resource.as_str()));
            properties.insert("annotation".into(), Value::from(name));
            properties.insert("motivation".into(), Value::Text(text(&motivation)));
            if !selector.is_null() {
                properties.insert("selector".into(), Value::Text(selector.to_string()));
            }
            let targets: BTreeSet<String> = body
                .iter()
                .filter(|item| item["type"] == "SpecificResource")
                .map(|item| text(&item["source"]))
                .collect();
            let body = body.iter().map(|item| Value::Text(item.to_string())).collect();
            properties.insert("body".into(), Value::List(body));
            nodes.push(node(&id, "Annotation", properties));
            edges.push(edge(&id, "BELONGS_TO", &resource));
            for target in targets {
                edges.push(edge(&id, "REFERENCES", &target));
                linked.insert(target);
            }
        }
        for ((resource, name), sequence) in self.tombstones {
            let id = format!("{resource}#{name}");
            let mut properties = Properties::new();
            properties.insert("resource".into(), Value::from(resource.as_str()));
            properties.insert("annotation".into(), Value::from(name));
            properties.insert("seq".into(), Value::Int(sequence.try_into().expect("a small number")));
            nodes.push(node(&id, "Tombstone", properties));
            edges.push(edge(&id, "BELONGS_TO", &resource));
        }
        for (id, word) in self.words {
            nodes.push(node(&id, "Vocabulary", word));
        }
        for target in linked {
            if !self.resources.contains_key(&target) {
                nodes.push(node(&target, "Resource", Properties::from([("stub".into(), Value::Bool(true))])));
                reference.stubs.insert(EntityId::new(target).expect("links name resources"));
            }
        }
        for (id, facets) in self.resources {
            nodes.push(node(&id, "Resource", facets));
        }
        reference.graph = Snapshot::new(nodes, edges);
    }
}

fn operate(body: &mut Vec<Json>, operation: &Json) {
    match operation["op"].as_str() {
        Some("add") => {
            if !body.contains(&operation["item"]) {
                body.push(operation["item"].clone());
            }
        }
        Some("remove") => body.retain(|item| *item != operation["item"]),
        Some("replace") => {
            let (old, new) = (&operation["oldItem"], &operation["newItem"]);
            if body.contains(new) {
                // It is there already: the old one just goes, unless they are the same.
                body.retain(|item| item != old || item == new);
            } else {
                for item in body.iter_mut().filter(|item| *item == old) {
                    *item = new.clone();
                }
            }
        }
        other => unreachable!("{other:?} is no operation"),
    }
}

fn text(json: &Json) -> String {
    json.as_str().expect("a text").to_owned()
}

fn node(id: &str, label: &str, properties: Properties) -> Node {
    Node { id: id.to_owned(), labels: BTreeSet::from([label.to_owned()]), properties }
}

fn edge(from: &str, kind: &str, to: &str) -> Edge {
    let kind = Kind::new(kind).expect("a type of edge");
    Edge { from: from.to_owned(), kind, to: to.to_owned(), properties: Properties::new() }
}

#[cfg(test)]
mod tests;
