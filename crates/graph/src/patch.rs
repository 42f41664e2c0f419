//! What a transaction does to the graph, and the reference that says what it means.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::merge;
use crate::{CanonicalKey, Edge, EntityId, EventId, Kind, NewEvent, Node, Properties, Snapshot};

/// One change to the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Adds an entity; refused if the id is taken, or if an entity of its kind has its key.
    Create {
        /// The new entity; a label (`_:book`) has the transaction make an id.
        id: EntityId,
        /// Its type.
        kind: Kind,
        /// Its canonical key, unique among the entities of its kind; free again once it is deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<CanonicalKey>,
        /// Its properties; a `null` one counts as absent.
        #[serde(default)]
        properties: Properties,
    },
    /// Changes properties of an entity; refused if there is none of that id.
    Update {
        /// The entity.
        id: EntityId,
        /// Properties to set; `null` removes one. Others stay.
        set: Properties,
    },
    /// Removes an entity; refused if there is none of that id, or if a link still touches
    /// it: removing the link would change an entity that the transaction did not name.
    Delete {
        /// The entity.
        id: EntityId,
    },
    /// Connects two entities, or one to itself; refused if either is missing or the link
    /// exists. Links of different kinds between the same entities are different links.
    Link {
        /// Where the link starts.
        from: EntityId,
        /// Its type.
        kind: Kind,
        /// Where it ends.
        to: EntityId,
        /// Its properties; a `null` one counts as absent.
        #[serde(default)]
        properties: Properties,
    },
    /// Removes a link; refused if there is none.
    Unlink {
        /// Where the link starts.
        from: EntityId,
        /// Its type.
        kind: Kind,
        /// Where it ends.
        to: EntityId,
    },
    /// Makes an entity or a link what it is said to be, whatever it was: how two stores that
    /// differ are made the same again. Not for clients, see [`validate`](Patch::validate).
    /// Refused if an entity that is to go still has links, if one that is to be has the key of
    /// another, or if an end of a link that is to be is missing.
    Restore {
        /// What is restored.
        subject: Subject,
        /// What it is then; `None` if it is not there.
        content: Option<Content>,
        /// Whether the events of the entity say so already: then this is no event of its own.
        logged: bool,
    },
    /// Appends an event to a stream; refused if there is an event of its id. The graph does not
    /// hear of it, and the resource need not exist: what the events say of it is for others to fold.
    Append {
        /// The resource in whose stream it goes; `None` is the [system stream](crate::SYSTEM_STREAM). A
        /// label is the entity that the patch creates under it.
        #[serde(default)]
        resource: Option<EntityId>,
        /// The event. Labels in its payload are left as they are.
        event: NewEvent,
    },
}

/// An entity by itself, or a link by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// An entity, without its links.
    Entity(EntityId),
    /// A link.
    Link {
        /// Where it starts.
        from: EntityId,
        /// Its type.
        kind: Kind,
        /// Where it ends.
        to: EntityId,
    },
}

/// What an entity or a link is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its type. A link's is part of its name as well.
    pub kind: Kind,
    /// Its canonical key; a link has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CanonicalKey>,
    /// Its properties; a `null` one counts as absent.
    pub properties: Properties,
}

