//! Between the nodes of a store, which have properties only, and those of a dump, which
//! are known by their `id`.

use std::collections::BTreeSet;

use graph::{Node, Properties, Value};

/// The property that names a node.
const ID: &str = "id";

/// A node as a dump shows it.
///
/// An id that is not text is shown as JSON and kept among the properties, and a node
/// without one has the empty id, so that nothing is lost on the way back.
pub(crate) fn to_dump(labels: BTreeSet<String>, mut properties: Properties) -> Node {
    let id = match properties.remove(ID) {
        Some(Value::Text(text)) => text,
        Some(other) => {
            let shown = other.to_string();
            properties.insert(ID.to_owned(), other);
            shown
        }
        None => String::new(),
    };
    Node { id, labels, properties }
}

/// The properties of a node in a dump, with its id among them again.
pub(crate) fn from_dump(node: &Node) -> Properties {
    let mut properties = node.properties.clone();
    if !node.id.is_empty() {
        properties.entry(ID.to_owned()).or_insert_with(|| Value::from(node.id.as_str()));
    }
    properties
}
