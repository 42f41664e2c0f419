//! What the projection says to the graph, as named statements.
//!
//! [`fold::Picture`](crate::fold::Picture) has the shape of what it writes, beside which there are a
//! node `(:Applied {resource, seq, generation})` for each resource, with `partial`, `parked` and
//! `why` where they apply, and one node
//! `(:Projection {key, generation, rebuilding, position, log, since})`.
//! No label of the coordinator's is among them, and nothing else is touched.
//!
//! Each statement exists twice, as Cypher and as an interpretation of it. The Cypher is what Neo4j
//! 4.4 and 5, Neptune and ArcadeDB have in common: no procedures, no `EXISTS { … }`, no `DETACH`.
//! Statements take lists, so that a transaction over many resources has as many statements as one
//! over a single resource. What they change they change in no order of events: they carry
//! differences, in which no element is twice.
//!
//! Where a statement compares before it writes, it first writes: where transactions read what is
//! committed and lock what they write (Neo4j), two would otherwise both find the old value. The
//! property that is written is the one that the node was found by, with the value that it has. [`CHECK_TURN`] only reads,
//! and says why it may.

mod edges;
mod lists;
mod marks;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Properties, Value};
use stores::{Call, Datum, Expect, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement, Uniqueness};

use crate::event::system;
use crate::fold::{Change, Part, node_id};
use crate::lanes::{Applied, Parts, Want, Write};
use crate::log::LogId;

pub use edges::{ANNOTATION_LINKS, ANNOTATION_OWNERS, LIST_REFERRERS, REFERENCED, TOMBSTONE_OWNERS};
pub use edges::{COLLECT_STUBS, CUT_ANNOTATIONS, DISOWN_ANNOTATIONS, DISOWN_TOMBSTONES, LINK, UNLINK};
pub use lists::{
    COUNT_STUBS, DUMP_ANNOTATIONS, DUMP_MARKS, DUMP_OWNERS, DUMP_REFERENCES, DUMP_RESOURCES, DUMP_TOMBSTONES,
    DUMP_VOCABULARY, LIST_ANNOTATIONS, LIST_PARKED, LIST_STUBS, LIST_TOMBSTONES, LOOKS_MAX, cursor,
};
pub use marks::{
    ADVANCE_MARKS, CHECK_TURN, CHECKPOINT, CLOSE_REBUILD, RAISE_GENERATION, READ_MARKS, READ_PROJECTION, TURN,
};
pub use nodes::{
    ALL_WORDS, DROP_ANNOTATIONS, DROP_TOMBSTONES, DROP_WORDS, OWNED_ANNOTATIONS, OWNED_TOMBSTONES, PUT_ANNOTATIONS,
    PUT_RESOURCES, PUT_TOMBSTONES, PUT_WORDS, READ_ANNOTATIONS, READ_RESOURCES, READ_TOMBSTONES, READ_WORDS,
};

/// Every statement of the projection.
pub static ALL: &[&Statement] = &[
    &CHECK_TURN,
    &ADVANCE_MARKS,
    &READ_MARKS,
    &READ_PROJECTION,
    &CHECKPOINT,
    &RAISE_GENERATION,
    &CLOSE_REBUILD,
    &TURN,
    &PUT_RESOURCES,
    &PUT_ANNOTATIONS,
    &PUT_TOMBSTONES,
    &PUT_WORDS,
    &DROP_ANNOTATIONS,
    &DROP_TOMBSTONES,
    &DROP_WORDS,
    &READ_RESOURCES,
    &READ_ANNOTATIONS,
    &READ_TOMBSTONES,
    &READ_WORDS,
    &ALL_WORDS,
    &OWNED_ANNOTATIONS,
    &OWNED_TOMBSTONES,
    &LINK,
    &UNLINK,
    &CUT_ANNOTATIONS,
    &DISOWN_ANNOTATIONS,
    &DISOWN_TOMBSTONES,
    &COLLECT_STUBS,
    &ANNOTATION_OWNERS,
    &ANNOTATION_LINKS,
    &TOMBSTONE_OWNERS,
    &REFERENCED,
    &LIST_REFERRERS,
    &LIST_STUBS,
    &COUNT_STUBS,
    &LIST_PARKED,
    &LIST_ANNOTATIONS,
    &LIST_TOMBSTONES,
    &DUMP_RESOURCES,
    &DUMP_ANNOTATIONS,
    &DUMP_TOMBSTONES,
    &DUMP_VOCABULARY,
    &DUMP_MARKS,
    &DUMP_OWNERS,
    &DUMP_REFERENCES,
];

