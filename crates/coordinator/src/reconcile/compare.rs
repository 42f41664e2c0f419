//! Two pages, one of each store, held against each other.
//!
//! Both are read in the same order after the same key, and not at the same time, so what is
//! found here is no finding: it is where to look again, under locks.

use graph::{Content, EntityId, Kind, Subject};
use stores::{Datum, Rows};

use crate::statements::is_cursor;
use crate::view;

/// Where a page begins: after this key of this table, or at its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// Among the entities, sorted by id.
    Entities(Option<String>),
    /// Among the links, sorted by start, kind and end.
    Links(Option<[String; 3]>),
}

/// What two pages have to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// How many entities or links were held against each other.
    pub compared: u64,
    /// Those that differ: once each, in order.
    pub suspects: Vec<Subject>,
    /// What the graph has under a name that the coordinator cannot have given.
    pub foreign: Vec<String>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Position>,
}

/// One element of a page, by the texts that name it.
#[derive(Debug)]
struct Item {
    key: Vec<String>,
    /// `None` where the graph has something unreadable, or SQLite what its events do not say.
    content: Option<Content>,
}

/// Compares two pages of up to `limit` elements each, which begin at `from`. What SQLite has is left
/// out where its events do not account for it: that is suspect whatever the graph has.
///
/// # Errors
///
/// When the graph's page does not go on from there: it would be read for ever.
pub fn compare(
    from: &Position,
    graph: &Rows,
    sql: Vec<(Subject, Option<Content>)>,
    limit: u32,
) -> Result<Page, String> {
    let width = match from {
        Position::Entities(_) => 1,
        Position::Links(_) => 3,
    };
    let (rows, cursor) = match graph.split_last() {
        Some((cursor, rows)) if is_cursor(cursor) => (rows, Some(item(cursor, width).key)),
        _ => (&graph[..], None),
    };
    let graph: Vec<Item> = rows.iter().map(|row| item(row, width)).collect();
    let sql: Vec<Item> = sql.into_iter().map(|(subject, content)| Item { key: key(&subject), content }).collect();
    // A page that is full says nothing about what comes after its last element.
    let is_full = |items: &[Item]| items.len() >= limit as usize;
    let ends = [&graph, &sql].into_iter().filter(|items| is_full(items)).filter_map(|items| items.last());
    let horizon = ends.map(|item| item.key.clone()).chain(cursor).min();
    if let (Some(horizon), Some(start)) = (&horizon, start(from))
        && *horizon <= start
    {
        return Err(format!("the graph's page after {start:?} ends at {horizon:?}"));
    }
    let within = |items: Vec<Item>| -> Vec<Item> {
        items.into_iter().filter(|item| horizon.as_ref().is_none_or(|horizon| item.key <= *horizon)).collect()
    };
    let (compared, suspects, foreign) = merge(within(graph), within(sql));
    let next = horizon.map(|key| match from {
        Position::Entities(_) => Position::Entities(key.into_iter().next()),
        Position::Links(_) => Position::Links(key.try_into().ok()),
    });
    Ok(Page { compared, suspects, foreign, next })
}

fn merge(mut graph: Vec<Item>, sql: Vec<Item>) -> (u64, Vec<Subject>, Vec<String>) {
    // It is sorted already, unless it holds what is not ours.
    graph.sort_by(|one, other| one.key.cmp(&other.key));
    let (mut graph, mut sql) = (graph.into_iter().peekable(), sql.into_iter().peekable());
    let (mut compared, mut suspects, mut foreign) = (0, Vec::new(), Vec::new());
    while let Some(key) = [graph.peek(), sql.peek()].into_iter().flatten().map(|item| &item.key).min().cloned() {
        let mut left = Vec::new();
        while let Some(item) = graph.next_if(|item| item.key == key) {
            left.push(item.content);
        }
        let right = sql.next_if(|item| item.key == key).map(|item| item.content);
        compared += 1;
        let same = match (&left[..], &right) {
            ([left], Some(right)) => left.is_some() && left == right,
            _ => false,
        };
        match subject(&key) {
            Some(_) if same => {}
            Some(subject) => suspects.push(subject),
            None => foreign.push(format!("{key:?}")),
        }
    }
    (compared, suspects, foreign)
}

