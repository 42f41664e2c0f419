//! What a simulated client asks of the coordinator and of the projection, as scenarios spell it.

use std::collections::BTreeMap;

use coordinator::commit::EntityView;
use coordinator::reconcile::{Policy, Summary};
use graph::{CanonicalKey, EntityId, Kind, Operation, Refusal, TxId};
use serde::{Deserialize, Serialize};

use super::projection::operation::{Append, Appended, Done, Followed, Projector, Said, Seen, View, Whole};

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// A transaction.
    Submit {
        /// What it does.
        operations: Vec<Operation>,
        /// How often the client sends it again, under the same key, while it is not told
        /// the outcome.
        #[serde(default, skip_serializing_if = "is_zero")]
        retries: u32,
        /// How often the client sends it once more after it was told the outcome, as one does that has lost it.
        #[serde(default, skip_serializing_if = "is_zero")]
        again: u32,
        /// Other operations that the client then sends under the same key, as one does that is mistaken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        then: Vec<Operation>,
    },
    /// A linearizable read of one entity.
    Read {
        /// Which.
        entity: EntityId,
    },
    /// A read of one entity from the graph alone, which may be behind or ahead.
    Peek {
        /// Which.
        entity: EntityId,
    },
    /// A linearizable read of the entity that has a canonical key.
    Find {
        /// Its kind.
        kind: Kind,
        /// The key.
        key: CanonicalKey,
    },
    /// A comparison of both stores.
    Validate {},
    /// A repair of what differs between them.
    Reconcile {
        /// Who is right.
        policy: Policy,
    },
    /// Events are written to the log, without a transaction.
    Append(Append),
    /// A look at a resource as the projection shows it.
    View(View),
    /// The projection is written anew from the log.
    Rebuild(Whole),
    /// The projection is compared with the log and put right.
    Mend(Whole),
    /// A projector is asked how it is.
    Status {
        /// Which.
        #[serde(default, skip_serializing_if = "Projector::is_first")]
        at: Projector,
    },
    /// The feed of all events is read from its beginning, and followed for a while.
    Follow {
        /// For how long.
        for_ms: u64,
    },
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ret {
    /// The transaction committed.
    Committed {
        /// Its name.
        tx: TxId,
        /// The ids that it made, by the labels of its operations.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        created: BTreeMap<EntityId, EntityId>,
    },
    /// It was not done, and never will be: an operation did not fit the entities as they stood.
    Refused {
        /// Its name.
        tx: TxId,
        /// What did not fit.
        refusal: Refusal,
    },
    /// One transaction was told in two ways.
    TwoAnswers {
        /// What its client was told.
        first: String,
        /// What it was told later.
        then: String,
    },
    /// The outcome of a transaction was given to operations that are not its own.
    Misattributed {
        /// The transaction.
        tx: TxId,
    },
    /// The entity, or none.
    Entity(Option<EntityView>),
    /// What the graph alone showed; judged by no promise but that it was shown as such.
    Peeked {
        /// Whether the entity was there.
        found: bool,
    },
    /// What a comparison or a repair of both stores found.
    Compared(Box<Summary>),
    /// The events are in the log.
    Appended(Box<Appended>),
    /// They are not, and never will be: the stream does not have as many events as was expected, or more.
    Conflict {
        /// How many it has.
        actual: u64,
    },
    /// What the projection showed.
    Seen(Box<Seen>),
    /// A rebuild or a reconciliation of the projection has ended.
    Ended(Box<Done>),
    /// How a projector says that it is.
    Said(Box<Said>),
    /// What the feed of all events told.
    Followed(Box<Followed>),
}

/// The entities to whose history the operations add, one an operation at most: for a link the one that it leaves.
pub fn resources(operations: &[Operation]) -> impl Iterator<Item = &EntityId> {
    operations.iter().filter_map(|operation| match operation {
        Operation::Create { id, .. } | Operation::Update { id, .. } | Operation::Delete { id } => Some(id),
        Operation::Link { from, .. } | Operation::Unlink { from, .. } => Some(from),
        Operation::Restore { subject, .. } => Some(subject.resource()),
        Operation::Append { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_read_as_scenarios_spell_them() {
        let alice = EntityId::new("alice").unwrap();
        let delete = vec![Operation::Delete { id: alice.clone() }];
        for (op, spelt) in [
            (
                Op::Submit { operations: delete.clone(), retries: 0, again: 0, then: Vec::new() },
                json!({ "submit": { "operations": [{ "delete": { "id": "alice" } }] } }),
            ),
            (
                Op::Submit { operations: delete, retries: 2, again: 0, then: Vec::new() },
                json!({ "submit": { "operations": [{ "delete": { "id": "alice" } }], "retries": 2 } }),
            ),
            (Op::Read { entity: alice.clone() }, json!({ "read": { "entity": "alice" } })),
            (Op::Peek { entity: alice }, json!({ "peek": { "entity": "alice" } })),
            (Op::Validate {}, json!({ "validate": {} })),
            (Op::Follow { for_ms: 300 }, json!({ "follow": { "for_ms": 300 } })),
            (Op::Reconcile { policy: Policy::Log }, json!({ "reconcile": { "policy": "log" } })),
        ] {
            assert_eq!(serde_json::to_value(&op).unwrap(), spelt);
            assert_eq!(serde_json::from_value::<Op>(spelt).unwrap(), op);
        }
    }

    #[test]
    fn a_misspelt_operation_is_refused_with_the_words_that_exist() {
        let refused = |spelt: serde_json::Value| serde_json::from_value::<Op>(spelt).unwrap_err().to_string();
        assert_eq!(
            refused(json!({ "write": { "entity": "alice" } })),
            "unknown variant `write`, expected one of `submit`, `read`, `peek`, `find`, `validate`, `reconcile`, \
             `append`, `view`, `rebuild`, `mend`, `status`, `follow`"
        );
        assert_eq!(refused(json!({ "read": { "id": "alice" } })), "unknown field `id`, expected `entity`");
    }

    #[test]
    fn a_link_is_an_event_of_the_entity_that_it_leaves() {
        let [a, b] = ["a", "b"].map(|id| EntityId::new(id).unwrap());
        let kind = Kind::new("knows").unwrap();
        let properties = graph::Properties::new();
        let operations = [
            Operation::Create { id: b.clone(), kind: kind.clone(), key: None, properties: properties.clone() },
            Operation::Link { from: a.clone(), kind: kind.clone(), to: b.clone(), properties: properties.clone() },
            Operation::Update { id: b.clone(), set: properties },
            Operation::Unlink { from: a.clone(), kind, to: b.clone() },
            Operation::Delete { id: b.clone() },
        ];
        assert_eq!(resources(&operations).collect::<Vec<_>>(), [&b, &a, &b, &a, &b]);
    }
}
