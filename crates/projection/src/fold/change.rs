//! What has to be done to the graph so that it shows one picture of a resource and no longer another.
//!
//! What many events did is one difference: an annotation that was added, removed and added again
//! is put down once, as it is at the end. So no order among the changes of a transaction can
//! bring back what went, whichever way they are grouped.

use std::collections::BTreeSet;

use graph::{EntityId, Properties, Value};

use super::picture::{Drawn, Picture};

/// One change to what the graph has of one resource.
///
/// `set` has the properties that change; a null takes one away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Makes the resource's node what it should be; there is one afterwards.
    PutResource {
        /// What changes.
        set: Properties,
    },
    /// Takes the resource's node away if nobody links to it, and leaves a stub otherwise.
    DropResource {
        /// What goes.
        set: Properties,
    },
    /// Makes an annotation what it should be, with one edge to the resource.
    PutAnnotation {
        /// Its name.
        name: EntityId,
        /// What changes.
        set: Properties,
        /// Whether its edges to what it belongs to are wrong and have to go first.
        misowned: bool,
    },
    /// Takes an annotation away, with all edges that leave it.
    DropAnnotation {
        /// Its name.
        name: EntityId,
        /// What it links to: stubs among them may go with it.
        links: BTreeSet<EntityId>,
    },
    /// Makes a tombstone what it should be, with one edge to the resource.
    PutTombstone {
        /// The name of the annotation.
        name: EntityId,
        /// What changes.
        set: Properties,
        /// Whether its edges to what it belongs to are wrong and have to go first.
        misowned: bool,
    },
    /// Takes a tombstone away: the name is in use again.
    DropTombstone {
        /// The name of the annotation.
        name: EntityId,
    },
    /// Links an annotation to a resource, which is a stub if there is none yet.
    Link {
        /// The annotation's name.
        name: EntityId,
        /// The resource.
        target: EntityId,
    },
    /// Takes a link away, however many edges it has; and what it linked to, if that is a stub that nobody else
    /// links to.
    Unlink {
        /// The annotation's name.
        name: EntityId,
        /// The resource.
        target: EntityId,
    },
    /// Makes a word of the vocabulary what it should be.
    PutWord {
        /// Its id.
        id: String,
        /// What changes.
        set: Properties,
    },
    /// Takes a word away.
    DropWord {
        /// Its id.
        id: String,
    },
}

/// What turns `before` into `after`; nothing where they are the same.
pub fn changes(before: &Picture, after: &Picture) -> Vec<Change> {
    let mut changes = Vec::new();
    changes.extend(node_only(before, after));
    for (name, drawn) in &before.annotations {
        if !after.annotations.contains_key(name) {
            let links = drawn.links.iter().map(|(target, _)| target.clone()).collect();
            changes.push(Change::DropAnnotation { name: name.clone(), links });
        }
    }
    for (name, wanted) in &after.annotations {
        let found = before.annotations.get(name);
        if let Some((set, misowned)) = difference(found, wanted) {
            changes.push(Change::PutAnnotation { name: name.clone(), set, misowned });
        }
        relink(name, found, wanted, &mut changes);
    }
    for name in before.tombstones.keys().filter(|name| !after.tombstones.contains_key(*name)) {
        changes.push(Change::DropTombstone { name: name.clone() });
    }
    for (name, wanted) in &after.tombstones {
        if let Some((set, misowned)) = difference(before.tombstones.get(name), wanted) {
            changes.push(Change::PutTombstone { name: name.clone(), set, misowned });
        }
    }
    for id in before.vocabulary.keys().filter(|id| !after.vocabulary.contains_key(*id)) {
        changes.push(Change::DropWord { id: id.clone() });
    }
    for (id, wanted) in &after.vocabulary {
        let found = before.vocabulary.get(id);
        if found != Some(wanted) {
            changes.push(Change::PutWord { id: id.clone(), set: set(found, wanted) });
        }
    }
    changes
}

/// What turns the node of the one into the node of the other.
pub fn node_only(before: &Picture, after: &Picture) -> Option<Change> {
    let is_stub = |node: &Properties| node.get("stub") == Some(&Value::Bool(true));
    match (&before.node, &after.node) {
        // Somebody linked to it when it was read, and may not any more: whoever took the last link away found no stub.
        (Some(found), Some(wanted)) if is_stub(wanted) && !is_stub(found) => {
            Some(Change::DropResource { set: set(Some(found), wanted) })
        }
        (found, Some(wanted)) if found.as_ref() != Some(wanted) => {
            Some(Change::PutResource { set: set(found.as_ref(), wanted) })
        }
        (Some(found), None) => Some(Change::DropResource { set: set(Some(found), &Properties::new()) }),
        _ => None,
    }
}

fn relink(name: &EntityId, found: Option<&Drawn>, wanted: &Drawn, changes: &mut Vec<Change>) {
    let found = found.map_or(&[][..], |drawn| &drawn.links);
    let targets: BTreeSet<&EntityId> = found.iter().chain(&wanted.links).map(|(target, _)| target).collect();
    for target in targets {
        let edges = |links: &[(EntityId, Properties)]| -> Vec<Properties> {
            links.iter().filter(|(to, _)| to == target).map(|(_, properties)| properties.clone()).collect()
        };
        let (has, wants) = (edges(found), edges(&wanted.links));
        if has == wants {
            continue;
        }
        if !has.is_empty() {
            changes.push(Change::Unlink { name: name.clone(), target: target.clone() });
        }
        if !wants.is_empty() {
            changes.push(Change::Link { name: name.clone(), target: target.clone() });
        }
    }
}

/// What a node has to be set to, and whether its edges to what it belongs to are wrong; nothing if
/// all is well.
fn difference(found: Option<&Drawn>, wanted: &Drawn) -> Option<(Properties, bool)> {
    let misowned = found.is_some_and(|found| found.owners != wanted.owners);
    let same = !misowned && found.is_some_and(|found| found.properties == wanted.properties);
    (!same).then(|| (set(found.map(|found| &found.properties), &wanted.properties), misowned))
}

fn set(found: Option<&Properties>, wanted: &Properties) -> Properties {
    let mut set = wanted.clone();
    if let Some(found) = found {
        set.retain(|name, value| found.get(name) != Some(value));
        let gone = found.keys().filter(|name| !wanted.contains_key(*name));
        set.extend(gone.map(|name| (name.clone(), Value::Null)));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever took the last link to it away meanwhile found no stub, so nobody else looks.
    #[test]
    fn a_node_that_becomes_a_stub_goes_if_nobody_links_to_it_any_more() {
        let node = |stub| Picture {
            node: Some([("stub".to_owned(), Value::Bool(stub))].into()),
            referenced: true,
            ..Picture::default()
        };
        assert!(matches!(node_only(&node(false), &node(true)), Some(Change::DropResource { .. })));
        assert!(matches!(node_only(&node(true), &node(false)), Some(Change::PutResource { .. })));
        assert_eq!(node_only(&node(true), &node(true)), None);
    }
}
