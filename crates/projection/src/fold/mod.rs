//! The fold: from what a resource is and an event of it to what it is then.
//!
//! It is a function of the two and of nothing else: no clock, no other resource, no memory. So
//! the order across resources cannot matter to it, and what it made of an event once it makes of
//! it always. What it says about *other* resources is only that they are linked to: see
//! [`Change::Link`](crate::fold::Change::Link).
//!
//! A [`State`] may be the whole of a resource or a part: an event touches the resource itself
//! and at most one more [`Part`], and needs no others to be there.

mod body;
mod change;
mod picture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use graph::EntityId;

use crate::event::{BodyItem, Content, Created, EntityType, Event, Json, Payload, Schema, Treatment, system};

pub use change::{Change, changes, node_only};
pub use picture::{Damage, Drawn, Picture, node_id, parse_node_id};

/// What a resource is, or the parts of it that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The resource itself, once it was created.
    pub facets: Option<Facets>,
    /// Its annotations, by their names, those that were removed included.
    pub annotations: BTreeMap<EntityId, Slot>,
    /// What only the system stream has: the words that resources are described with.
    pub vocabulary: BTreeMap<Term, Option<Json>>,
}

/// A resource itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facets {
    /// Its name, for people.
    pub name: String,
    /// The media type of its content.
    pub format: String,
    /// The language of its content.
    pub language: Option<String>,
    /// What it was cloned from.
    pub parent: Option<EntityId>,
    /// When its creation was written down: from the event, never from a clock.
    pub created: String,
    /// What it is about.
    pub entity_types: BTreeSet<String>,
    /// Whether it was put away.
    pub archived: bool,
}

/// What stands under the name of an annotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// An annotation.
    Present(Drafted),
    /// A tombstone: it was removed by the event of this sequence.
    Removed(u64),
}

/// An annotation as the graph has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Drafted {
    /// What it is for.
    pub motivation: String,
    /// Which part of the resource it is on.
    pub selector: Option<Json>,
    /// Its items, in order, each once.
    pub body: Vec<BodyItem>,
}

/// A word of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// A kind of thing that resources may be about.
    EntityType(String),
    /// How tags of some kind are made.
    TagSchema(String),
}

/// What an event touches beside the resource itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The annotation of this name, or its tombstone.
    Annotation(EntityId),
    /// A word of the vocabulary.
    Term(Term),
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folded {
    /// It may have changed the resource.
    Shown,
    /// The graph does not show such events.
    NotInTheGraph,
    /// It was about an annotation that was removed before: that stays removed.
    Buried,
}

/// Why nobody can say what the graph should show after an event. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unfoldable {
    /// This program does not know the type, or its schema is newer.
    #[error("events of type {0:?} in this version are not known here")]
    Unknown(String),
    /// The payload is not of its type's form.
    #[error("the payload of {kind:?} is not one: {why}")]
    Malformed {
        /// The type.
        kind: String,
        /// What is wrong with it.
        why: String,
    },
    /// An event of the system in the stream of a resource, or the other way round.
    #[error("an event of this type does not belong to this stream")]
    WrongStream,
    /// The resource was never created.
    #[error("the resource was never created")]
    NotCreated,
    /// The annotation was never added, and not removed either.
    #[error("there never was an annotation {0}")]
    NoSuchAnnotation(EntityId),
    /// The annotation is on another resource than the one in whose stream it is.
    #[error("the annotation is on {0}, another resource")]
    ForeignTarget(EntityId),
}

/// What the event touches beside the resource itself, if anything.
pub fn touches(event: &Event) -> Option<Part> {
    let Content::Known(payload) = &event.content else { return None };
    Some(match payload {
        Payload::AnnotationAdded(annotation) => Part::Annotation(annotation.id.clone()),
        Payload::AnnotationRemoved(id) | Payload::AnnotationBodyUpdated(id, _) => Part::Annotation(id.clone()),
        Payload::EntityTypeAdded(EntityType { entity_type }) => Part::Term(Term::EntityType(entity_type.clone())),
        Payload::TagSchemaAdded(Schema { id, .. }) => Part::Term(Term::TagSchema(id.clone())),
        _ => return None,
    })
}

