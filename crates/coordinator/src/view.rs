//! An entity as the graph alone has it, read from rows.

use graph::{CANONICAL_KEY_PROPERTY, CanonicalKey, Content, EntityId, Kind, Properties, Subject};
use stores::{Datum, Rows};

use crate::commit::LinkView;
use crate::reconcile::Held;
use crate::statements::RESERVED;

/// An entity as the graph alone has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphView {
    /// Its type.
    pub kind: Kind,
    /// Its canonical key, if it has one.
    pub key: Option<CanonicalKey>,
    /// Its properties.
    pub properties: Properties,
    /// The links that leave it, sorted.
    pub links: Vec<LinkView>,
}

/// The graph holds something that the coordinator cannot have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the graph holds {0}, which the coordinator did not write")]
pub struct Unreadable(String);

impl GraphView {
    /// From the rows of [`READ_ENTITY`](crate::statements::READ_ENTITY) and
    /// [`READ_LINKS_OUT`](crate::statements::READ_LINKS_OUT); `None` where there is no entity.
    pub fn from_rows(entity: &Rows, links: &Rows) -> Result<Option<GraphView>, Unreadable> {
        let node = match entity.as_slice() {
            [] => return Ok(None),
            [row] => properties(row.first())?,
            _ => return Err(Unreadable(format!("{} entities of one id", entity.len()))),
        };
        let mut views = links.iter().map(link).collect::<Result<Vec<LinkView>, Unreadable>>()?;
        views.sort();
        Ok(Some(GraphView { kind: kind(&node)?, key: key(&node)?, properties: own(node), links: views }))
    }
}

/// What the graph has of a subject, and what touches it: from the rows of
/// [`statements::examine`](crate::statements::examine).
pub(crate) struct Examined {
    pub held: Held,
    /// Of an entity: whether a link touches it.
    pub linked: bool,
    /// Of a link: whether an end of it is missing.
    pub loose: bool,
}

impl Examined {
    pub(crate) fn from_rows(subject: &Subject, rows: &[Rows]) -> Examined {
        let [first, links, last] = [0, 1, 2].map(|index| rows.get(index).map(Vec::as_slice).unwrap_or_default());
        match subject {
            Subject::Entity(_) => Examined {
                held: held(first, "entities of one id"),
                linked: !links.is_empty() || !last.is_empty(),
                loose: false,
            },
            Subject::Link { .. } => Examined {
                held: held(links, "links of one name"),
                linked: false,
                loose: first.is_empty() || last.is_empty(),
            },
        }
    }
}

fn held(rows: &[Vec<Datum>], several: &str) -> Held {
    match rows {
        [] => Held::Absent,
        [row] => content(row.first()).map_or_else(|error| Held::Unreadable(error.0), Held::Present),
        rows => Held::Unreadable(format!("{} {several}", rows.len())),
    }
}

/// What an element is, from the cell with its properties.
pub(crate) fn content(cell: Option<&Datum>) -> Result<Content, Unreadable> {
    let properties = properties(cell)?;
    Ok(Content { kind: kind(&properties)?, key: key(&properties)?, properties: own(properties) })
}

fn link(row: &Vec<Datum>) -> Result<LinkView, Unreadable> {
    let [_, Datum::Text(to), map] = row.as_slice() else { return Err(Unreadable(format!("a link {row:?}"))) };
    let edge = properties(Some(map))?;
    let to = EntityId::new(to.clone()).map_err(|error| Unreadable(format!("a link to {to:?} ({error})")))?;
    Ok(LinkView { kind: kind(&edge)?, to, properties: own(edge) })
}

fn properties(cell: Option<&Datum>) -> Result<Properties, Unreadable> {
    cell.and_then(Datum::to_properties).ok_or_else(|| Unreadable(format!("properties {cell:?}")))
}

fn kind(properties: &Properties) -> Result<Kind, Unreadable> {
    let kind = properties.get("kind").and_then(|kind| kind.as_text());
    kind.and_then(|kind| Kind::new(kind).ok()).ok_or_else(|| Unreadable(format!("no kind among {properties:?}")))
}

fn key(properties: &Properties) -> Result<Option<CanonicalKey>, Unreadable> {
    let Some(qualified) = properties.get(CANONICAL_KEY_PROPERTY) else { return Ok(None) };
    let parts = qualified.as_text().and_then(CanonicalKey::from_qualified);
    match parts {
        Some((of, key)) if of == kind(properties)? => Ok(Some(key)),
        _ => Err(Unreadable(format!("the canonical key {qualified:?} at a {}", kind(properties)?))),
    }
}

/// The properties that are the user's.
fn own(mut properties: Properties) -> Properties {
    properties.retain(|name, _| !RESERVED.contains(&name.as_str()));
    properties
}