impl Subject {
    /// The entities that have to be locked for it to stay as it is.
    pub fn keys(&self) -> impl Iterator<Item = &EntityId> {
        let (first, second) = match self {
            Subject::Entity(id) => (id, None),
            Subject::Link { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }

    /// The entity among whose events those of the subject are: for a link the one that it leaves.
    pub fn resource(&self) -> &EntityId {
        match self {
            Subject::Entity(id) | Subject::Link { from: id, .. } => id,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Entity(id) => write!(f, "entity {id}"),
            Subject::Link { from, kind, to } => write!(f, "link {from} -[{kind}]-> {to}"),
        }
    }
}

impl Operation {
    /// The entities whose state the operation reads or changes.
    pub fn keys(&self) -> impl Iterator<Item = &EntityId> {
        let (first, second) = match self {
            Operation::Create { id, .. } | Operation::Update { id, .. } | Operation::Delete { id } => (Some(id), None),
            Operation::Link { from, to, .. } | Operation::Unlink { from, to, .. } => (Some(from), Some(to)),
            Operation::Restore { subject: Subject::Entity(id), .. } => (Some(id), None),
            Operation::Restore { subject: Subject::Link { from, to, .. }, .. } => (Some(from), Some(to)),
            Operation::Append { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The resource in whose stream the operation appends an event, if it names one.
    pub fn streams_to(&self) -> Option<&EntityId> {
        match self {
            Operation::Append { resource, .. } => resource.as_ref(),
            _ => None,
        }
    }

    fn apply(&self, nodes: &mut Vec<Node>, edges: &mut Vec<Edge>) -> Result<(), Refusal> {
        match self {
            Operation::Create { id, kind, key, properties } => {
                if has_entity(nodes, id) {
                    return Err(Refusal::EntityExists(id.clone()));
                }
                key.as_ref().map_or(Ok(()), |key| require_free(nodes, kind, key))?;
                nodes.push(Node::entity(id, kind, properties).with_key(kind, key.as_ref()));
            }
            Operation::Update { id, set } => {
                require_entity(nodes, id)?;
                for node in nodes.iter_mut().filter(|node| node.is_entity(id)) {
                    merge(&mut node.properties, set);
                }
            }
            Operation::Delete { id } => {
                require_entity(nodes, id)?;
                if edges.iter().any(|edge| edge.from == id.as_str() || edge.to == id.as_str()) {
                    return Err(Refusal::StillLinked(id.clone()));
                }
                nodes.retain(|node| !node.is_entity(id));
            }
            Operation::Link { from, kind, to, properties } => {
                require_entity(nodes, from)?;
                require_entity(nodes, to)?;
                if edges.iter().any(|edge| edge.is_link(from, kind, to)) {
                    return Err(Refusal::LinkExists { from: from.clone(), kind: kind.clone(), to: to.clone() });
                }
                edges.push(Edge::link(from, kind, to, properties));
            }
            Operation::Unlink { from, kind, to } => {
                if !edges.iter().any(|edge| edge.is_link(from, kind, to)) {
                    return Err(Refusal::NoSuchLink { from: from.clone(), kind: kind.clone(), to: to.clone() });
                }
                edges.retain(|edge| !edge.is_link(from, kind, to));
            }
            Operation::Restore { subject: Subject::Entity(id), content, .. } => {
                let linked = edges.iter().any(|edge| edge.from == id.as_str() || edge.to == id.as_str());
                if content.is_none() && linked {
                    return Err(Refusal::StillLinked(id.clone()));
                }
                nodes.retain(|node| !node.is_entity(id));
                let Some(Content { kind, key, properties }) = content else { return Ok(()) };
                key.as_ref().map_or(Ok(()), |key| require_free(nodes, kind, key))?;
                nodes.push(Node::entity(id, kind, properties).with_key(kind, key.as_ref()));
            }
            Operation::Restore { subject: Subject::Link { from, kind, to }, content, .. } => {
                if content.is_some() {
                    require_entity(nodes, from)?;
                    require_entity(nodes, to)?;
                }
                edges.retain(|edge| !edge.is_link(from, kind, to));
                edges.extend(content.iter().map(|content| Edge::link(from, kind, to, &content.properties)));
            }
            Operation::Append { .. } => {}
        }
        Ok(())
    }
}

fn has_entity(nodes: &[Node], id: &EntityId) -> bool {
    nodes.iter().any(|node| node.is_entity(id))
}

fn require_entity(nodes: &[Node], id: &EntityId) -> Result<(), Refusal> {
    if has_entity(nodes, id) { Ok(()) } else { Err(Refusal::NoSuchEntity(id.clone())) }
}

fn require_free(nodes: &[Node], kind: &Kind, key: &CanonicalKey) -> Result<(), Refusal> {
    let holder = nodes.iter().find(|node| node.has_key(kind, key)).and_then(|node| EntityId::new(node.id.clone()).ok());
    match holder {
        Some(by) => Err(Refusal::KeyTaken { kind: kind.clone(), key: key.clone(), by }),
        None => Ok(()),
    }
}

/// The operations of one transaction, applied in order, all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Patch {
    /// The operations, in order.
    pub operations: Vec<Operation>,
}

impl Patch {
    /// The entities whose state the patch reads or changes: what a transaction locks.
    pub fn keys(&self) -> BTreeSet<EntityId> {
        self.operations.iter().flat_map(Operation::keys).cloned().collect()
    }

    /// Applies the operations in order, each to what the one before it left.
    ///
    /// This is what a patch means, written in the plainest way there is; stores are
    /// compared with it. The patch should have passed [`validate`](Patch::validate).
    /// Should the graph hold several copies of an element, all of them are meant.
    ///
    /// # Errors
    ///
    /// The refusal of the first operation that cannot be applied; the snapshot is then
    /// as it was before.
    pub fn apply(&self, snapshot: &mut Snapshot) -> Result<(), Refusal> {
        let mut nodes = snapshot.nodes().to_vec();
        let mut edges = snapshot.edges().to_vec();
        for operation in &self.operations {
            operation.apply(&mut nodes, &mut edges)?;
        }
        *snapshot = Snapshot::new(nodes, edges);
        Ok(())
    }
}

/// Why an operation cannot be applied to the graph as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The id of a new entity is taken.
    #[error("entity {0} exists already")]
    EntityExists(EntityId),
    /// The canonical key of a new entity belongs to another one.
    #[error("the key {:?} of kind {kind} belongs to entity {by}", .key.as_str())]
    KeyTaken {
        /// The kind of both.
        kind: Kind,
        /// The key.
        key: CanonicalKey,
        /// The entity that has it.
        by: EntityId,
    },
    /// The entity is not there.
    #[error("entity {0} does not exist")]
    NoSuchEntity(EntityId),
    /// The entity still has links; they must be removed first.
    #[error("entity {0} still has links: unlink them first")]
    StillLinked(EntityId),
    /// The link is there already.
    #[error("link {from} -[{kind}]-> {to} exists already")]
    LinkExists {
        /// Where it starts.
        from: EntityId,
        /// Its type.
        kind: Kind,
        /// Where it ends.
        to: EntityId,
    },
    /// The link is not there.
    #[error("link {from} -[{kind}]-> {to} does not exist")]
    NoSuchLink {
        /// Where it would start.
        from: EntityId,
        /// Its type.
        kind: Kind,
        /// Where it would end.
        to: EntityId,
    },
    /// There is an event of this id: it was appended by somebody else, or by another transaction.
    #[error("event {0} exists already")]
    EventExists(EventId),
}
