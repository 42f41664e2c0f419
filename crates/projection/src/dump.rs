//! All that the projection has in a graph, read page by page.
//!
//! Not one moment of it: whoever compares dumps sees to it that nothing is written meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use graph::{Edge, EntityId, Kind, Node, Snapshot};
use stores::{Call, Datum, GraphError, GraphStore, Rows, Statement};

use crate::lanes::Applied;
use crate::statements::{self, edge_page, page};

/// All that the projection has in a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Nodes and edges; its [`Display`](std::fmt::Display) is one line an element.
    pub graph: Snapshot,
    /// How far it shows each resource.
    pub marks: BTreeMap<EntityId, Applied>,
}

/// Reads all of it, in pages of `rows_max`.
///
/// Of two edges between the same nodes, which the projection never makes, the end of a page may
/// hide one.
///
/// # Errors
///
/// See [`GraphStore::execute`]; and a refusal where a row is nothing that the projection would write.
pub async fn dump(graph: &dyn GraphStore, rows_max: u32, limit: Duration) -> Result<Dump, GraphError> {
    let reader = Reader { graph, rows_max, limit };
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (statement, label) in [
        (&statements::DUMP_RESOURCES, "Resource"),
        (&statements::DUMP_ANNOTATIONS, "Annotation"),
        (&statements::DUMP_TOMBSTONES, "Tombstone"),
        (&statements::DUMP_VOCABULARY, "Vocabulary"),
    ] {
        for row in reader.pages(statement).await? {
            nodes.push(node(&row, label).ok_or_else(unreadable)?);
        }
    }
    for (statement, kind) in [(&statements::DUMP_OWNERS, "BELONGS_TO"), (&statements::DUMP_REFERENCES, "REFERENCES")] {
        for row in reader.edge_pages(statement).await? {
            edges.push(edge(&row, kind).ok_or_else(unreadable)?);
        }
    }
    let mut marks = BTreeMap::new();
    for row in reader.pages(&statements::DUMP_MARKS).await? {
        let resource = row[0].as_text().and_then(|resource| resource.parse().ok());
        let (resource, applied) = resource.zip(statements::applied(&row)).ok_or_else(unreadable)?;
        marks.insert(resource, applied);
    }
    Ok(Dump { graph: Snapshot::new(nodes, edges), marks })
}

/// Sorts after every id.
const BEYOND: &str = "\u{10FFFF}";

struct Reader<'g> {
    graph: &'g dyn GraphStore,
    rows_max: u32,
    limit: Duration,
}

impl Reader<'_> {
    async fn pages(&self, statement: &'static Statement) -> Result<Rows, GraphError> {
        self.all(|last| page(statement, last.map_or("", |row| text(&row[0])), self.rows_max)).await
    }

    async fn edge_pages(&self, statement: &'static Statement) -> Result<Rows, GraphError> {
        let next = |last: Option<&Vec<Datum>>| {
            let (from, to) = last.map_or(("", ""), |row| match statements::cursor(row) {
                Some(source) => (source, BEYOND),
                None => (text(&row[0]), text(&row[1])),
            });
            edge_page(statement, from, to, self.rows_max)
        };
        self.all(next).await
    }

    async fn all(&self, next: impl Fn(Option<&Vec<Datum>>) -> Call) -> Result<Rows, GraphError> {
        let (mut all, mut last) = (Rows::new(), None);
        loop {
            let call = next(last.as_ref());
            let rows: Rows = self.graph.execute(vec![call], self.limit).await?.into_iter().flatten().collect();
            last = rows.last().cloned();
            if last.is_none() {
                return Ok(all);
            }
            all.extend(rows.into_iter().filter(|row| statements::cursor(row).is_none()));
        }
    }
}

fn text(datum: &Datum) -> &str {
    datum.as_text().unwrap_or_default()
}

fn node(row: &[Datum], label: &str) -> Option<Node> {
    let mut properties = row[1].to_properties()?;
    properties.remove("id");
    Some(Node { id: row[0].as_text()?.to_owned(), labels: BTreeSet::from([label.to_owned()]), properties })
}

fn edge(row: &[Datum], kind: &str) -> Option<Edge> {
    let end = |datum: &Datum| datum.as_text().map(str::to_owned);
    Some(Edge {
        from: end(&row[0])?,
        kind: Kind::new(kind).ok()?,
        to: end(&row[1])?,
        properties: row[2].to_properties()?,
    })
}

fn unreadable() -> GraphError {
    GraphError::Refused {
        code: "Unreadable".to_owned(),
        message: "the graph has something that the projection would not write".to_owned(),
        retryable: false,
    }
}
