//! What is around an entity: a breadth-first search over the links in the graph.
//!
//! Links count whichever way they point. Each distance is read by transactions of its own, so
//! the whole is the graph at no one moment; it is for looking around, and no lock is taken.
//! What comes after a place is found by searching anew up to there: pages need no memory between
//! them, and the search is bounded by [`Part::visited_max`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use graph::{EntityId, IdError, Kind};
use serde::{Deserialize, Serialize};
use stores::{Datum, GraphError, GraphStore, Rows};

use crate::statements;

/// A bound for a search that serves a request: some megabytes, and a few hundred readings.
pub const VISITED_MAX: usize = 10_000;

/// The links of how many entities one transaction reads.
const CHUNK: usize = 100;

/// Which part of a neighbourhood is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The largest distance.
    pub depth: u32,
    /// How many neighbours at most.
    pub limit: u32,
    /// The place behind which they stand; none is the beginning.
    pub after: Option<Place>,
    /// How many entities the search may look at, the one in the middle included.
    pub visited_max: usize,
}

/// A place in the order of a neighbourhood: by distance, then by id. As text, `2:alice`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// How many links away.
    pub distance: u32,
    /// Which entity.
    pub id: EntityId,
}

/// The text is not a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is not of the form `DISTANCE:ID`.
    #[error("expected DISTANCE:ID, as in 2:alice")]
    Form,
    /// The id is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.distance, self.id)
    }
}

impl FromStr for Place {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Place, PlaceError> {
        // An id may have colons, a distance has none.
        let (distance, id) = text.split_once(':').ok_or(PlaceError::Form)?;
        Ok(Place { distance: distance.parse().map_err(|_| PlaceError::Form)?, id: id.parse()? })
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;
    fn try_from(text: String) -> Result<Place, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

/// A link, by its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// The entity that it leaves.
    pub from: EntityId,
    /// Its type.
    pub kind: Kind,
    /// The entity that it enters.
    pub to: EntityId,
}

/// An entity in a neighbourhood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Which.
    pub id: EntityId,
    /// How many links it is away, at least 1.
    pub distance: u32,
    /// The links between it and those that are one nearer, sorted.
    pub links: BTreeSet<Link>,
}

/// A part of a neighbourhood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Those in it, by distance and id.
    pub neighbours: Vec<Neighbour>,
    /// The place of the last, if more come after it.
    pub next: Option<Place>,
    /// Whether the search ended at [`Part::visited_max`].
    pub truncated: bool,
}

/// Searches; `None` where there is no such entity.
pub(crate) async fn explore(
    graph: &dyn GraphStore,
    limit: Duration,
    start: &EntityId,
    part: &Part,
) -> Result<Option<Found>, GraphError> {
    let entity = graph.execute(statements::read_entity(start), limit).await?;
    if entity.first().is_none_or(Vec::is_empty) {
        return Ok(None);
    }
    let mut found = Found { neighbours: Vec::new(), next: None, truncated: false };
    let mut seen = BTreeSet::from([start.clone()]);
    let mut frontier = vec![start.clone()];
    for distance in 1..=part.depth {
        let mut layer = BTreeMap::<EntityId, BTreeSet<Link>>::new();
        for chunk in frontier.chunks(CHUNK) {
            let rows = graph.execute(statements::read_links(chunk), limit).await?;
            for (other, link) in links(chunk, &rows)? {
                if !seen.contains(&other) {
                    layer.entry(other).or_default().insert(link);
                }
            }
        }
        while seen.len() + layer.len() > part.visited_max {
            layer.pop_last();
            found.truncated = true;
        }
        frontier = layer.keys().cloned().collect();
        seen.extend(frontier.iter().cloned());
        for (id, links) in layer {
            let place = Place { distance, id: id.clone() };
            if part.after.as_ref().is_some_and(|after| place <= *after) {
                continue;
            }
            if found.neighbours.len() == part.limit as usize {
                found.next = found.neighbours.last().map(|last| Place { distance: last.distance, id: last.id.clone() });
                return Ok(Some(found));
            }
            found.neighbours.push(Neighbour { id, distance, links });
        }
        if frontier.is_empty() || found.truncated {
            break;
        }
    }
    Ok(Some(found))
}