/// What the graph has to enforce: two lanes that make the same stub at the same time must not make two.
pub static CONSTRAINTS: &[Uniqueness] = &[
    Uniqueness { label: nodes::RESOURCE, property: "id" },
    Uniqueness { label: nodes::ANNOTATION, property: "id" },
    Uniqueness { label: nodes::TOMBSTONE, property: "id" },
    Uniqueness { label: nodes::WORD, property: "id" },
    Uniqueness { label: marks::APPLIED, property: "resource" },
    Uniqueness { label: marks::PROJECTION, property: "key" },
];

/// The statements that write resources, if the graph is still of the log that was begun in the generation `since`: their
/// marks first, all of which have to be where they were read.
pub fn apply(since: u64, writes: &[Write]) -> Vec<Call> {
    let mut rows = Batch::default();
    for write in writes {
        rows.marks.push(marks::row(write));
        for change in &write.changes {
            rows.add(&write.resource, change);
        }
    }
    let stands = Call { expect: Expect::Changed(1), ..call(&CHECK_TURN, [("since", int(since))]) };
    std::iter::once(stands).chain(rows.calls()).collect()
}

/// The rows of the statements of one transaction.
#[derive(Default)]
struct Batch {
    marks: Vec<Datum>,
    resources: Vec<Datum>,
    annotations: Vec<Datum>,
    tombstones: Vec<Datum>,
    words: Vec<Datum>,
    dropped_annotations: Vec<Datum>,
    dropped_tombstones: Vec<Datum>,
    dropped_words: Vec<Datum>,
    misowned_annotations: Vec<Datum>,
    misowned_tombstones: Vec<Datum>,
    links: Vec<Datum>,
    unlinks: Vec<Datum>,
    /// What may be a stub that nobody links to any more.
    loose: BTreeSet<EntityId>,
}

impl Batch {
    fn add(&mut self, resource: &EntityId, change: &Change) {
        let own = |name: &EntityId| Datum::from(node_id(resource, name));
        let put = |name: &EntityId, set: &Properties| {
            row([("id", own(name)), ("resource", resource.as_str().into()), ("set", set.clone().into())])
        };
        let link = |name: &EntityId, target: &EntityId| row([("id", own(name)), ("target", target.as_str().into())]);
        match change {
            Change::PutResource { set } => {
                self.resources.push(row([("id", resource.as_str().into()), ("set", set.clone().into())]));
            }
            Change::DropResource { set } => {
                let mut set = set.clone();
                set.insert("stub".to_owned(), Value::Bool(true));
                self.resources.push(row([("id", resource.as_str().into()), ("set", set.into())]));
                self.loose.insert(resource.clone());
            }
            Change::PutAnnotation { name, set, misowned } => {
                self.annotations.push(put(name, set));
                self.misowned_annotations.extend(misowned.then(|| own(name)));
            }
            Change::DropAnnotation { name, links } => {
                self.dropped_annotations.push(own(name));
                self.loose.extend(links.iter().cloned());
            }
            Change::PutTombstone { name, set, misowned } => {
                self.tombstones.push(put(name, set));
                self.misowned_tombstones.extend(misowned.then(|| own(name)));
            }
            Change::DropTombstone { name } => self.dropped_tombstones.push(own(name)),
            Change::Link { name, target } => self.links.push(link(name, target)),
            Change::Unlink { name, target } => {
                self.unlinks.push(link(name, target));
                self.loose.insert(target.clone());
            }
            Change::PutWord { id, set } => {
                self.words.push(row([("id", id.as_str().into()), ("set", set.clone().into())]));
            }
            Change::DropWord { id } => self.dropped_words.push(id.as_str().into()),
        }
    }

