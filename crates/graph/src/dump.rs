//! The canonical dump: a graph as text, one line an element, the same for equal graphs.
//!
//! ```text
//! node alice :Entity {"age":7,"kind":"person"}
//! edge alice -[LINK {"kind":"knows"}]-> bob
//! ```
//!
//! Nodes come before edges, both sorted. Properties are JSON with sorted names; an id or a
//! label with any character that an [`EntityId`](crate::EntityId) may not have is a JSON
//! string. So two snapshots are equal exactly if their dumps are.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::text::{self, Word};
use crate::{Edge, Node, Snapshot};

impl Snapshot {
    /// The SHA-256 of the dump, in lower-case hexadecimal.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The canonical dump; each line ends with a line feed, and an empty graph has none.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in self.nodes() {
            writeln!(f, "{node}")?;
        }
        for edge in self.edges() {
            writeln!(f, "{edge}")?;
        }
        Ok(())
    }
}

/// Its line in the dump.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", Word(&self.id))?;
        for label in &self.labels {
            write!(f, " :{}", Word(label))?;
        }
        write!(f, " {}", text::json(&self.properties))
    }
}

/// Its line in the dump.
impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edge { from, kind, to, properties } = self;
        write!(f, "edge {} -[{kind} {}]-> {}", Word(from), text::json(properties), Word(to))
    }
}
