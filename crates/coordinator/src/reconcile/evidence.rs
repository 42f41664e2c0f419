//! What both stores and the events say about one entity or link, read under its lock.

use std::collections::BTreeSet;

use graph::{CANONICAL_KEY_PROPERTY, CanonicalKey, Content, EntityId, Kind, Subject, TxId};
use serde::{Deserialize, Serialize};

/// What is known about a subject at one moment: nothing that runs had it in its hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// The entity or the link.
    pub subject: Subject,
    /// What the graph has.
    pub graph: Held,
    /// What SQLite has.
    pub sql: Option<Content>,
    /// What its events make of it.
    pub log: Logged,
    /// Of an entity: whether a link touches it, in either store.
    pub linked: bool,
    /// Of a link: whether one of its ends is missing, in either store.
    pub loose: bool,
    /// Of an entity: which others have, in either store, a canonical key that is its own by the graph,
    /// by SQLite or by its events; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rival>,
    /// Of what is in SQLite: what its events do not say of it, by name. `version` and `tx` of the row;
    /// `content`; `events`, where they cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unaccounted: Vec<String>,
}

/// An entity that has the canonical key of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rival {
    /// The kind of both.
    pub kind: Kind,
    /// The key.
    pub key: CanonicalKey,
    /// Who has it.
    pub by: EntityId,
}

/// What the graph has of a subject; anybody may write to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Nothing.
    Absent,
    /// One element that reads like ours.
    Present(Content),
    /// Something that this program cannot have written.
    Unreadable(String),
}

impl Held {
    /// What it is, where it can be read.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Held::Present(content) => Some(content),
            Held::Absent | Held::Unreadable(_) => None,
        }
    }
}

/// What the events of a subject make of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logged {
    /// No transaction ever committed that had to do with it.
    Never,
    /// The last one removed it.
    Removed {
        /// The last one.
        tx: TxId,
    },
    /// It is there.
    Present {
        /// What it is.
        content: Content,
        /// The last transaction that had to do with it.
        tx: TxId,
    },
    /// The events are not what was written, or some are missing.
    Unreadable(String),
}

impl Logged {
    /// What it is, where it is there.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Logged::Present { content, .. } => Some(content),
            Logged::Never | Logged::Removed { .. } | Logged::Unreadable(_) => None,
        }
    }
}

/// In which way the stores differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// SQLite does not have it.
    OnlyInGraph,
    /// The graph does not have it.
    OnlyInSql,
    /// Both have it, and not the same.
    Different,
    /// Both have the same, and its events do not account for that.
    Unaccounted,
}

impl Evidence {
    /// Whether both stores have the same, and what SQLite has is what its events say.
    pub fn agrees(&self) -> bool {
        self.divergence().is_none()
    }

    /// In which way the stores differ, if they do.
    pub fn divergence(&self) -> Option<Divergence> {
        match (&self.graph, &self.sql) {
            (Held::Absent, None) => None,
            (Held::Present(graph), Some(sql)) if graph == sql => {
                (!self.unaccounted.is_empty()).then_some(Divergence::Unaccounted)
            }
            (Held::Absent, Some(_)) => Some(Divergence::OnlyInSql),
            (Held::Present(_) | Held::Unreadable(_), None) => Some(Divergence::OnlyInGraph),
            (Held::Present(_) | Held::Unreadable(_), Some(_)) => Some(Divergence::Different),
        }
    }

    /// The canonical keys that one of the accounts gives to the entity, each with its kind. A link has none.
    pub(crate) fn keys(&self) -> BTreeSet<(Kind, CanonicalKey)> {
        let accounts = [self.graph.content(), self.sql.as_ref(), self.log.content()].into_iter().flatten();
        accounts.filter_map(|content| Some((content.kind.clone(), content.key.clone()?))).collect()
    }

    /// Notes who has one of these keys in a store, unless it is the subject itself.
    pub(crate) fn note_holder(&mut self, kind: Kind, key: CanonicalKey, by: EntityId) {
        let rival = Rival { kind, key, by };
        if self.subject != Subject::Entity(rival.by.clone())
            && let Err(place) = self.rivals.binary_search(&rival)
        {
            self.rivals.insert(place, rival);
        }
    }

    /// The names of the properties that differ, `kind` and `canonical_key` among them, where both stores have the
    /// subject and the graph's is readable; what is not accounted for, where nothing else differs.
    pub fn fields(&self) -> Vec<String> {
        let (Held::Present(graph), Some(sql)) = (&self.graph, &self.sql) else { return Vec::new() };
        if graph == sql {
            return self.unaccounted.clone();
        }
        let kind = (graph.kind != sql.kind).then(|| "kind".to_owned());
        let key = (graph.key != sql.key).then(|| CANONICAL_KEY_PROPERTY.to_owned());
        let names = graph.properties.keys().chain(sql.properties.keys().filter(|n| !graph.properties.contains_key(*n)));
        let mut names: Vec<String> = names
            .filter(|name| graph.properties.get(*name) != sql.properties.get(*name))
            .cloned()
            .chain(kind)
            .chain(key)
            .collect();
        names.sort();
        names
    }
}
