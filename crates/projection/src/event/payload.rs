//! What each type of event carries.

use graph::EntityId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kind::Kind;

/// A JSON value that is kept and never looked into, as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(pub String);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Ok(Json(serde_json::Value::deserialize(deserializer)?.to_string()))
    }
}

/// What a resource is when it begins, or begins anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// Its name, for people.
    pub name: String,
    /// The media type of its content.
    pub format: String,
    /// The checksum of its content.
    pub content_checksum: String,
    /// How long its content is, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_byte_size: Option<u64>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entity_types: Vec<String>,
    /// The language of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it was cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_resource_id: Option<EntityId>,
    /// Where its content lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_uri: Option<String>,
    /// Whether it is a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_draft: Option<bool>,
    /// What it was generated from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated_from: Option<Json>,
    /// What it was generated with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_prompt: Option<String>,
    /// Who generated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Json>,
}

/// The content of a resource changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    /// The checksum of the new content.
    pub content_checksum: String,
    /// How long it is, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_byte_size: Option<u64>,
}

/// The content of a resource lies somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Where it was.
    pub from_uri: String,
    /// Where it is.
    pub to_uri: String,
}

/// A representation of a resource: either all of it, or the checksum that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Representation {
    /// It is there now.
    Added {
        /// All of it.
        representation: Json,
    },
    /// It is gone.
    Removed {
        /// Its name.
        checksum: String,
    },
}

/// An annotation of a resource, after the W3C's Web Annotation Data Model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Annotation {
    /// Its name within the resource; may come again after it was removed.
    pub id: EntityId,
    /// What it is for.
    pub motivation: String,
    /// What it is on.
    pub target: Target,
    /// What it says and where it links to.
    #[serde(default)]
    pub body: Vec<BodyItem>,
}

/// What an annotation is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The resource in whose stream the annotation is.
    pub source: EntityId,
    /// Which part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Json>,
}

/// One item of an annotation's body. Two are the same when all of their parts are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum BodyItem {
    /// A text.
    TextualBody(TextualBody),
    /// A link to a resource.
    SpecificResource(SpecificResource),
}

/// A text in a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TextualBody {
    /// The text.
    pub value: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// A link in a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpecificResource {
    /// The resource that it links to.
    pub source: EntityId,
    /// What the link is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

/// A change to a body. They do not commute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum BodyOperation {
    /// Puts an item at the end, unless it is there.
    Add {
        /// The item.
        item: BodyItem,
    },
    /// Takes an item away, if it is there.
    Remove {
        /// The item.
        item: BodyItem,
    },
    /// Puts an item in the place of another, if that is there.
    Replace {
        /// The other.
        old_item: BodyItem,
        /// The item.
        new_item: BodyItem,
    },
}

/// A kind of thing that resources may be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityType {
    /// Its name.
    pub entity_type: String,
}

/// How tags of some kind are made; the last one of a name holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Schema {
    /// Its name.
    pub id: String,
    /// Everything else.
    pub rest: Json,
}

/// Something that is being done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub job_id: String,
    /// What is being done.
    pub job_type: String,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Json>,
    /// How it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an event of a known type carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payload {
    /// A resource begins.
    ResourceCreated(Created),
    /// A resource begins as a copy of another.
    ResourceCloned(Created),
    /// Its content changed.
    ResourceUpdated(Updated),
    /// Its content lies somewhere else.
    ResourceMoved(Moved),
    /// It has another representation.
    RepresentationAdded(Representation),
    /// It has one representation less.
    RepresentationRemoved(Representation),
    /// It is put away.
    ResourceArchived,
    /// It is brought back.
    ResourceUnarchived,
    /// It has another annotation.
    AnnotationAdded(Annotation),
    /// It has one annotation less.
    AnnotationRemoved(EntityId),
    /// The body of one of its annotations changes, operation by operation.
    AnnotationBodyUpdated(EntityId, Vec<BodyOperation>),
    /// It is about something else as well.
    EntityTagAdded(EntityType),
    /// It is no longer about something.
    EntityTagRemoved(EntityType),
    /// There is another kind of thing that resources may be about.
    EntityTypeAdded(EntityType),
    /// Tags of some kind are made like this now.
    TagSchemaAdded(Schema),
    /// Something is being done.
    JobStarted(Job),
    /// It is this far.
    JobProgress(Job),
    /// It is done.
    JobCompleted(Job),
    /// It failed.
    JobFailed(Job),
}

impl Payload {
    /// The type of the events that carry this.
    pub fn kind(&self) -> Kind {
        match self {
            Payload::ResourceCreated(_) => Kind::ResourceCreated,
            Payload::ResourceCloned(_) => Kind::ResourceCloned,
            Payload::ResourceUpdated(_) => Kind::ResourceUpdated,
            Payload::ResourceMoved(_) => Kind::ResourceMoved,
            Payload::RepresentationAdded(_) => Kind::RepresentationAdded,
            Payload::RepresentationRemoved(_) => Kind::RepresentationRemoved,
            Payload::ResourceArchived => Kind::ResourceArchived,
            Payload::ResourceUnarchived => Kind::ResourceUnarchived,
            Payload::AnnotationAdded(_) => Kind::AnnotationAdded,
            Payload::AnnotationRemoved(_) => Kind::AnnotationRemoved,
            Payload::AnnotationBodyUpdated(..) => Kind::AnnotationBodyUpdated,
            Payload::EntityTagAdded(_) => Kind::EntityTagAdded,
            Payload::EntityTagRemoved(_) => Kind::EntityTagRemoved,
            Payload::EntityTypeAdded(_) => Kind::EntityTypeAdded,
            Payload::TagSchemaAdded(_) => Kind::TagSchemaAdded,
            Payload::JobStarted(_) => Kind::JobStarted,
            Payload::JobProgress(_) => Kind::JobProgress,
            Payload::JobCompleted(_) => Kind::JobCompleted,
            Payload::JobFailed(_) => Kind::JobFailed,
        }
    }
}