    fn calls(self) -> Vec<Call> {
        let loose = self.loose.iter().map(|id| Datum::from(id.as_str())).collect();
        let disowned_tombstones = self.dropped_tombstones.iter().chain(&self.misowned_tombstones).cloned().collect();
        let each: [(&'static Statement, Vec<Datum>, bool); 14] = [
            (&ADVANCE_MARKS, self.marks, true),
            (&PUT_RESOURCES, self.resources, true),
            (&CUT_ANNOTATIONS, self.dropped_annotations.clone(), false),
            (&DROP_ANNOTATIONS, self.dropped_annotations, false),
            (&DISOWN_ANNOTATIONS, self.misowned_annotations, false),
            (&PUT_ANNOTATIONS, self.annotations, true),
            (&DISOWN_TOMBSTONES, disowned_tombstones, false),
            (&DROP_TOMBSTONES, self.dropped_tombstones, false),
            (&PUT_TOMBSTONES, self.tombstones, true),
            (&UNLINK, self.unlinks, false),
            (&LINK, self.links, true),
            (&PUT_WORDS, self.words, true),
            (&DROP_WORDS, self.dropped_words, false),
            // Last: what one resource lets go of another may take up.
            (&COLLECT_STUBS, loose, false),
        ];
        let call = |(statement, rows, exact): (&'static Statement, Vec<Datum>, bool)| {
            let count = i64::try_from(rows.len()).expect("fewer rows than an i64 counts");
            let expect = if exact { Expect::Changed(count) } else { Expect::Anything };
            (!rows.is_empty()).then(|| over(statement, rows, expect))
        };
        each.into_iter().filter_map(call).collect()
    }
}

/// The statements that read resources, always the same and in the same order; see
/// [`Reading`](crate::reading::Reading) for what they say.
pub fn load(wants: &[Want]) -> Vec<Call> {
    let ids = wants.iter().map(|want| Datum::from(want.resource.as_str())).collect::<Vec<_>>();
    let whole = wants.iter().filter(|want| want.parts == Parts::All).map(|want| want.resource.as_str().into());
    let whole: Vec<Datum> = whole.collect();
    let (mut annotations, mut words) = (Vec::new(), Vec::new());
    for want in wants {
        let Parts::Some(parts) = &want.parts else { continue };
        for part in parts {
            match part {
                Part::Annotation(name) => annotations.push(node_id(&want.resource, name).into()),
                Part::Term(term) => words.push(term.id().into()),
            }
        }
    }
    let all_words = wants.iter().any(|want| want.parts == Parts::All && want.resource == system());
    let read = |statement, rows| over(statement, rows, Expect::Anything);
    let mut calls = vec![
        read(&READ_MARKS, ids.clone()),
        read(&READ_RESOURCES, ids),
        read(&READ_ANNOTATIONS, annotations.clone()),
        read(&READ_TOMBSTONES, annotations),
        read(&READ_WORDS, words),
        read(&OWNED_ANNOTATIONS, whole.clone()),
        read(&OWNED_TOMBSTONES, whole.clone()),
        read(&ANNOTATION_OWNERS, whole.clone()),
        read(&ANNOTATION_LINKS, whole.clone()),
        read(&TOMBSTONE_OWNERS, whole.clone()),
        read(&REFERENCED, whole),
    ];
    if all_words {
        calls.push(call(&ALL_WORDS, []));
    }
    calls
}

/// The statement that reads what the projection keeps about itself.
pub fn read_projection() -> Vec<Call> {
    vec![call(&READ_PROJECTION, [])]
}

/// The statement that writes down how far the log was read that was begun in this generation.
pub fn checkpoint(since: u64, position: u64) -> Vec<Call> {
    vec![call(&CHECKPOINT, [("since", int(since)), ("position", int(position))])]
}

/// The statement that gives the graph to a log, if it is still the one of another log that was begun in this generation;
/// or of none so far.
pub fn turn(was: Option<&LogId>, since: u64, log: &LogId) -> Vec<Call> {
    let (known, was) = (was.is_some(), was.map_or("", |was| was.0.as_str()));
    let params =
        [("known", Datum::Bool(known)), ("was", was.into()), ("since", int(since)), ("log", log.0.as_str().into())];
    vec![call(&TURN, params)]
}

/// The statement that raises the generation of all.
pub fn raise_generation() -> Vec<Call> {
    vec![call(&RAISE_GENERATION, [])]
}

/// The statement that ends the rebuild of a generation.
pub fn close_rebuild(generation: u64) -> Vec<Call> {
    vec![call(&CLOSE_REBUILD, [("generation", int(generation))])]
}

/// The statement that reads one page of a list, from behind `after`: any of those that [`ALL`] has
/// with the parameters `after` and `limit`.
pub fn page(statement: &'static Statement, after: &str, limit: u32) -> Call {
    call(statement, [("after", after.into()), ("limit", i64::from(limit).into())])
}

/// The statement that reads one page of edges, from behind the one between these.
pub fn edge_page(statement: &'static Statement, from: &str, to: &str, limit: u32) -> Call {
    call(statement, [("from", from.into()), ("to", to.into()), ("limit", i64::from(limit).into())])
}

/// The statements that read the nodes of resources, and their marks.
pub fn look_up(resources: &[EntityId]) -> Vec<Call> {
    let ids: Vec<Datum> = resources.iter().map(|resource| resource.as_str().into()).collect();
    let read = |statement, rows| over(statement, rows, Expect::Anything);
    vec![read(&READ_RESOURCES, ids.clone()), read(&READ_MARKS, ids)]
}

/// The statement that reads one page of the annotations that link to a resource, from behind the one of this id.
pub fn referrers(resource: &EntityId, after: &str, limit: u32) -> Call {
    let params = [("target", resource.as_str().into()), ("after", after.into()), ("limit", i64::from(limit).into())];
    call(&LIST_REFERRERS, params)
}

/// The statement that counts the stubs among the first resources behind the one named `after`, `limit` at most.
pub fn count_stubs(after: &str, limit: u32) -> Call {
    page(&COUNT_STUBS, after, limit)
}

fn call<const N: usize>(statement: &'static Statement, params: [(&str, Datum); N]) -> Call {
    let params = params.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect();
    Call { statement, params, expect: Expect::Anything }
}

fn over(statement: &'static Statement, rows: Vec<Datum>, expect: Expect) -> Call {
    Call { statement, params: BTreeMap::from([("rows".to_owned(), Datum::List(rows))]), expect }
}

fn row<const N: usize>(cells: [(&str, Datum); N]) -> Datum {
    Datum::Map(cells.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect())
}

fn int(number: u64) -> Datum {
    Datum::Int(i64::try_from(number).expect("sequences, positions and generations fit into 63 bits"))
}

// What interpretations are written with.

fn fault(name: &str) -> GraphFault {
    GraphFault::Parameter(name.to_owned())
}

/// The rows that a statement is over.
fn rows(params: &Params) -> Result<&[Datum], GraphFault> {
    match params.get("rows") {
        Some(Datum::List(rows)) => Ok(rows),
        _ => Err(fault("rows")),
    }
}

/// The rows that a statement is over, where they are ids.
fn ids(params: &Params) -> Result<Vec<&str>, GraphFault> {
    rows(params)?.iter().map(|id| id.as_text().ok_or_else(|| fault("rows"))).collect()
}

fn field<'a>(row: &'a Datum, name: &str) -> Result<&'a Datum, GraphFault> {
    match row {
        Datum::Map(cells) => cells.get(name).ok_or_else(|| fault(name)),
        _ => Err(fault(name)),
    }
}

