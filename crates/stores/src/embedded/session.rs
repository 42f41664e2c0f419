//! The property graph inside one SQLite transaction.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use graph::{Edge, Properties, Snapshot, Value};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params};

use crate::equality::{equality_key, without_nulls};
use crate::property_graph::edge_kind;
use crate::{Direction, EdgeHandle, GraphFault, NodeHandle, PropertyGraph, TextRange, dump};

pub(super) struct Session<'c> {
    connection: &'c Connection,
    /// The first error of SQLite: faults only have its words.
    failure: RefCell<Option<rusqlite::Error>>,
}

/// A value under a constraint, as its equality key.
struct Claim {
    label: String,
    property: String,
    key: Value,
}

/// Properties as they are kept: a JSON object.
struct Json(Properties);

impl ToSql for Json {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(serde_json::to_string(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?
            .into())
    }
}

impl FromSql for Json {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Json> {
        Ok(Json(serde_json::from_str(value.as_str()?).map_err(|error| FromSqlError::Other(error.into()))?))
    }
}

/// The texts of a range that are under a constraint, in order; in the words of their index, or
/// SQLite does not use it. Every text is less than a blob, which is the end where there is none: a choice between two
/// conditions would keep SQLite from stopping at it.
const TEXTS: &str = "SELECT node FROM unique_value
    WHERE label = ?1 AND property = ?2 AND json_type(value) = 'text'
    AND json_extract(value, '$') > ?3 AND json_extract(value, '$') < ?4
    ORDER BY json_extract(value, '$') LIMIT ?5";

/// The greatest whole number that nodes with a label have as a property.
const GREATEST: &str = "SELECT max(json_extract(properties, '$.\"' || ?2 || '\"'))
    FROM label JOIN node ON node.id = label.node
    WHERE label = ?1 AND json_type(properties, '$.\"' || ?2 || '\"') = 'integer'";

/// The edges of a kind from one node to another.
const BETWEEN: &str = "SELECT id FROM edge WHERE source = ?1 AND kind = ?2 AND target = ?3 ORDER BY id";

/// A row id; SQLite's are signed and ours positive.
fn row_id(handle: u64) -> i64 {
    i64::try_from(handle).expect("handles are row ids")
}

fn handle(row_id: i64) -> u64 {
    u64::try_from(row_id).expect("AUTOINCREMENT gives positive ids")
}