/// From a row of a dump: the texts that name the element, and its properties.
fn item(row: &[Datum], width: usize) -> Item {
    let text = |index| row.get(index).and_then(Datum::as_text).unwrap_or_default().to_owned();
    Item { key: (0..width).map(text).collect(), content: view::content(row.get(width)).ok() }
}

fn key(subject: &Subject) -> Vec<String> {
    match subject {
        Subject::Entity(id) => vec![id.to_string()],
        Subject::Link { from, kind, to } => vec![from.to_string(), kind.to_string(), to.to_string()],
    }
}

fn subject(key: &[String]) -> Option<Subject> {
    let id = |text: &String| EntityId::new(text.clone()).ok();
    match key {
        [entity] => Some(Subject::Entity(id(entity)?)),
        [from, kind, to] => Some(Subject::Link { from: id(from)?, kind: Kind::new(kind.clone()).ok()?, to: id(to)? }),
        _ => None,
    }
}

fn start(from: &Position) -> Option<Vec<String>> {
    match from {
        Position::Entities(after) => after.clone().map(|id| vec![id]),
        Position::Links(after) => after.clone().map(Vec::from),
    }
}

#[cfg(test)]
mod tests {
    use graph::{Properties, Value};

    use super::*;

    const START: Position = Position::Entities(None);

    fn properties(value: i64) -> Properties {
        [("value".to_owned(), Value::Int(value))].into()
    }

    fn in_graph(items: &[(&str, i64)]) -> Rows {
        let row = |(id, value): &(&str, i64)| {
            let mut whole = properties(*value);
            whole.extend([("id".to_owned(), Value::from(*id)), ("kind".to_owned(), Value::from("thing"))]);
            vec![Datum::from(*id), whole.into()]
        };
        items.iter().map(row).collect()
    }

    fn in_sql(items: &[(&str, i64)]) -> Vec<(Subject, Option<Content>)> {
        let row = |(id, value): &(&str, i64)| {
            let content = Content { kind: "thing".parse().unwrap(), key: None, properties: properties(*value) };
            (Subject::Entity(id.parse().unwrap()), Some(content))
        };
        items.iter().map(row).collect()
    }

    /// How many were compared, which are suspect, and after which the next page begins.
    fn compared(graph: &[(&str, i64)], sql: &[(&str, i64)], limit: u32) -> (u64, Vec<String>, Option<String>) {
        let page = compare(&START, &in_graph(graph), in_sql(sql), limit).unwrap();
        assert_eq!(page.foreign, Vec::<String>::new());
        let next = page.next.map(|next| match next {
            Position::Entities(Some(after)) => after,
            next => panic!("{next:?}"),
        });
        (page.compared, page.suspects.iter().map(|suspect| suspect.resource().to_string()).collect(), next)
    }

    #[test]
    fn what_differs_or_is_in_one_store_alone_is_suspect() {
        let graph = [("a", 1), ("b", 2), ("d", 4)];
        let sql = [("a", 1), ("b", 3), ("c", 3)];
        assert_eq!(compared(&graph, &sql, 10), (4, vec!["b".to_owned(), "c".to_owned(), "d".to_owned()], None));
        assert_eq!(compared(&graph, &graph, 10), (3, vec![], None));
    }

    #[test]
    fn what_its_events_do_not_account_for_is_suspect_though_both_stores_have_it() {
        let both = [("a", 1), ("b", 2)];
        let mut sql = in_sql(&both);
        sql[1].1 = None;
        let page = compare(&START, &in_graph(&both), sql, 9).unwrap();
        assert_eq!((page.compared, page.suspects), (2, vec![Subject::Entity("b".parse().unwrap())]));
    }

