//! Entities.

use graph::{CANONICAL_KEY_PROPERTY, Properties, Value};
use stores::{Datum, Direction, GraphFault, Params, PropertyGraph, Rows, Statement, TextRange};

use super::{cell, changed, find, limit, links, property_map, text};

pub(super) const LABEL: &str = "Entity";

/// Adds an entity. Changes nothing where the id is taken; fails on the uniqueness of
/// `Entity.id` when another transaction takes it at the same time.
///
/// The constraint alone would not do: ArcadeDB checks it when the transaction commits, and by
/// then a later statement may have deleted either of the two.
pub static CREATE_ENTITY: Statement = Statement {
    name: "create_entity",
    cypher: "OPTIONAL MATCH (old:Entity {id: $id}) WITH count(old) AS existing WHERE existing = 0 \
             CREATE (n:Entity {id: $id, kind: $kind}) SET n += $properties RETURN count(n) AS changed",
    columns: &["changed"],
    run: create_entity,
};

fn create_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let id = text(params, "id")?;
    if !find(graph, LABEL, "id", id)?.is_empty() {
        return Ok(changed(0));
    }
    let mut properties =
        Properties::from([("id".to_owned(), Value::from(id)), ("kind".to_owned(), Value::from(text(params, "kind")?))]);
    properties.extend(property_map(params, "properties")?);
    graph.create(&[LABEL], properties)?;
    Ok(changed(1))
}

/// Adds an entity with a canonical key. Changes nothing where the id or the key is taken; fails
/// on the uniqueness of either when another transaction takes it at the same time.
pub static CREATE_KEYED_ENTITY: Statement = Statement {
    name: "create_keyed_entity",
    cypher: "OPTIONAL MATCH (old:Entity {id: $id}) WITH count(old) AS existing \
             OPTIONAL MATCH (holder:Entity {canonical_key: $key}) WITH existing, count(holder) AS holders \
             WHERE existing = 0 AND holders = 0 \
             CREATE (n:Entity {id: $id, kind: $kind, canonical_key: $key}) SET n += $properties \
             RETURN count(n) AS changed",
    columns: &["changed"],
    run: create_keyed_entity,
};

fn create_keyed_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (id, key) = (text(params, "id")?, text(params, "key")?);
    let is_taken =
        !find(graph, LABEL, "id", id)?.is_empty() || !find(graph, LABEL, CANONICAL_KEY_PROPERTY, key)?.is_empty();
    if is_taken {
        return Ok(changed(0));
    }
    let named = [("id", id), ("kind", text(params, "kind")?), (CANONICAL_KEY_PROPERTY, key)];
    let mut properties = Properties::from(named.map(|(name, text)| (name.to_owned(), Value::from(text))));
    properties.extend(property_map(params, "properties")?);
    graph.create(&[LABEL], properties)?;
    Ok(changed(1))
}

/// Sets properties of an entity; null removes one. Changes nothing where there is none.
pub static UPDATE_ENTITY: Statement = Statement {
    name: "update_entity",
    cypher: "MATCH (n:Entity {id: $id}) SET n += $set RETURN count(n) AS changed",
    columns: &["changed"],
    run: update_entity,
};

fn update_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let set = property_map(params, "set")?;
    let nodes = find(graph, LABEL, "id", text(params, "id")?)?;
    for node in &nodes {
        let mut properties = graph.properties(*node)?;
        properties.extend(set.clone());
        graph.set_properties(*node, properties)?;
    }
    Ok(changed(nodes.len()))
}

/// Removes an entity. Changes nothing where there is none or while it has links.
pub static DELETE_ENTITY: Statement = Statement {
    name: "delete_entity",
    cypher: "MATCH (n:Entity {id: $id}) OPTIONAL MATCH (n)-[r:LINK]-() \
             WITH n, count(r) AS links WHERE links = 0 DELETE n RETURN count(*) AS changed",
    columns: &["changed"],
    run: delete_entity,
};

fn delete_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut deleted = 0;
    for node in find(graph, LABEL, "id", text(params, "id")?)? {
        let linked = !graph.edges(node, links::TYPE, Direction::Out)?.is_empty()
            || !graph.edges(node, links::TYPE, Direction::In)?.is_empty();
        if !linked {
            graph.delete(node)?;
            deleted += 1;
        }
    }
    Ok(changed(deleted))
}

/// Makes an entity what it is said to be, whatever it was: `content` has all its properties,
/// `id` and `kind` among them.
pub static PUT_ENTITY: Statement = Statement {
    name: "put_entity",
    cypher: "MERGE (n:Entity {id: $id}) SET n = $content RETURN count(n) AS changed",
    columns: &["changed"],
    run: put_entity,
};

fn put_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let content = property_map(params, "content")?;
    let nodes = find(graph, LABEL, "id", text(params, "id")?)?;
    if nodes.is_empty() {
        graph.create(&[LABEL], content)?;
        return Ok(changed(1));
    }
    for node in &nodes {
        graph.set_properties(*node, content.clone())?;
    }
    Ok(changed(nodes.len()))
}

/// How many entities of this id there are.
pub static COUNT_ENTITY: Statement = Statement {
    name: "count_entity",
    cypher: "MATCH (n:Entity {id: $id}) RETURN count(n) AS entities",
    columns: &["entities"],
    run: |graph, params| Ok(changed(find(graph, LABEL, "id", text(params, "id")?)?.len())),
};

/// An entity's properties, `id` and `kind` among them; no row where there is none.
pub static READ_ENTITY: Statement = Statement {
    name: "read_entity",
    cypher: "MATCH (n:Entity {id: $id}) RETURN properties(n) AS properties",
    columns: &["properties"],
    run: read_entity,
};

fn read_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let nodes = find(graph, LABEL, "id", text(params, "id")?)?;
    nodes.into_iter().map(|node| Ok(vec![Datum::from(graph.properties(node)?)])).collect()
}

/// The id of the entity with a canonical key; no row where there is none.
pub static FIND_ENTITY: Statement = Statement {
    name: "find_entity",
    cypher: "MATCH (n:Entity {canonical_key: $key}) RETURN n.id AS id",
    columns: &["id"],
    run: find_entity,
};

fn find_entity(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let nodes = find(graph, LABEL, CANONICAL_KEY_PROPERTY, text(params, "key")?)?;
    nodes.into_iter().map(|node| Ok(vec![cell(&graph.properties(node)?, "id")])).collect()
}

/// Up to `limit` entities after the one named `after`, sorted by id.
pub static DUMP_ENTITIES: Statement = Statement {
    name: "dump_entities",
    cypher: "MATCH (n:Entity) WHERE n.id > $after \
             RETURN n.id AS id, properties(n) AS properties ORDER BY id LIMIT $limit",
    columns: &["id", "properties"],
    run: dump_entities,
};

fn dump_entities(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (after, limit) = (text(params, "after")?, limit(params)?);
    let range = TextRange { after, before: None };
    let nodes = graph.range(LABEL, "id", range, limit)?;
    let row = |node| graph.properties(node).map(|properties| vec![cell(&properties, "id"), properties.into()]);
    nodes.into_iter().map(row).collect()
}