impl Session<'_> {
    /// `connection` has to be inside a transaction, which the caller ends.
    pub(super) fn new(connection: &Connection) -> Session<'_> {
        Session { connection, failure: RefCell::default() }
    }

    /// How SQLite failed, if it did.
    pub(super) fn into_failure(self) -> Option<rusqlite::Error> {
        self.failure.into_inner()
    }

    fn storage(&self, error: rusqlite::Error) -> GraphFault {
        let fault = GraphFault::Storage(error.to_string());
        self.failure.borrow_mut().get_or_insert(error);
        fault
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize, GraphFault> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|error| self.storage(error))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, GraphFault> {
        let rows = || self.connection.prepare_cached(sql)?.query_map(params, map)?.collect::<Result<_, _>>();
        rows().map_err(|error| self.storage(error))
    }

    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, GraphFault> {
        let row = || self.connection.prepare_cached(sql)?.query_row(params, map).optional();
        row().map_err(|error| self.storage(error))
    }

    fn is_constrained(&self, label: &str, property: &str) -> Result<bool, GraphFault> {
        let sql = "SELECT 1 FROM uniqueness WHERE label = ?1 AND property = ?2";
        Ok(self.row(sql, (label, property), |_| Ok(()))?.is_some())
    }

    /// The node that holds a value under a constraint.
    fn holder(&self, label: &str, property: &str, key: &Value) -> Result<Option<NodeHandle>, GraphFault> {
        let sql = "SELECT node FROM unique_value WHERE label = ?1 AND property = ?2 AND value = ?3";
        self.row(sql, (label, property, key.to_string()), |row| Ok(NodeHandle(handle(row.get(0)?))))
    }

    /// The values under a constraint that a node with these labels and properties holds;
    /// fails if a node other than `own` holds one of them.
    fn claims(
        &self,
        labels: &BTreeSet<String>,
        properties: &Properties,
        own: Option<NodeHandle>,
    ) -> Result<Vec<Claim>, GraphFault> {
        let mut claims = Vec::new();
        for label in labels {
            let sql = "SELECT property FROM uniqueness WHERE label = ?1 ORDER BY property";
            for property in self.rows(sql, [label], |row| row.get::<_, String>(0))? {
                let Some(value) = properties.get(&property) else { continue };
                let Some(key) = equality_key(value) else { continue };
                let holder = self.holder(label, &property, &key)?;
                if holder.is_some() && holder != own {
                    return Err(GraphFault::Constraint { label: label.clone(), property, value: value.clone() });
                }
                claims.push(Claim { label: label.clone(), property, key });
            }
        }
        Ok(claims)
    }

    /// Makes a node hold these values and no others.
    fn hold(&self, node: NodeHandle, claims: Vec<Claim>) -> Result<(), GraphFault> {
        self.execute("DELETE FROM unique_value WHERE node = ?1", [row_id(node.0)])?;
        for Claim { label, property, key } in claims {
            let sql = "INSERT INTO unique_value (label, property, value, node) VALUES (?1, ?2, ?3, ?4)";
            self.execute(sql, (label, property, key.to_string(), row_id(node.0)))?;
        }
        Ok(())
    }

    /// The nodes with this label, and their properties.
    fn labelled(&self, label: &str) -> Result<Vec<(NodeHandle, Properties)>, GraphFault> {
        let sql = "SELECT id, properties FROM label JOIN node ON node.id = label.node WHERE label = ?1 ORDER BY id";
        self.rows(sql, [label], |row| Ok((NodeHandle(handle(row.get(0)?)), row.get::<_, Json>(1)?.0)))
    }

    fn labels(&self, node: NodeHandle) -> Result<BTreeSet<String>, GraphFault> {
        let labels = self.rows("SELECT label FROM label WHERE node = ?1", [row_id(node.0)], |row| row.get(0))?;
        Ok(labels.into_iter().collect())
    }

    /// Adds a uniqueness constraint, if it is not there; fails if two nodes violate it.
    pub(super) fn constrain(&mut self, label: &str, property: &str) -> Result<(), GraphFault> {
        if self.is_constrained(label, property)? {
            return Ok(());
        }
        self.execute("INSERT INTO uniqueness (label, property) VALUES (?1, ?2)", (label, property))?;
        for node in self.scan(label)? {
            let properties = self.properties(node)?;
            let claims = self.claims(&self.labels(node)?, &properties, Some(node))?;
            self.hold(node, claims)?;
        }
        Ok(())
    }
}

