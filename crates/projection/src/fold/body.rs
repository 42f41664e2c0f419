//! The body of an annotation: an ordered list in which no item is twice.

use crate::event::{BodyItem, BodyOperation};

/// Carries out the operations, one after the other.
pub(super) fn update(body: &mut Vec<BodyItem>, operations: &[BodyOperation]) {
    for operation in operations {
        match operation {
            BodyOperation::Add { item } => add(body, item),
            BodyOperation::Remove { item } => body.retain(|other| other != item),
            BodyOperation::Replace { old_item, new_item } => replace(body, old_item, new_item),
        }
    }
}

/// At the end, unless it is there.
pub(super) fn add(body: &mut Vec<BodyItem>, item: &BodyItem) {
    if !body.contains(item) {
        body.push(item.clone());
    }
}

/// In the place of the old one; where the new one stands elsewhere already, that stays the only one.
fn replace(body: &mut Vec<BodyItem>, old: &BodyItem, new: &BodyItem) {
    if old == new {
        return;
    }
    let Some(at) = body.iter().position(|item| item == old) else { return };
    if body.contains(new) {
        body.remove(at);
    } else {
        body[at] = new.clone();
    }
}
