//! Labels of a patch, and the ids that its transaction gives to what they stand for.
//!
//! Who does not want to think of an id creates `_:book`, as RDF writes a node without a name
//! (RDF 1.1 Turtle, 2.6), and uses that label in the operations that follow. It means something
//! in its patch alone. The transaction puts an id in its place: its own name and a number, which
//! nobody has ever had and nobody will have again, because no two transactions have one name.
//! So there is no counter that could be lost, and no id that could be given out twice: not after
//! a restart, not after an abort, whose ids are never used, and not by two processes, of which
//! each has an incarnation of its own.

use std::collections::BTreeMap;

use crate::{EntityId, Operation, Patch, Subject, TxId};

/// How a label begins.
const LABEL_PREFIX: &str = "_:";

impl EntityId {
    /// Whether it is a label, which means something in its patch alone.
    pub fn is_label(&self) -> bool {
        self.as_str().starts_with(LABEL_PREFIX)
    }

    /// The id of the `position`th entity, from 0, that a transaction makes an id for.
    pub fn generated(tx: TxId, position: u64) -> EntityId {
        let TxId { incarnation, serial } = tx;
        EntityId::new(format!("e-{incarnation}-{serial}-{position}")).expect("letters, digits and dashes")
    }

    /// The transaction that made this id, and its position; `None` for an id of another form.
    pub fn generated_by(&self) -> Option<(TxId, u64)> {
        let mut numbers = self.as_str().strip_prefix("e-")?.split('-').map(|number| number.parse::<u64>().ok());
        let [incarnation, serial, position] = [(); 3].map(|()| numbers.next().flatten());
        let tx = TxId { incarnation: incarnation?, serial: serial? };
        // One id has one text: no leading zeros, no plus sign, nothing behind it.
        Some((tx, position?)).filter(|(tx, position)| EntityId::generated(*tx, *position) == *self)
    }
}

impl Patch {
    /// The ids that a transaction of this name puts in the place of the labels.
    pub fn generated(&self, tx: TxId) -> BTreeMap<EntityId, EntityId> {
        let labels = self.operations.iter().filter_map(|operation| match operation {
            Operation::Create { id, .. } if id.is_label() => Some(id),
            _ => None,
        });
        labels.zip(0..).map(|(label, position)| (label.clone(), EntityId::generated(tx, position))).collect()
    }

    /// The patch as a transaction of this name carries it out: with ids in the place of labels.
    pub fn resolved(&self, tx: TxId) -> Patch {
        self.renamed(&self.generated(tx))
    }

    /// The patch with other ids in the place of these.
    pub fn renamed(&self, ids: &BTreeMap<EntityId, EntityId>) -> Patch {
        let mut patch = self.clone();
        for id in patch.operations.iter_mut().flat_map(Operation::ids_mut) {
            if let Some(other) = ids.get(id) {
                *id = other.clone();
            }
        }
        patch
    }
}

impl Operation {
    /// Every place in which an entity is named.
    fn ids_mut(&mut self) -> impl Iterator<Item = &mut EntityId> {
        let (first, second) = match self {
            Operation::Create { id, .. } | Operation::Update { id, .. } | Operation::Delete { id } => (Some(id), None),
            Operation::Link { from, to, .. } | Operation::Unlink { from, to, .. } => (Some(from), Some(to)),
            Operation::Restore { subject: Subject::Entity(id), .. } => (Some(id), None),
            Operation::Restore { subject: Subject::Link { from, to, .. }, .. } => (Some(from), Some(to)),
            Operation::Append { resource, .. } => (resource.as_mut(), None),
        };
        first.into_iter().chain(second)
    }
}
