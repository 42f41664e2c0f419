//! Events as scenarios spell them: a word for what happened, and as little else as it takes.

use graph::{EntityId, EventId, NewEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What happened to a resource or, for words, in the system stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Happening {
    /// It was created under this name.
    Created(String),
    /// It was created as a copy.
    Cloned {
        /// Its name.
        name: String,
        /// Of what.
        of: EntityId,
    },
    /// It was put away.
    Archived,
    /// It was brought back.
    Unarchived,
    /// It got a tag.
    Tagged(String),
    /// It lost one.
    Untagged(String),
    /// It got an annotation.
    Annotated {
        /// The annotation.
        id: EntityId,
        /// What it says and links to from the beginning.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Vec<Item>,
    },
    /// The body of one was edited.
    Edited {
        /// The annotation.
        id: EntityId,
        /// How, one edit after the other.
        edits: Vec<Edit>,
    },
    /// It lost an annotation.
    Removed(EntityId),
    /// Something that the graph does not show.
    Updated,
    /// There is a word that resources are tagged with.
    Word(String),
    /// There is a way to tag; the last of an id holds.
    Schema {
        /// Its id.
        id: String,
        /// The rest.
        tags: Vec<String>,
    },
    /// Something that this version of the projection has no word for.
    Unknown,
    /// Something whose payload cannot be read.
    Malformed,
}

/// One item of a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A link to a resource.
    Link(EntityId),
    /// A text.
    Text(String),
}

/// One change to a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Puts it at the end.
    Add(Item),
    /// Takes it away.
    Remove(Item),
    /// Puts the second in the place of the first.
    Replace(Item, Item),
}

impl Happening {
    /// The type and the payload of the event; `resource` is the one in whose stream it stands.
    pub fn write(&self, resource: Option<&EntityId>) -> (&'static str, Value) {
        let created = |name: &str| json!({ "name": name, "format": "text/plain", "contentChecksum": "c1" });
        match self {
            Happening::Created(name) => ("resource.created", created(name)),
            Happening::Cloned { name, of } => {
                let mut payload = created(name);
                payload["parentResourceId"] = json!(of);
                ("resource.cloned", payload)
            }
            Happening::Archived => ("resource.archived", json!({})),
            Happening::Unarchived => ("resource.unarchived", json!({})),
            Happening::Tagged(tag) => ("entitytag.added", json!({ "entityType": tag })),
            Happening::Untagged(tag) => ("entitytag.removed", json!({ "entityType": tag })),
            Happening::Annotated { id, body } => {
                let body: Vec<Value> = body.iter().map(Item::write).collect();
                let target = json!({ "source": resource });
                let annotation = json!({ "id": id, "motivation": "linking", "target": target, "body": body });
                ("annotation.added", json!({ "annotation": annotation }))
            }
            Happening::Edited { id, edits } => {
                let operations: Vec<Value> = edits.iter().map(Edit::write).collect();
                ("annotation.body.updated", json!({ "annotationId": id, "operations": operations }))
            }
            Happening::Removed(id) => ("annotation.removed", json!({ "annotationId": id })),
            Happening::Updated => ("resource.updated", json!({ "contentChecksum": "c2" })),
            Happening::Word(word) => ("entitytype.added", json!({ "entityType": word })),
            Happening::Schema { id, tags } => ("tagschema.added", json!({ "schema": { "id": id, "tags": tags } })),
            Happening::Unknown => ("resource.transfigured", json!({ "into": "something" })),
            Happening::Malformed => ("entitytag.added", json!({ "entityType": 7 })),
        }
    }
}

impl Happening {
    /// The event as it is sent, under this id. Nothing is ordered by its time, so it may be that of another, or earlier.
    pub fn sent(&self, id: String, resource: Option<&EntityId>, timestamp: String) -> NewEvent {
        let (kind, payload) = self.write(resource);
        NewEvent {
            id: EventId::new(id).expect("a short id"),
            kind: kind.to_owned(),
            timestamp: Some(timestamp),
            user_id: "did:web:example.org:user".to_owned(),
            version: 1,
            payload: payload.into(),
            correlation_id: None,
        }
    }
}

impl Item {
    fn write(&self) -> Value {
        match self {
            Item::Link(to) => json!({ "type": "SpecificResource", "source": to }),
            Item::Text(text) => json!({ "type": "TextualBody", "value": text }),
        }
    }
}

impl Edit {
    fn write(&self) -> Value {
        match self {
            Edit::Add(item) => json!({ "op": "add", "item": item.write() }),
            Edit::Remove(item) => json!({ "op": "remove", "item": item.write() }),
            Edit::Replace(old, new) => json!({ "op": "replace", "oldItem": old.write(), "newItem": new.write() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use projection::event::{Content, Event, Treatment};

    use super::*;

    fn id(text: &str) -> EntityId {
        EntityId::new(text).unwrap()
    }

    fn item(text: &str) -> Item {
        Item::Text(text.to_owned())
    }

    fn all() -> Vec<Happening> {
        vec![
            Happening::Created("n".to_owned()),
            Happening::Cloned { name: "n".to_owned(), of: id("r2") },
            Happening::Archived,
            Happening::Unarchived,
            Happening::Tagged("T".to_owned()),
            Happening::Untagged("T".to_owned()),
            Happening::Annotated { id: id("a"), body: vec![Item::Link(id("r1")), item("x")] },
            Happening::Edited {
                id: id("a"),
                edits: vec![Edit::Add(item("x")), Edit::Remove(item("x")), Edit::Replace(item("x"), item("y"))],
            },
            Happening::Removed(id("a")),
            Happening::Updated,
            Happening::Word("T".to_owned()),
            Happening::Schema { id: "s".to_owned(), tags: vec!["x".to_owned()] },
            Happening::Unknown,
            Happening::Malformed,
        ]
    }

    fn read(happening: &Happening) -> Event {
        let (kind, payload) = happening.write(Some(&id("r1")));
        let envelope = json!({
            "id": "e", "type": kind, "timestamp": "t", "resourceId": "r1", "userId": "u", "version": 1,
            "payload": payload, "metadata": { "sequenceNumber": 1 },
        });
        serde_json::from_value(envelope).expect("an event")
    }

    #[test]
    fn the_projection_reads_all_but_the_two_that_it_must_not() {
        for happening in all() {
            let content = read(&happening).content;
            let refused = matches!(happening, Happening::Unknown | Happening::Malformed);
            assert_eq!(content.treatment() == Treatment::Refused, refused, "{happening:?}: {content:?}");
        }
        assert!(matches!(read(&Happening::Unknown).content, Content::Unknown { .. }));
        assert!(matches!(read(&Happening::Malformed).content, Content::Malformed { .. }));
    }

    #[test]
    fn they_are_spelt_shortly_and_read_back() {
        for (happening, spelt) in [
            (Happening::Archived, json!("archived")),
            (Happening::Created("Alpha".to_owned()), json!({ "created": "Alpha" })),
            (
                Happening::Annotated { id: id("a"), body: vec![Item::Link(id("r2"))] },
                json!({ "annotated": { "id": "a", "body": [{ "link": "r2" }] } }),
            ),
            (
                Happening::Edited { id: id("a"), edits: vec![Edit::Replace(Item::Link(id("r2")), item("x"))] },
                json!({ "edited": { "id": "a", "edits": [{ "replace": [{ "link": "r2" }, { "text": "x" }] }] } }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&happening).unwrap(), spelt);
        }
        for happening in all() {
            let spelt = serde_json::to_value(&happening).unwrap();
            assert_eq!(serde_json::from_value::<Happening>(spelt).unwrap(), happening);
        }
    }
}
