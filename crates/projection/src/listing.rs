//! Lists out of the graph, read to their end: page by page, each in a transaction of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use graph::EntityId;
use stores::{Datum, GraphError, GraphStore, Statement};

use crate::statements::{self, LOOKS_MAX, cursor, page};

/// Up to `limit` keys after this one, sorted: what a statement lists that has the parameters `after` and `limit` and the
/// key as its first column.
///
/// # Errors
///
/// See [`GraphStore::execute`].
pub async fn keys(
    graph: &dyn GraphStore,
    statement: &'static Statement,
    after: &str,
    limit: u32,
    graph_limit: Duration,
) -> Result<Vec<String>, GraphError> {
    let mut found: Vec<String> = Vec::new();
    let mut next = Some(after.to_owned());
    while let Some(after) = next.take() {
        let rest = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        for row in graph.execute(vec![page(statement, &after, rest)], graph_limit).await?.iter().flatten() {
            next = cursor(row).map(str::to_owned);
            found.extend(row.first().and_then(Datum::as_text).map(str::to_owned));
        }
    }
    Ok(found)
}

/// How many stubs there are; not at one moment.
///
/// # Errors
///
/// See [`GraphStore::execute`].
pub async fn count_stubs(graph: &dyn GraphStore, graph_limit: Duration) -> Result<u64, GraphError> {
    let limit = u32::try_from(LOOKS_MAX).expect("a small number");
    let (mut count, mut after) = (0, String::new());
    loop {
        let rows = graph.execute(vec![statements::count_stubs(&after, limit)], graph_limit).await?;
        let Some([stubs, seen, last]) = rows.first().and_then(|rows| rows.first()).map(Vec::as_slice) else {
            return Ok(count);
        };
        let number = |datum: &Datum| datum.as_int().and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        count += number(stubs);
        match last.as_text() {
            Some(last) if number(seen) >= u64::from(limit) => last.clone_into(&mut after),
            _ => return Ok(count),
        }
    }
}

/// How many annotations and how many tombstones are read for each of the resources that are listed.
const NODES_EACH: u32 = 4;

/// The first resources after this one of which the graph has anything, sorted, `limit` of them if there are so many; and
/// whether there are more. A mark is something, and so is an annotation that belongs to nobody: its id says whose it
/// should be.
///
/// # Errors
///
/// See [`GraphStore::execute`].
pub async fn resources(
    graph: &dyn GraphStore,
    after: &str,
    limit: u32,
    graph_limit: Duration,
) -> Result<(Vec<EntityId>, bool), GraphError> {
    let lists = [
        (&statements::DUMP_MARKS, limit),
        (&statements::DUMP_RESOURCES, limit),
        (&statements::LIST_ANNOTATIONS, limit.saturating_mul(NODES_EACH)),
        (&statements::LIST_TOMBSTONES, limit.saturating_mul(NODES_EACH)),
    ];
    let mut all: BTreeSet<EntityId> = BTreeSet::new();
    let (mut after, mut beyond) = (after.to_owned(), String::new());
    loop {
        // Behind all that is under a name of this resource; never back again, for some texts that are no ids of
        // resources come before what is under the name that they begin with.
        if !after.is_empty() {
            beyond = beyond.max(format!("{after}$"));
        }
        let from = [&after, &after, &beyond, &beyond];
        let calls = lists.iter().zip(from).map(|((statement, rows_max), after)| page(statement, after, *rows_max));
        let pages = graph.execute(calls.collect(), graph_limit).await?;
        // Nobody knows what comes behind the end of a page that is full.
        let full = pages.iter().zip(&lists).filter(|(rows, (_, rows_max))| rows.len() >= *rows_max as usize);
        let end = full.filter_map(|(rows, _)| rows.last()?.first()?.as_text()).min_by_key(|id| of(id));
        let ids = pages.iter().flatten().filter_map(|row| Some(of(row.first()?.as_text()?)));
        all.extend(ids.filter(|id| end.is_none_or(|end| *id <= of(end))).filter_map(|id| id.parse().ok()));
        let is_enough = all.len() >= limit as usize;
        match end {
            Some(end) if !is_enough => {
                let next = if of(end) > after.as_str() { of(end) } else { end };
                after = next.to_owned();
            }
            _ => {
                let more = end.is_some() || all.len() > limit as usize;
                return Ok((all.into_iter().take(limit as usize).collect(), more));
            }
        }
    }
}

/// Whose a node of this id is.
fn of(id: &str) -> &str {
    id.split_once('#').map_or(id, |(resource, _)| resource)
}
