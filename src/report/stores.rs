//! What a store holds beside what it should hold, element by element and property by property.
//!
//! Works on dumps as text, a line an element, so that it serves every system: the first `{` to the last `}` of a line is
//! taken as the element's properties where that is JSON, the rest as its identity.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// A store after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// The name of its dump.
    pub name: String,
    /// Whether it is known what it should hold.
    pub judged: bool,
    /// Its elements, and those that it lacks.
    pub lines: Vec<Line>,
}

/// An element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How it departs from what it should be.
    pub sign: Sign,
    /// The element as the dump shows it; as it should be where it is missing.
    pub text: String,
    /// Of an element that is different: a property each, as it should be and as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// How an element departs from what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It does not.
    Same,
    /// It should not be there.
    Extra,
    /// It is not there.
    Missing,
    /// Its properties are others.
    Different,
}

impl Store {
    /// Compares a dump with what it should be, where that is known.
    pub fn new(name: &str, found: &str, expected: Option<&str>) -> Store {
        let lines = match expected {
            Some(expected) => compare(expected, found),
            None => found.lines().map(|line| Line::new(Sign::Same, line)).collect(),
        };
        Store { name: name.to_owned(), judged: expected.is_some(), lines }
    }
}

impl Line {
    fn new(sign: Sign, text: &str) -> Line {
        Line { sign, text: shortened(text), changes: Vec::new() }
    }
}

/// How much of an element's text a page is given.
const TEXT_CHARS_MAX: usize = 1_000;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{} … ({} bytes more)", &text[..end], text.len() - end),
        None => text.to_owned(),
    }
}

fn compare(expected: &str, found: &str) -> Vec<Line> {
    // A store that went wrong may hold an element twice, so each is paired once.
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in expected.lines() {
        wanted.entry(Element::of(line).identity).or_default().push(line);
    }
    // First what is exactly as it should be: the rest of an identity's lines are paired with what is left.
    let mut exact = Vec::new();
    for line in found.lines() {
        let lines = wanted.entry(Element::of(line).identity).or_default();
        let place = lines.iter().position(|wanted| *wanted == line);
        exact.push(place.map(|place| lines.remove(place)).is_some());
    }
    let mut lines = Vec::new();
    for (line, exact) in found.lines().zip(exact) {
        let element = Element::of(line);
        let left = wanted.entry(element.identity.clone()).or_default();
        lines.push(match exact {
            true => Line::new(Sign::Same, line),
            false if left.is_empty() => Line::new(Sign::Extra, line),
            false => {
                let changes = Element::of(left.remove(0)).changes(&element);
                Line { changes, ..Line::new(Sign::Different, line) }
            }
        });
    }
    lines.extend(wanted.into_values().flatten().map(|line| Line::new(Sign::Missing, line)));
    lines
}

struct Element {
    identity: String,
    properties: Map<String, Value>,
}

impl Element {
    fn of(line: &str) -> Element {
        let braces = line.find('{').zip(line.rfind('}')).filter(|(open, close)| open < close);
        let json = braces.and_then(|(open, close)| serde_json::from_str(&line[open..=close]).ok());
        match (braces, json) {
            (Some((open, close)), Some(properties)) => {
                Element { identity: format!("{}{}", &line[..open], &line[close + 1..]), properties }
            }
            _ => Element { identity: line.to_owned(), properties: Map::new() },
        }
    }

    /// What would make the other of this one.
    fn changes(&self, other: &Element) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> =
            self.properties.keys().chain(other.properties.keys()).collect();
        let or_nothing = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        let changed = names.into_iter().filter_map(|name| {
            let (expected, found) = (self.properties.get(name), other.properties.get(name));
            (expected != found)
                .then(|| shortened(&format!("{name}: {} where {} should be", or_nothing(found), or_nothing(expected))))
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = r#"node alice :Entity {"kind":"person","value":1}"#;
    const LINK: &str = r#"edge alice -[LINK {"kind":"knows"}]-> bob"#;

    fn signs(expected: &[&str], found: &[&str]) -> Vec<(Sign, Vec<String>)> {
        let store = Store::new("graph", &found.join("\n"), Some(&expected.join("\n")));
        store.lines.into_iter().map(|line| (line.sign, line.changes)).collect()
    }

    #[test]
    fn what_is_as_it_should_be_is_the_same() {
        assert_eq!(signs(&[ALICE, LINK], &[ALICE, LINK]), [(Sign::Same, vec![]), (Sign::Same, vec![])]);
        assert!(!Store::new("log", ALICE, None).judged);
    }

    #[test]
    fn another_property_is_named_with_both_values() {
        let found = r#"node alice :Entity {"kind":"person","value":2,"x":true}"#;
        let changes = ["value: 2 where 1 should be", "x: true where nothing should be"].map(str::to_owned).to_vec();
        assert_eq!(signs(&[ALICE], &[found]), [(Sign::Different, changes)]);
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_shows() {
        assert_eq!(signs(&[ALICE, LINK], &[ALICE]), [(Sign::Same, vec![]), (Sign::Missing, vec![])]);
        assert_eq!(signs(&[], &[LINK]), [(Sign::Extra, vec![])]);
    }

    #[test]
    fn an_element_that_is_there_twice_is_too_much_once() {
        let other = r#"node alice :Entity {"kind":"person","value":3}"#;
        assert_eq!(signs(&[ALICE], &[other, ALICE]), [(Sign::Extra, vec![]), (Sign::Same, vec![])]);
    }

    #[test]
    fn a_large_element_is_compared_in_full_and_shown_in_part() {
        let large = |last: &str| format!("node a {{\"x\":\"{}{last}\"}}", "x".repeat(2_000));
        let store = Store::new("graph", &large("a"), Some(&large("b")));
        assert_eq!(store.lines[0].sign, Sign::Different);
        assert!(store.lines[0].text.ends_with("bytes more)") && store.lines[0].changes[0].len() < 1_100);
    }

    #[test]
    fn lines_without_properties_are_their_own_identity() {
        assert_eq!(signs(&["tx-1-1 committed"], &["tx-1-1 aborted"]), [(Sign::Extra, vec![]), (Sign::Missing, vec![])]);
    }
}
