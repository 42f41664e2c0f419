//! How entities and links lie in a property graph.
//!
//! An entity is a node with label [`ENTITY_LABEL`], its id under [`ID_PROPERTY`], its kind
//! under [`KIND_PROPERTY`], and its own properties beside them. A link is an edge of type
//! [`LINK_TYPE`] with its kind under [`KIND_PROPERTY`] and its own properties beside it:
//! the kind is data, because Cypher takes no parameter where a relationship type stands.

use std::collections::BTreeSet;

use crate::value::merge;
use crate::{Edge, EntityId, Kind, Node, Properties, Value};

/// The label that every entity has.
pub const ENTITY_LABEL: &str = "Entity";

/// The relationship type that every link has.
pub const LINK_TYPE: &str = "LINK";

/// The property that holds the id of an entity.
pub const ID_PROPERTY: &str = "id";

/// The property that holds the kind of an entity or of a link.
pub const KIND_PROPERTY: &str = "kind";

impl Node {
    /// The node of an entity; properties that are null are left out.
    pub fn entity(id: &EntityId, kind: &Kind, properties: &Properties) -> Node {
        Node {
            id: id.to_string(),
            labels: BTreeSet::from([ENTITY_LABEL.to_owned()]),
            properties: with_kind(kind, properties),
        }
    }

    /// Whether this is the node of that entity.
    pub fn is_entity(&self, id: &EntityId) -> bool {
        self.id == id.as_str() && self.labels.contains(ENTITY_LABEL)
    }
}

impl Edge {
    /// The edge of a link; properties that are null are left out.
    pub fn link(from: &EntityId, kind: &Kind, to: &EntityId, properties: &Properties) -> Edge {
        Edge {
            from: from.to_string(),
            kind: Kind::new(LINK_TYPE).expect("the relationship type is a valid kind"),
            to: to.to_string(),
            properties: with_kind(kind, properties),
        }
    }

    /// Whether this is the edge of that link.
    pub fn is_link(&self, from: &EntityId, kind: &Kind, to: &EntityId) -> bool {
        self.from == from.as_str()
            && self.to == to.as_str()
            && self.kind.as_str() == LINK_TYPE
            && self.properties.get(KIND_PROPERTY).and_then(Value::as_text) == Some(kind.as_str())
    }
}

fn with_kind(kind: &Kind, properties: &Properties) -> Properties {
    let mut all = Properties::new();
    merge(&mut all, properties);
    all.insert(KIND_PROPERTY.to_owned(), Value::from(kind.as_str()));
    all
}
