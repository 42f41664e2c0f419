//! How entities and links lie in a property graph.
//!
//! An entity is a node with label [`ENTITY_LABEL`], its id under [`ID_PROPERTY`], its kind
//! under [`KIND_PROPERTY`], its canonical key, if it has one, under
//! [`CANONICAL_KEY_PROPERTY`], and its own properties beside them. A link is an edge of type
//! [`LINK_TYPE`] with its kind under [`KIND_PROPERTY`] and its own properties beside it:
//! the kind is data, because Cypher takes no parameter where a relationship type stands.

use std::collections::BTreeSet;

use crate::value::merge;
use crate::{CanonicalKey, Edge, EntityId, Kind, Node, Properties, Value};

/// The label that every entity has.
pub const ENTITY_LABEL: &str = "Entity";

/// The relationship type that every link has.
pub const LINK_TYPE: &str = "LINK";

/// The property that holds the id of an entity.
pub const ID_PROPERTY: &str = "id";

/// The property that holds the kind of an entity or of a link.
pub const KIND_PROPERTY: &str = "kind";

/// The property that holds the canonical key of an entity, in the form of
/// [`CanonicalKey::qualified`].
pub const CANONICAL_KEY_PROPERTY: &str = "canonical_key";

/// The names that no property of a patch may have: the elements keep their own under them.
pub const RESERVED_PROPERTIES: [&str; 3] = [ID_PROPERTY, KIND_PROPERTY, CANONICAL_KEY_PROPERTY];

impl Node {
    /// The node of an entity; properties that are null are left out.
    pub fn entity(id: &EntityId, kind: &Kind, properties: &Properties) -> Node {
        Node {
            id: id.to_string(),
            labels: BTreeSet::from([ENTITY_LABEL.to_owned()]),
            properties: with_kind(kind, properties),
        }
    }

    /// The node of the same entity with this canonical key.
    #[must_use]
    pub fn with_key(mut self, kind: &Kind, key: Option<&CanonicalKey>) -> Node {
        let key = key.map(|key| (CANONICAL_KEY_PROPERTY.to_owned(), Value::Text(key.qualified(kind))));
        self.properties.extend(key);
        self
    }

    /// Whether this is the node of an entity with that canonical key.
    pub fn has_key(&self, kind: &Kind, key: &CanonicalKey) -> bool {
        let own = self.properties.get(CANONICAL_KEY_PROPERTY).and_then(Value::as_text);
        self.labels.contains(ENTITY_LABEL) && own == Some(key.qualified(kind).as_str())
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