    #[test]
    fn a_full_page_says_nothing_about_what_comes_after_it() {
        let graph = [("a", 1), ("b", 2)];
        let sql = [("a", 1), ("e", 5)];
        assert_eq!(compared(&graph, &sql, 2), (2, vec!["b".to_owned()], Some("b".to_owned())));
        assert_eq!(compared(&graph, &sql[..1], 2), (2, vec!["b".to_owned()], Some("b".to_owned())));
        assert_eq!(compared(&[], &sql, 2), (2, vec!["a".to_owned(), "e".to_owned()], Some("e".to_owned())));
    }

    #[test]
    fn a_page_of_links_that_ended_early_says_how_far_it_came() {
        let properties = |kind: &str| -> Datum { Properties::from([("kind".to_owned(), Value::from(kind))]).into() };
        let link = |from: &str| vec![from.into(), "knows".into(), "z".into(), properties("knows")];
        let cursor = vec!["m".into(), "\u{10FFFF}".into(), "".into(), Datum::Null];
        assert!(is_cursor(&cursor) && !is_cursor(&link("a")));
        let of = |from: &str| {
            let end = |id: &str| EntityId::new(id).unwrap();
            let subject = Subject::Link { from: end(from), kind: "knows".parse().unwrap(), to: end("z") };
            (subject, Some(Content { kind: "knows".parse().unwrap(), key: None, properties: Properties::new() }))
        };
        let page =
            compare(&Position::Links(None), &vec![link("a"), cursor], vec![of("a"), of("m"), of("n")], 9).unwrap();
        assert_eq!((page.compared, page.suspects), (2, vec![of("m").0]), "n is for the next page");
        assert_eq!(page.next, Some(Position::Links(Some(["m", "\u{10FFFF}", ""].map(str::to_owned)))));
    }

    #[test]
    fn a_name_that_is_not_ours_is_no_suspect_but_is_told() {
        let page = compare(&START, &in_graph(&[("a", 1), ("a b", 1)]), in_sql(&[("a", 1)]), 9).unwrap();
        assert_eq!((page.compared, page.suspects, page.foreign), (2, vec![], vec![r#"["a b"]"#.to_owned()]));
    }

    #[test]
    fn an_entity_that_is_there_twice_is_suspect() {
        let (suspects, sql) = (|graph| compared(graph, &[("a", 1)], 9).1, "a".to_owned());
        assert_eq!((suspects(&[("a", 1)]), suspects(&[("a", 1), ("a", 1)])), (vec![], vec![sql]));
    }

    #[test]
    fn a_link_that_is_there_twice_is_suspect() {
        let link = |to: &str| {
            let whole: Properties = [("kind".to_owned(), Value::from("knows"))].into();
            vec![Datum::from("a"), Datum::from("knows"), Datum::from(to), whole.into()]
        };
        let (from, kind) = ("a".parse().unwrap(), "knows".parse::<Kind>().unwrap());
        let content = Content { kind: kind.clone(), key: None, properties: Properties::new() };
        let subject = Subject::Link { from, kind, to: "b".parse().unwrap() };
        let sql = vec![(subject.clone(), Some(content))];
        let start = Position::Links(None);
        assert_eq!(compare(&start, &vec![link("b")], sql.clone(), 9).unwrap().suspects, []);
        assert_eq!(compare(&start, &vec![link("b"), link("b")], sql, 9).unwrap().suspects, [subject]);
    }

    #[test]
    fn a_page_that_does_not_go_on_is_an_error_and_no_endless_pass() {
        let after = Position::Entities(Some("b".to_owned()));
        assert!(compare(&after, &in_graph(&[("a", 1), ("b", 2)]), Vec::new(), 2).is_err());
        assert!(compare(&after, &in_graph(&[("a", 1)]), Vec::new(), 2).is_ok(), "the last page is not full");
    }
}
