//! How a resource lies in the property graph.
//!
//! | element | what it is |
//! |---|---|
//! | `(:Resource {id, stub: false, name, …})` | a resource that was created |
//! | `(:Resource {id, stub: true})` | one that was not, and is linked to |
//! | `(:Annotation {id: "r#a", resource, annotation, …})-[:BELONGS_TO]->(:Resource)` | an annotation |
//! | `(:Annotation)-[:REFERENCES]->(:Resource)` | that its body links to it, however often |
//! | `(:Tombstone {id: "r#a", resource, annotation, seq})-[:BELONGS_TO]->(:Resource)` | one that was removed |
//! | `(:Vocabulary {id, kind, name, …})` | a word that resources are described with |
//!
//! Annotations are named within their resource: two streams may use a name for two things, and
//! neither knows of the other. `#` is in no id.
//!
//! A body is kept item by item as JSON text, and read back from there: nothing is lost between
//! one operation on it and the next.

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Properties, Value};

use super::{Drafted, Facets, Slot, State, Term};
use crate::event::{BodyItem, Json, SpecificResource};

/// What the graph has of one resource, or should have; properties without `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Picture {
    /// Its node.
    pub node: Option<Properties>,
    /// Whether others link to it: then it has a node even before it is created.
    pub referenced: bool,
    /// Its annotations, by their names.
    pub annotations: BTreeMap<EntityId, Drawn>,
    /// Its tombstones, by the names of the annotations.
    pub tombstones: BTreeMap<EntityId, Drawn>,
    /// The words of the vocabulary, by their ids; of the system stream only.
    pub vocabulary: BTreeMap<String, Properties>,
}

/// A node of a resource's, and the edges that leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Drawn {
    /// Its properties.
    pub properties: Properties,
    /// What it belongs to, with the properties of the edges: the resource once, and none.
    pub owners: Vec<(EntityId, Properties)>,
    /// The resources that it links to, with the properties of the edges: each once, and none.
    pub links: Vec<(EntityId, Properties)>,
}

/// What the graph has is nothing that the fold would ever write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{0} in the graph is not as the projection writes it")]
pub struct Damage(pub String);

impl Term {
    /// The id of its node.
    pub fn id(&self) -> String {
        let (kind, name) = self.parts();
        format!("{kind}:{name}")
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Term::EntityType(name) => ("entity_type", name),
            Term::TagSchema(name) => ("tag_schema", name),
        }
    }
}

/// The id of the node of an annotation or of its tombstone.
pub fn node_id(resource: &EntityId, name: &EntityId) -> String {
    format!("{resource}#{name}")
}

/// What the node of that id is about: its resource, and the name of the annotation.
pub fn parse_node_id(id: &str) -> Option<(EntityId, EntityId)> {
    let (resource, name) = id.split_once('#')?;
    Some((resource.parse().ok()?, name.parse().ok()?))
}

impl Drafted {
    /// The resources that it links to.
    pub fn links(&self) -> BTreeSet<&EntityId> {
        let link = |item| match item {
            &BodyItem::SpecificResource(SpecificResource { ref source, .. }) => Some(source),
            BodyItem::TextualBody(_) => None,
        };
        self.body.iter().filter_map(link).collect()
    }
}

impl Picture {
    /// How a state has to lie in the graph; `referenced` says whether others link to it.
    pub fn of(resource: &EntityId, state: &State, referenced: bool) -> Picture {
        let mut picture = Picture { node: node(state, referenced), referenced, ..Picture::default() };
        for (name, slot) in &state.annotations {
            match slot {
                Slot::Present(drafted) => {
                    picture.annotations.insert(name.clone(), annotation(resource, name, drafted));
                }
                Slot::Removed(sequence) => {
                    picture.tombstones.insert(name.clone(), tombstone(resource, name, *sequence));
                }
            }
        }
        picture.vocabulary = state.vocabulary.iter().map(word).collect();
        picture
    }

    /// The state that lies in the graph like this.
    ///
    /// # Errors
    ///
    /// Something is not as the fold writes it. Edges are not looked at: they follow from bodies.
    pub fn state(&self) -> Result<State, Damage> {
        let mut state = State { facets: self.node.as_ref().map(facets).transpose()?.flatten(), ..State::default() };
        for (name, drawn) in &self.tombstones {
            let sequence = drawn.properties.get("seq").and_then(Value::as_int);
            let sequence = sequence.and_then(|sequence| u64::try_from(sequence).ok());
            let sequence = sequence.ok_or_else(|| Damage(format!("the tombstone of {name}")))?;
            state.annotations.insert(name.clone(), Slot::Removed(sequence));
        }
        for (name, drawn) in &self.annotations {
            let drafted = drafted(&drawn.properties).ok_or_else(|| Damage(format!("annotation {name}")))?;
            state.annotations.insert(name.clone(), Slot::Present(drafted));
        }
        for (id, properties) in &self.vocabulary {
            let (term, schema) = term(properties).ok_or_else(|| Damage(format!("word {id}")))?;
            state.vocabulary.insert(term, schema);
        }
        Ok(state)
    }
}