impl PropertyGraph for Session<'_> {
    fn find(&mut self, label: &str, property: &str, value: &Value) -> Result<Vec<NodeHandle>, GraphFault> {
        let Some(key) = equality_key(value) else { return Ok(Vec::new()) };
        if self.is_constrained(label, property)? {
            return Ok(self.holder(label, property, &key)?.into_iter().collect());
        }
        let equals = |properties: &Properties| properties.get(property).and_then(equality_key).as_ref() == Some(&key);
        let nodes = self.labelled(label)?.into_iter();
        Ok(nodes.filter(|(_, properties)| equals(properties)).map(|(node, _)| node).collect())
    }

    fn range(
        &mut self,
        label: &str,
        property: &str,
        range: TextRange<'_>,
        limit: usize,
    ) -> Result<Vec<NodeHandle>, GraphFault> {
        if self.is_constrained(label, property)? {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let end = range.before.map_or(ValueRef::Blob(&[]), ValueRef::from);
            let params = (label, property, range.after, ToSqlOutput::Borrowed(end), limit);
            return self.rows(TEXTS, params, |row| Ok(NodeHandle(handle(row.get(0)?))));
        }
        let nodes = self.labelled(label)?.into_iter().filter_map(|(node, properties)| {
            let text = properties.get(property)?.as_text()?;
            range.contains(text).then(|| (text.to_owned(), node))
        });
        let mut nodes: Vec<(String, NodeHandle)> = nodes.collect();
        nodes.sort();
        nodes.truncate(limit);
        Ok(nodes.into_iter().map(|(_, node)| node).collect())
    }

    fn scan(&mut self, label: &str) -> Result<Vec<NodeHandle>, GraphFault> {
        let sql = "SELECT node FROM label WHERE label = ?1 ORDER BY node";
        self.rows(sql, [label], |row| Ok(NodeHandle(handle(row.get(0)?))))
    }

    fn greatest(&mut self, label: &str, property: &str) -> Result<Option<i64>, GraphFault> {
        Ok(self.row(GREATEST, (label, property), |row| row.get(0))?.flatten())
    }

    fn create(&mut self, labels: &[&str], properties: Properties) -> Result<NodeHandle, GraphFault> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let properties = Json(without_nulls(properties));
        let claims = self.claims(&labels, &properties.0, None)?;
        let sql = "INSERT INTO node (properties) VALUES (?1) RETURNING id";
        let id: i64 = self.row(sql, [&properties], |row| row.get(0))?.expect("an insertion returns its row");
        for label in labels {
            self.execute("INSERT INTO label (label, node) VALUES (?1, ?2)", (label, id))?;
        }
        let node = NodeHandle(handle(id));
        self.hold(node, claims)?;
        Ok(node)
    }

    fn properties(&mut self, node: NodeHandle) -> Result<Properties, GraphFault> {
        let sql = "SELECT properties FROM node WHERE id = ?1";
        Ok(self.row(sql, [row_id(node.0)], |row| row.get::<_, Json>(0))?.ok_or(GraphFault::Gone)?.0)
    }

    fn set_properties(&mut self, node: NodeHandle, properties: Properties) -> Result<(), GraphFault> {
        let properties = Json(without_nulls(properties));
        let claims = self.claims(&self.labels(node)?, &properties.0, Some(node))?;
        match self.execute("UPDATE node SET properties = ?1 WHERE id = ?2", (&properties, row_id(node.0)))? {
            0 => Err(GraphFault::Gone),
            _ => self.hold(node, claims),
        }
    }

    fn delete(&mut self, node: NodeHandle) -> Result<(), GraphFault> {
        let id = row_id(node.0);
        let sql = "SELECT 1 FROM edge WHERE source = ?1 OR target = ?1 LIMIT 1";
        if self.row(sql, [id], |_| Ok(()))?.is_some() {
            return Err(GraphFault::StillConnected);
        }
        self.hold(node, Vec::new())?;
        self.execute("DELETE FROM label WHERE node = ?1", [id])?;
        match self.execute("DELETE FROM node WHERE id = ?1", [id])? {
            0 => Err(GraphFault::Gone),
            _ => Ok(()),
        }
    }

    fn relate(
        &mut self,
        from: NodeHandle,
        kind: &str,
        to: NodeHandle,
        properties: Properties,
    ) -> Result<EdgeHandle, GraphFault> {
        for end in [from, to] {
            self.row("SELECT 1 FROM node WHERE id = ?1", [row_id(end.0)], |_| Ok(()))?.ok_or(GraphFault::Gone)?;
        }
        let kind = edge_kind(kind)?;
        let sql = "INSERT INTO edge (source, kind, target, properties)
                   VALUES (:source, :kind, :target, :properties) RETURNING id";
        let params = named_params! {
            ":source": row_id(from.0),
            ":kind": kind.as_str(),
            ":target": row_id(to.0),
            ":properties": Json(without_nulls(properties)),
        };
        let id = self.row(sql, params, |row| row.get(0))?.expect("an insertion returns its row");
        Ok(EdgeHandle(handle(id)))
    }

    fn edges(
        &mut self,
        node: NodeHandle,
        kind: &str,
        direction: Direction,
    ) -> Result<Vec<(EdgeHandle, NodeHandle)>, GraphFault> {
        self.properties(node)?;
        let sql = match direction {
            Direction::Out => "SELECT id, target FROM edge WHERE source = ?1 AND kind = ?2 ORDER BY id",
            Direction::In => "SELECT id, source FROM edge WHERE target = ?1 AND kind = ?2 ORDER BY id",
        };
        self.rows(sql, (row_id(node.0), kind), |row| {
            Ok((EdgeHandle(handle(row.get(0)?)), NodeHandle(handle(row.get(1)?))))
        })
    }

    fn edges_between(&mut self, from: NodeHandle, kind: &str, to: NodeHandle) -> Result<Vec<EdgeHandle>, GraphFault> {
        for end in [from, to] {
            self.row("SELECT 1 FROM node WHERE id = ?1", [row_id(end.0)], |_| Ok(()))?.ok_or(GraphFault::Gone)?;
        }
        self.rows(BETWEEN, (row_id(from.0), kind, row_id(to.0)), |row| Ok(EdgeHandle(handle(row.get(0)?))))
    }

    fn edge_properties(&mut self, edge: EdgeHandle) -> Result<Properties, GraphFault> {
        let sql = "SELECT properties FROM edge WHERE id = ?1";
        Ok(self.row(sql, [row_id(edge.0)], |row| row.get::<_, Json>(0))?.ok_or(GraphFault::Gone)?.0)
    }

    fn set_edge_properties(&mut self, edge: EdgeHandle, properties: Properties) -> Result<(), GraphFault> {
        let properties = Json(without_nulls(properties));
        match self.execute("UPDATE edge SET properties = ?1 WHERE id = ?2", (&properties, row_id(edge.0)))? {
            0 => Err(GraphFault::Gone),
            _ => Ok(()),
        }
    }

    fn unrelate(&mut self, edge: EdgeHandle) -> Result<(), GraphFault> {
        match self.execute("DELETE FROM edge WHERE id = ?1", [row_id(edge.0)])? {
            0 => Err(GraphFault::Gone),
            _ => Ok(()),
        }
    }
}

