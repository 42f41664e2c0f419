//! What the rows say that the statements of [`statements::load`](crate::statements::load) return.

use std::collections::BTreeMap;

use graph::{EntityId, Properties};
use stores::{Datum, Rows};

use crate::event::system;
use crate::fold::{Damage, Drawn, parse_node_id};
use crate::lanes::{Found, Parts, Want};
use crate::statements;

/// The resources that were asked for, in that order.
///
/// # Errors
///
/// A row is nothing that the projection would write; which of the resources it is about is not
/// said.
pub fn found(wants: &[Want], rows: Vec<Rows>) -> Result<Vec<Found>, Damage> {
    let mut rows = rows.into_iter();
    let mut next = || rows.next().unwrap_or_default();
    let mut reading = Reading { found: wants.iter().map(|want| (want.resource.clone(), Found::default())).collect() };
    for row in next() {
        let applied = statements::applied(&row).ok_or_else(|| Damage("a mark".to_owned()))?;
        reading.of(&row[0])?.applied = applied;
    }
    for row in next() {
        reading.of(&row[0])?.picture.node = Some(properties(&row)?);
    }
    for row in next() {
        reading.annotation(&row)?.properties = properties(&row)?;
    }
    for row in next() {
        reading.tombstone(&row)?.properties = properties(&row)?;
    }
    for row in next() {
        reading.word(&row)?;
    }
    for row in next() {
        reading.annotation(&row)?.properties = properties(&row)?;
    }
    for row in next() {
        reading.tombstone(&row)?.properties = properties(&row)?;
    }
    for row in next() {
        let edge = edge(&row)?;
        reading.annotation(&row)?.owners.push(edge);
    }
    for row in next() {
        let edge = edge(&row)?;
        reading.annotation(&row)?.links.push(edge);
    }
    for row in next() {
        let edge = edge(&row)?;
        reading.tombstone(&row)?.owners.push(edge);
    }
    for row in next() {
        reading.of(&row[0])?.picture.referenced = true;
    }
    for row in next() {
        reading.word(&row)?;
    }
    let mut found = reading.found;
    let take = |want: &Want| -> Found {
        let mut found = found.remove(&want.resource).unwrap_or_default();
        if want.parts != Parts::All {
            found.picture.referenced = found.picture.node.is_some();
        }
        for drawn in found.picture.annotations.values_mut().chain(found.picture.tombstones.values_mut()) {
            drawn.owners.sort();
            drawn.links.sort();
        }
        found
    };
    Ok(wants.iter().map(take).collect())
}

struct Reading {
    found: BTreeMap<EntityId, Found>,
}

impl Reading {
    fn of(&mut self, id: &Datum) -> Result<&mut Found, Damage> {
        let resource = id.as_text().and_then(|id| id.parse::<EntityId>().ok());
        resource.and_then(|resource| self.found.get_mut(&resource)).ok_or_else(|| damage(id))
    }

    fn annotation(&mut self, row: &[Datum]) -> Result<&mut Drawn, Damage> {
        let (found, name) = self.named(&row[0])?;
        Ok(found.picture.annotations.entry(name).or_default())
    }

    fn tombstone(&mut self, row: &[Datum]) -> Result<&mut Drawn, Damage> {
        let (found, name) = self.named(&row[0])?;
        Ok(found.picture.tombstones.entry(name).or_default())
    }

    fn word(&mut self, row: &[Datum]) -> Result<(), Damage> {
        let id = row[0].as_text().ok_or_else(|| damage(&row[0]))?;
        let properties = properties(row)?;
        let found = self.found.get_mut(&system()).ok_or_else(|| damage(&row[0]))?;
        found.picture.vocabulary.insert(id.to_owned(), properties);
        Ok(())
    }

    /// Nodes of resources that were not asked for are found where an edge too many leads to them;
    /// they are left to their own resource.
    fn named(&mut self, id: &Datum) -> Result<(&mut Found, EntityId), Damage> {
        let (resource, name) = id.as_text().and_then(parse_node_id).ok_or_else(|| damage(id))?;
        Ok((self.found.entry(resource).or_default(), name))
    }
}

fn properties(row: &[Datum]) -> Result<Properties, Damage> {
    let mut properties = row.last().and_then(Datum::to_properties).ok_or_else(|| damage(&row[0]))?;
    properties.remove("id");
    Ok(properties)
}

fn edge(row: &[Datum]) -> Result<(EntityId, Properties), Damage> {
    let to = row[1].as_text().and_then(|to| to.parse().ok()).ok_or_else(|| damage(&row[0]))?;
    Ok((to, row[2].to_properties().ok_or_else(|| damage(&row[0]))?))
}

fn damage(id: &Datum) -> Damage {
    Damage(format!("what is around {}", id.as_text().unwrap_or("a node without an id")))
}
