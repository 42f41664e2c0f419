//! An entity as the graph alone has it, read from rows.

use graph::{EntityId, Kind, Properties};
use stores::{Datum, Rows};

use crate::commit::LinkView;
use crate::statements::RESERVED;

/// An entity as the graph alone has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphView {
    /// Its type.
    pub kind: Kind,
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
        Ok(Some(GraphView { kind: kind(&node)?, properties: own(node), links: views }))
    }
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

/// The properties that are the user's.
fn own(mut properties: Properties) -> Properties {
    properties.retain(|name, _| !RESERVED.contains(&name.as_str()));
    properties
}