/// Everything in the file; `connection` has to be inside a transaction.
pub(super) fn snapshot(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let mut labels: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT node, label FROM label")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        labels.entry(row.get(0)?).or_default().insert(row.get(1)?);
    }

    let mut nodes = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, properties FROM node")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let properties = row.get::<_, Json>(1)?.0;
        nodes.insert(id, dump::to_dump(labels.remove(&id).unwrap_or_default(), properties));
    }

    let mut statement = connection.prepare("SELECT source, kind, target, properties FROM edge")?;
    let edges = statement.query_map((), |row| {
        let end = |column| row.get(column).map(|id: i64| nodes[&id].id.clone());
        let kind: String = row.get(1)?;
        Ok(Edge {
            from: end(0)?,
            kind: kind.parse().expect("kinds are checked before they are written"),
            to: end(2)?,
            properties: row.get::<_, Json>(3)?.0,
        })
    })?;
    let edges = edges.collect::<rusqlite::Result<_>>()?;
    Ok(Snapshot::new(nodes.into_values().collect(), edges))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite does for a query.
    fn plan(query: &str, params: impl Params) -> Vec<String> {
        let sql = Connection::open_in_memory().unwrap();
        for migration in crate::embedded::SCHEMA.migrations {
            sql.execute_batch(migration).unwrap();
        }
        let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let steps = plan.query_map(params, |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_edges_between_two_nodes_are_read_without_the_others_of_either() {
        let steps = plan(BETWEEN, (1, "knows", 2));
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(steps[0].contains("edge_between (source=? AND kind=? AND target=?)"), "{steps:?}");
    }

    #[test]
    fn a_page_of_texts_is_read_from_their_index_and_not_sorted() {
        let steps = plan(TEXTS, ("A", "id", "", ToSqlOutput::Borrowed(ValueRef::Blob(&[])), 1));
        assert_eq!(steps.len(), 1, "{steps:?}");
        // Both ends are, or else each resource of a rebuild looks at all that come after it.
        let both = "INDEX unique_value_text (label=? AND property=? AND <expr>>? AND <expr><?)";
        assert!(steps[0].contains(both), "{steps:?}");
    }
}