fn text<'a>(row: &'a Datum, name: &str) -> Result<&'a str, GraphFault> {
    field(row, name)?.as_text().ok_or_else(|| fault(name))
}

fn set(row: &Datum) -> Result<Properties, GraphFault> {
    field(row, "set")?.to_properties().ok_or_else(|| fault("set"))
}

fn changed(count: usize) -> Rows {
    vec![vec![Datum::Int(i64::try_from(count).expect("fewer changes than an i64 counts"))]]
}

/// A cell with a property, null if there is none.
fn cell(properties: &Properties, name: &str) -> Datum {
    properties.get(name).cloned().map_or(Datum::Null, Datum::from)
}

fn find(graph: &mut dyn PropertyGraph, label: &str, id: &str) -> Result<Vec<NodeHandle>, GraphFault> {
    graph.find(label, "id", &Value::from(id))
}

/// The nodes with this label and this key, or a new one.
fn merge(
    graph: &mut dyn PropertyGraph,
    label: &str,
    key: (&str, &str),
    on_create: Properties,
) -> Result<Vec<NodeHandle>, GraphFault> {
    let found = graph.find(label, key.0, &Value::from(key.1))?;
    if !found.is_empty() {
        return Ok(found);
    }
    let mut properties = on_create;
    properties.insert(key.0.to_owned(), Value::from(key.1));
    Ok(vec![graph.create(&[label], properties)?])
}

/// The mark of a resource as a row of [`READ_MARKS`] or [`DUMP_MARKS`] has it, behind its resource.
pub(crate) fn applied(row: &[Datum]) -> Option<Applied> {
    marks::applied(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_of_statements_are_unique() {
        let unique = |key: fn(&Statement) -> &'static str| {
            ALL.iter().map(|statement| key(statement)).collect::<BTreeSet<_>>().len()
        };
        assert_eq!((unique(|s| s.name), unique(|s| s.cypher)), (ALL.len(), ALL.len()));
    }

    #[test]
    fn the_marks_come_first_and_stubs_are_collected_last() {
        let id = |text: &str| EntityId::new(text).expect("an id");
        let link = |target: &str| Change::Link { name: id("a"), target: id(target) };
        let unlink = |target: &str| Change::Unlink { name: id("a"), target: id(target) };
        let write = |resource: &str, changes| Write {
            resource: id(resource),
            from: Applied::default(),
            to: Applied { sequence: 1, ..Applied::default() },
            changes,
        };
        let calls = apply(7, &[write("r1", vec![unlink("r3"), link("r2")]), write("r2", vec![link("r3")])]);
        let names: Vec<&str> = calls.iter().map(|call| call.statement.name).collect();
        assert_eq!(names, ["check_turn", "advance_marks", "unlink_annotations", "link_annotations", "collect_stubs"]);
        let expected = [Expect::Changed(1), Expect::Changed(2), Expect::Changed(2)];
        assert_eq!([0, 1, 3].map(|number| calls[number].expect), expected);
        assert_eq!(calls[0].params["since"], Datum::Int(7));
    }
}