impl State {
    /// Makes the state what it is after the event, which must be the next in its stream.
    ///
    /// # Errors
    ///
    /// See [`Unfoldable`]; the mark must not pass the event.
    pub fn fold(&mut self, event: &Event) -> Result<Folded, Unfoldable> {
        let payload = match &event.content {
            Content::Known(payload) => payload,
            Content::Unknown { kind, .. } => return Err(Unfoldable::Unknown(kind.clone())),
            Content::Malformed { kind, why, .. } => {
                return Err(Unfoldable::Malformed { kind: kind.clone(), why: why.clone() });
            }
        };
        if payload.kind().treatment() == Treatment::NotInTheGraph {
            return Ok(Folded::NotInTheGraph);
        }
        let of_the_system = matches!(payload, Payload::EntityTypeAdded(_) | Payload::TagSchemaAdded(_));
        if of_the_system != (event.position.resource == system()) {
            return Err(Unfoldable::WrongStream);
        }
        match payload {
            Payload::ResourceCreated(created) => self.create(created, None, event),
            Payload::ResourceCloned(created) => self.create(created, created.parent_resource_id.clone(), event),
            Payload::ResourceArchived => self.created()?.archived = true,
            Payload::ResourceUnarchived => self.created()?.archived = false,
            Payload::EntityTagAdded(tag) => {
                self.created()?.entity_types.insert(tag.entity_type.clone());
            }
            Payload::EntityTagRemoved(tag) => {
                self.created()?.entity_types.remove(&tag.entity_type);
            }
            Payload::AnnotationAdded(annotation) => {
                self.created()?;
                if annotation.target.source != event.position.resource {
                    return Err(Unfoldable::ForeignTarget(annotation.target.source.clone()));
                }
                let mut drafted = Drafted {
                    motivation: annotation.motivation.clone(),
                    selector: annotation.target.selector.clone(),
                    body: Vec::new(),
                };
                annotation.body.iter().for_each(|item| body::add(&mut drafted.body, item));
                self.annotations.insert(annotation.id.clone(), Slot::Present(drafted));
            }
            Payload::AnnotationRemoved(id) => {
                self.created()?;
                if matches!(self.annotations.get(id), Some(Slot::Removed(_))) {
                    return Ok(Folded::Buried);
                }
                self.annotations.insert(id.clone(), Slot::Removed(event.position.sequence));
            }
            Payload::AnnotationBodyUpdated(id, operations) => {
                self.created()?;
                match self.annotations.get_mut(id) {
                    Some(Slot::Present(drafted)) => body::update(&mut drafted.body, operations),
                    Some(Slot::Removed(_)) => return Ok(Folded::Buried),
                    None => return Err(Unfoldable::NoSuchAnnotation(id.clone())),
                }
            }
            Payload::EntityTypeAdded(EntityType { entity_type }) => {
                self.vocabulary.insert(Term::EntityType(entity_type.clone()), None);
            }
            Payload::TagSchemaAdded(Schema { id, rest }) => {
                self.vocabulary.insert(Term::TagSchema(id.clone()), Some(rest.clone()));
            }
            Payload::ResourceUpdated(_)
            | Payload::ResourceMoved(_)
            | Payload::RepresentationAdded(_)
            | Payload::RepresentationRemoved(_)
            | Payload::JobStarted(_)
            | Payload::JobProgress(_)
            | Payload::JobCompleted(_)
            | Payload::JobFailed(_) => unreachable!("{:?} is not in the graph", payload.kind()),
        }
        Ok(Folded::Shown)
    }

    fn create(&mut self, created: &Created, parent: Option<EntityId>, event: &Event) {
        self.facets = Some(Facets {
            name: created.name.clone(),
            format: created.format.clone(),
            language: created.language.clone(),
            parent,
            created: event.timestamp.clone(),
            entity_types: created.entity_types.iter().cloned().collect(),
            archived: false,
        });
    }

    fn created(&mut self) -> Result<&mut Facets, Unfoldable> {
        self.facets.as_mut().ok_or(Unfoldable::NotCreated)
    }
}