fn node(state: &State, referenced: bool) -> Option<Properties> {
    let Some(facets) = &state.facets else {
        return referenced.then(|| Properties::from([("stub".to_owned(), Value::Bool(true))]));
    };
    let Facets { name, format, language, parent, created, entity_types, archived } = facets;
    let entity_types = entity_types.iter().map(|entity_type| Value::from(entity_type.as_str())).collect();
    let mut properties = text(&[("name", name), ("format", format), ("created", created)]);
    properties.insert("stub".to_owned(), Value::Bool(false));
    properties.insert("entityTypes".to_owned(), Value::List(entity_types));
    properties.insert("archived".to_owned(), Value::Bool(*archived));
    properties.extend(language.as_ref().map(|language| ("language".to_owned(), Value::from(language.as_str()))));
    properties.extend(parent.as_ref().map(|parent| ("parent".to_owned(), Value::from(parent.as_str()))));
    Some(properties)
}

fn facets(properties: &Properties) -> Result<Option<Facets>, Damage> {
    if properties.get("stub") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let read = || {
        let text = |name| properties.get(name).and_then(Value::as_text).map(str::to_owned);
        let Value::List(entity_types) = properties.get("entityTypes")? else { return None };
        let Value::Bool(archived) = properties.get("archived")? else { return None };
        Some(Facets {
            name: text("name")?,
            format: text("format")?,
            language: text("language"),
            parent: text("parent").and_then(|parent| parent.parse().ok()),
            created: text("created")?,
            entity_types: entity_types.iter().map(|item| item.as_text().map(str::to_owned)).collect::<Option<_>>()?,
            archived: *archived,
        })
    };
    read().map(Some).ok_or_else(|| Damage("the resource".to_owned()))
}

fn annotation(resource: &EntityId, name: &EntityId, drafted: &Drafted) -> Drawn {
    // By way of a value, so that the names in it are sorted: equal items have one text.
    let item = |item: &BodyItem| Value::Text(serde_json::to_value(item).expect("items have text keys").to_string());
    let mut properties = text(&[("resource", resource.as_str()), ("annotation", name.as_str())]);
    properties.insert("motivation".to_owned(), Value::from(drafted.motivation.as_str()));
    properties.insert("body".to_owned(), Value::List(drafted.body.iter().map(item).collect()));
    properties.extend(drafted.selector.as_ref().map(|Json(selector)| ("selector".to_owned(), selector.clone().into())));
    let links = drafted.links().into_iter().map(|target| (target.clone(), Properties::new())).collect();
    Drawn { properties, owners: vec![(resource.clone(), Properties::new())], links }
}

fn drafted(properties: &Properties) -> Option<Drafted> {
    let Value::List(body) = properties.get("body")? else { return None };
    let item = |item: &Value| serde_json::from_str(item.as_text()?).ok();
    Some(Drafted {
        motivation: properties.get("motivation")?.as_text()?.to_owned(),
        selector: properties.get("selector").and_then(Value::as_text).map(|text| Json(text.to_owned())),
        body: body.iter().map(item).collect::<Option<_>>()?,
    })
}

fn tombstone(resource: &EntityId, name: &EntityId, sequence: u64) -> Drawn {
    let mut properties = text(&[("resource", resource.as_str()), ("annotation", name.as_str())]);
    let sequence = i64::try_from(sequence).expect("sequence numbers fit into 63 bits");
    properties.insert("seq".to_owned(), Value::Int(sequence));
    Drawn { properties, owners: vec![(resource.clone(), Properties::new())], links: Vec::new() }
}

fn word((term, schema): (&Term, &Option<Json>)) -> (String, Properties) {
    let (kind, name) = term.parts();
    let mut properties = text(&[("kind", kind), ("name", name)]);
    properties.extend(schema.as_ref().map(|Json(schema)| ("schema".to_owned(), Value::from(schema.as_str()))));
    (term.id(), properties)
}

fn term(properties: &Properties) -> Option<(Term, Option<Json>)> {
    let text = |name| properties.get(name).and_then(Value::as_text).map(str::to_owned);
    match text("kind")?.as_str() {
        "entity_type" => Some((Term::EntityType(text("name")?), None)),
        "tag_schema" => Some((Term::TagSchema(text("name")?), Some(Json(text("schema")?)))),
        _ => None,
    }
}

fn text(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}
