//! The least a property graph can do: what interpretations of statements are written in.

use graph::{Kind, Properties, Value};

/// Names a node within one statement; says nothing outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHandle(pub u64);

/// Names an edge within one statement; says nothing outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeHandle(pub u64);

/// Which edges of a node are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those that leave it.
    Out,
    /// Those that enter it.
    In,
}

/// The texts between two others, in the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRange<'a> {
    /// All of them come after this one.
    pub after: &'a str,
    /// All of them come before this one, if there is one.
    pub before: Option<&'a str>,
}

impl TextRange<'_> {
    /// Whether a text is one of them.
    pub fn contains(&self, text: &str) -> bool {
        text > self.after && self.before.is_none_or(|before| text < before)
    }
}

/// Why a graph did not carry out part of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphFault {
    /// A uniqueness constraint stands against it.
    #[error("a node with label {label} and {property} = {value} exists already")]
    Constraint {
        /// The constrained label.
        label: String,
        /// The constrained property.
        property: String,
        /// The value that is taken.
        value: Value,
    },
    /// A node with edges cannot be deleted.
    #[error("cannot delete a node that still has edges")]
    StillConnected,
    /// The statement was called with parameters it does not take.
    #[error("parameter ${0} is missing or of the wrong type")]
    Parameter(String),
    /// An edge was to have a type whose name is not allowed.
    #[error("{0:?} is no name for the type of an edge")]
    Kind(String),
    /// The handle names nothing: what it named has been deleted.
    #[error("the node or edge has been deleted")]
    Gone,
    /// Somebody else changed what this transaction changes; the same may succeed later.
    #[error("conflict with a concurrent transaction")]
    Conflict,
    /// The storage below failed.
    #[error("storage failed: {0}")]
    Storage(String),
}

/// A property graph inside one transaction.
///
/// Like in openCypher, a null property is an absent one: setting it to null removes it; and
/// a value equals another when `=` says so: 1 equals 1.0, and null equals nothing, not even
/// inside a list. Every order is that of creation. A handle of something deleted fails with
/// [`GraphFault::Gone`].
pub trait PropertyGraph {
    /// The nodes with this label whose property equals this value.
    fn find(&mut self, label: &str, property: &str, value: &Value) -> Result<Vec<NodeHandle>, GraphFault>;

    /// The first nodes, `limit` at most, with this label whose property is a text of the range,
    /// in the order of the texts. Takes time by `limit` where a uniqueness constraint gives the
    /// property an index, and by the number of nodes where none does.
    fn range(
        &mut self,
        label: &str,
        property: &str,
        range: TextRange<'_>,
        limit: usize,
    ) -> Result<Vec<NodeHandle>, GraphFault>;

    /// All nodes with this label.
    fn scan(&mut self, label: &str) -> Result<Vec<NodeHandle>, GraphFault>;

    /// The greatest whole number that nodes with this label have as the property. Looks at all of them, at once: it takes
    /// time by their number, but far less than [`scan`](Self::scan) with the properties of each.
    fn greatest(&mut self, label: &str, property: &str) -> Result<Option<i64>, GraphFault>;

    /// Adds a node.
    fn create(&mut self, labels: &[&str], properties: Properties) -> Result<NodeHandle, GraphFault>;

    /// The properties of a node, nulls left out.
    fn properties(&mut self, node: NodeHandle) -> Result<Properties, GraphFault>;

    /// Replaces the properties of a node.
    fn set_properties(&mut self, node: NodeHandle, properties: Properties) -> Result<(), GraphFault>;

    /// Removes a node; fails while it has edges.
    fn delete(&mut self, node: NodeHandle) -> Result<(), GraphFault>;

    /// Adds an edge.
    fn relate(
        &mut self,
        from: NodeHandle,
        kind: &str,
        to: NodeHandle,
        properties: Properties,
    ) -> Result<EdgeHandle, GraphFault>;

    /// The edges of a node of this kind and direction with the node at the other end.
    fn edges(
        &mut self,
        node: NodeHandle,
        kind: &str,
        direction: Direction,
    ) -> Result<Vec<(EdgeHandle, NodeHandle)>, GraphFault>;

    /// The edges of this kind from one node to another. Takes time by the fewer edges of the two nodes at most.
    fn edges_between(&mut self, from: NodeHandle, kind: &str, to: NodeHandle) -> Result<Vec<EdgeHandle>, GraphFault>;

    /// The properties of an edge, nulls left out.
    fn edge_properties(&mut self, edge: EdgeHandle) -> Result<Properties, GraphFault>;

    /// Replaces the properties of an edge.
    fn set_edge_properties(&mut self, edge: EdgeHandle, properties: Properties) -> Result<(), GraphFault>;

    /// Removes an edge.
    fn unrelate(&mut self, edge: EdgeHandle) -> Result<(), GraphFault>;
}

/// The type of an edge, checked.
pub(crate) fn edge_kind(text: &str) -> Result<Kind, GraphFault> {
    Kind::new(text).map_err(|_| GraphFault::Kind(text.to_owned()))
}