/// The links in the rows of [`read_links`](statements::read_links), each with its other end.
fn links(ids: &[EntityId], rows: &[Rows]) -> Result<Vec<(EntityId, Link)>, GraphError> {
    let mut links = Vec::new();
    for (id, pair) in ids.iter().zip(rows.chunks(2)) {
        for (outward, rows) in [true, false].into_iter().zip(pair) {
            for row in rows {
                links.push(link(id, outward, row)?);
            }
        }
    }
    Ok(links)
}

fn link(id: &EntityId, outward: bool, row: &[Datum]) -> Result<(EntityId, Link), GraphError> {
    let text = |index: usize| row.get(index).and_then(Datum::as_text).unwrap_or_default();
    let unreadable = |error: IdError| GraphError::Refused {
        code: "Unreadable".to_owned(),
        message: format!("the graph holds a link of {id} that the coordinator did not write: {error}"),
        retryable: false,
    };
    let kind = Kind::new(text(0)).map_err(unreadable)?;
    let other = EntityId::new(text(1)).map_err(unreadable)?;
    let (from, to) = if outward { (id.clone(), other.clone()) } else { (other.clone(), id.clone()) };
    Ok((other, Link { from, kind, to }))
}

#[cfg(test)]
mod tests {
    use graph::{Operation, Patch};
    use stores::memory::MemoryGraph;

    use super::*;

    fn entity(id: &str) -> EntityId {
        EntityId::new(id).unwrap()
    }

    /// A star: a middle, and some around it.
    async fn star(points: usize) -> MemoryGraph {
        let (graph, kind) = (MemoryGraph::new(), Kind::new("k").unwrap());
        let create = |id| Operation::Create { id, kind: kind.clone(), key: None, properties: [].into() };
        let mut operations = vec![create(entity("middle"))];
        for point in (0..points).map(|point| entity(&format!("p{point}"))) {
            operations.push(create(point.clone()));
            let (from, kind) = (entity("middle"), kind.clone());
            operations.push(Operation::Link { from, kind, to: point, properties: [].into() });
        }
        graph.execute(statements::calls_for(&Patch { operations }), LIMIT).await.unwrap();
        graph
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_search_ends_where_it_was_told_and_says_so() {
        let graph = star(9).await;
        for (visited_max, count, truncated) in [(10, 9, false), (9, 8, true), (4, 3, true)] {
            let part = Part { depth: 8, limit: 100, after: None, visited_max };
            let found = explore(&graph, LIMIT, &entity("middle"), &part).await.unwrap().unwrap();
            assert_eq!((found.neighbours.len(), found.truncated, found.next), (count, truncated, None));
        }
    }

    #[tokio::test]
    async fn a_distance_is_more_than_one_transaction_reads() {
        let graph = star(250).await;
        let part = Part { depth: 2, limit: 1_000, after: None, visited_max: VISITED_MAX };
        let found = explore(&graph, LIMIT, &entity("p7"), &part).await.unwrap().unwrap();
        assert_eq!(found.neighbours.len(), 250);
        let part = Part { depth: 3, ..part };
        assert_eq!(explore(&graph, LIMIT, &entity("p7"), &part).await.unwrap(), Some(found));
        assert_eq!(explore(&graph, LIMIT, &entity("p250"), &part).await.unwrap(), None);
    }

    #[test]
    fn a_place_is_read_back_from_its_text() {
        let place = Place { distance: 2, id: EntityId::new("org:a/b").unwrap() };
        assert_eq!(place.to_string(), "2:org:a/b");
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "alice", ":alice", "x:alice", "-1:alice"] {
            assert_eq!(text.parse::<Place>(), Err(PlaceError::Form), "{text:?}");
        }
        assert!(matches!("1:a b".parse::<Place>(), Err(PlaceError::Id(_))));
    }
}
