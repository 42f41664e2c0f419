//! Operations that ask for less: what shrinking tries in the place of those that a failing plan has.
//!
//! Each step makes something smaller that cannot fall for ever: a list, a text, a number, a word for which there is a
//! simpler one. So a search that only takes these comes to an end.

use coordinator::reconcile::Policy;
use graph::{Operation, Properties, Value};

use super::operation::Op;
use super::projection::event::{Edit, Happening, Item};
use super::projection::operation::{Append, Projector, View, Whole};

/// A text that nobody needs to be shorter.
const TEXT_CHARS: usize = 8;
/// For so long nobody needs to follow the feed for a shorter time, in milliseconds.
const FOLLOW_MS: u64 = 100;
/// An integer that nobody needs to be smaller.
const INT_MAX: i64 = 9;

/// Operations that ask for less than this one in one respect each, those that say most first.
pub fn simpler(op: &Op) -> Vec<Op> {
    match op {
        Op::Submit { operations, retries, again, then } => submits(operations, *retries, *again, then),
        Op::Reconcile { policy: Policy::Log } => vec![Op::Validate {}],
        Op::Reconcile { .. } => vec![Op::Validate {}, Op::Reconcile { policy: Policy::Log }],
        Op::Append(append) => appends(append).into_iter().map(Op::Append).collect(),
        Op::View(view) => {
            let mut simpler = Vec::new();
            if view.after.is_some() {
                simpler.push(Op::View(View { after: None, ..view.clone() }));
            }
            simpler.extend(at_first(view.at).map(|at| Op::View(View { at, ..view.clone() })));
            simpler
        }
        Op::Rebuild(whole) => at_first(whole.at).map(|at| Op::Rebuild(Whole { at, ..whole.clone() })).collect(),
        Op::Mend(whole) => at_first(whole.at).map(|at| Op::Mend(Whole { at, ..whole.clone() })).collect(),
        Op::Status { at } => at_first(*at).map(|at| Op::Status { at }).collect(),
        Op::Follow { for_ms } if *for_ms > FOLLOW_MS => vec![Op::Follow { for_ms: (for_ms / 2).max(FOLLOW_MS) }],
        Op::Follow { .. } => Vec::new(),
        Op::Read { .. } | Op::Peek { .. } | Op::Find { .. } | Op::Validate {} => Vec::new(),
    }
}

/// The first projector in the place of another.
fn at_first(at: Projector) -> impl Iterator<Item = Projector> {
    (!at.is_first()).then_some(Projector::First).into_iter()
}

fn submits(operations: &[Operation], retries: u32, again: u32, then: &[Operation]) -> Vec<Op> {
    let submit = |operations: &[Operation], retries, again, then: &[Operation]| Op::Submit {
        operations: operations.to_vec(),
        retries,
        again,
        then: then.to_vec(),
    };
    let mut simpler: Vec<Op> = fewer(then, 0).iter().map(|then| submit(operations, retries, again, then)).collect();
    simpler.extend(lower(again).map(|again| submit(operations, retries, again, then)));
    simpler.extend(lower(retries).map(|retries| submit(operations, retries, again, then)));
    // One that does nothing is refused.
    simpler.extend(fewer(operations, 1).iter().map(|operations| submit(operations, retries, again, then)));
    simpler.extend(each(operations, changes).iter().map(|operations| submit(operations, retries, again, then)));
    simpler
}

/// A change to a graph that says less.
fn changes(operation: &Operation) -> Vec<Operation> {
    let (mut simpler, least) = match operation {
        Operation::Create { id, kind, key: Some(_), properties } => {
            let (id, kind, properties) = (id.clone(), kind.clone(), properties.clone());
            (vec![Operation::Create { id, kind, key: None, properties }], 0)
        }
        Operation::Create { .. } | Operation::Link { .. } => (Vec::new(), 0),
        // An update of nothing is refused.
        Operation::Update { .. } => (Vec::new(), 1),
        _ => return Vec::new(),
    };
    if let Operation::Create { properties, .. }
    | Operation::Link { properties, .. }
    | Operation::Update { set: properties, .. } = operation
    {
        for less in properties_with_less(properties, least) {
            let mut operation = operation.clone();
            if let Operation::Create { properties, .. }
            | Operation::Link { properties, .. }
            | Operation::Update { set: properties, .. } = &mut operation
            {
                *properties = less;
            }
            simpler.push(operation);
        }
    }
    simpler
}

/// Without one of them, as long as so many are left; then with a simpler value.
fn properties_with_less(properties: &Properties, least: usize) -> Vec<Properties> {
    let mut simpler = Vec::new();
    for name in properties.keys().filter(|_| properties.len() > least) {
        let mut properties = properties.clone();
        properties.remove(name);
        simpler.push(properties);
    }
    for (name, value) in properties {
        for value in values(value) {
            let mut properties = properties.clone();
            properties.insert(name.clone(), value);
            simpler.push(properties);
        }
    }
    simpler
}

fn values(value: &Value) -> Vec<Value> {
    match value {
        Value::Text(text) => short(text).map(Value::Text).into_iter().collect(),
        Value::Int(int) if !(0..=INT_MAX).contains(int) => vec![Value::Int(1)],
        Value::List(list) => fewer(list, 0).into_iter().map(Value::List).collect(),
        _ => Vec::new(),
    }
}

fn appends(append: &Append) -> Vec<Append> {
    let with = |events| Append { events, ..append.clone() };
    let mut simpler: Vec<Append> = fewer(&append.events, 1).into_iter().map(with).collect();
    if append.again {
        simpler.push(Append { again: false, ..append.clone() });
    }
    simpler.extend(lower(append.retries).map(|retries| Append { retries, ..append.clone() }));
    if append.look {
        simpler.push(Append { look: false, ..append.clone() });
    }
    if append.expected.is_some() {
        simpler.push(Append { expected: None, ..append.clone() });
    }
    simpler.extend(at_first(append.at).map(|at| Append { at, ..append.clone() }));
    simpler.extend(each(&append.events, happenings).into_iter().map(with));
    simpler
}

/// An event that says less.
fn happenings(happening: &Happening) -> Vec<Happening> {
    let texts = |text: &String, with: fn(String) -> Happening| short(text).map(with).into_iter().collect();
    match happening {
        Happening::Created(name) => texts(name, Happening::Created),
        Happening::Cloned { name, .. } => vec![Happening::Created(name.clone())],
        Happening::Tagged(tag) => texts(tag, Happening::Tagged),
        Happening::Word(word) => texts(word, Happening::Word),
        Happening::Annotated { id, body } => {
            let with = |body| Happening::Annotated { id: id.clone(), body };
            fewer(body, 0).into_iter().chain(each(body, items)).map(with).collect()
        }
        Happening::Edited { id, edits } => {
            let with = |edits| Happening::Edited { id: id.clone(), edits };
            fewer(edits, 1).into_iter().chain(each(edits, self::edits)).map(with).collect()
        }
        Happening::Schema { id, tags } => {
            fewer(tags, 0).into_iter().map(|tags| Happening::Schema { id: id.clone(), tags }).collect()
        }
        _ => Vec::new(),
    }
}

fn items(item: &Item) -> Vec<Item> {
    match item {
        Item::Text(text) => short(text).map(Item::Text).into_iter().collect(),
        Item::Link(_) => Vec::new(),
    }
}

fn edits(edit: &Edit) -> Vec<Edit> {
    match edit {
        Edit::Replace(old, new) => vec![Edit::Add(new.clone()), Edit::Remove(old.clone())],
        Edit::Add(_) | Edit::Remove(_) => Vec::new(),
    }
}

fn lower(count: u32) -> impl Iterator<Item = u32> {
    let none = (count > 1).then_some(0);
    none.into_iter().chain(count.checked_sub(1))
}

fn short(text: &str) -> Option<String> {
    (text.chars().count() > TEXT_CHARS).then(|| text.chars().take(TEXT_CHARS).collect())
}

/// Parts of a list, at least so long: its halves, and what is left without each one.
fn fewer<T: Clone>(list: &[T], least: usize) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    if list.len() > 3 {
        let (first, second) = list.split_at(list.len() / 2);
        parts.extend([first.to_vec(), second.to_vec()]);
    }
    for place in (0..list.len()).filter(|_| list.len() > least) {
        let mut list = list.to_vec();
        list.remove(place);
        parts.push(list);
    }
    parts
}

/// Lists with one element that is simpler.
fn each<T: Clone>(list: &[T], simpler: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut lists = Vec::new();
    for (place, element) in list.iter().enumerate() {
        for element in simpler(element) {
            let mut list = list.to_vec();
            list[place] = element;
            lists.push(list);
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn op(spelt: &Json) -> Op {
        serde_json::from_value(spelt.clone()).expect("it is spelt right")
    }

    /// What an operation becomes that is made simpler for as long as that can be done, by the first way each time.
    fn simplest(spelt: &Json) -> Json {
        let mut op = op(spelt);
        for _ in 0..100 {
            match simpler(&op).into_iter().next() {
                Some(less) => op = less,
                None => return serde_json::to_value(op).expect("JSON"),
            }
        }
        panic!("it does not end: {op:?}");
    }

    #[test]
    fn what_is_made_simpler_again_and_again_says_as_little_as_it_can() {
        let large = "0123456789";
        for (from, to) in [
            (
                json!({ "submit": { "retries": 3, "again": 2, "then": [{ "delete": { "id": "b" } }], "operations": [
                    { "delete": { "id": "a" } },
                    { "create": { "id": "b", "kind": "k", "key": "isbn:1", "properties": { "x": large, "y": 4711 } } },
                ] } }),
                json!({ "submit": { "operations": [{ "create": { "id": "b", "kind": "k", "properties": {} } }] } }),
            ),
            (
                json!({ "submit": { "operations": [{ "update": { "id": "a", "set": { "x": large, "y": 4711 } } }] } }),
                json!({ "submit": { "operations": [{ "update": { "id": "a", "set": { "y": 1 } } }] } }),
            ),
            (
                json!({ "append": { "resource": "r1", "expected": 2, "retries": 2, "again": true, "look": true, "at": "second",
                    "events": [
                        "archived",
                        { "annotated": { "id": "a", "body": [] } },
                        { "edited": { "id": "a", "edits": [
                            { "add": { "text": "x" } }, { "replace": [{ "text": "x" }, { "link": "r2" }] },
                        ] } },
                    ] } }),
                json!({ "append": { "resource": "r1", "events": [
                    { "edited": { "id": "a", "edits": [{ "add": { "link": "r2" } }] } },
                ] } }),
            ),
            (
                json!({ "append": { "resource": "r1", "events": [{ "cloned": { "name": large, "of": "r2" } }] } }),
                json!({ "append": { "resource": "r1", "events": [{ "created": "01234567" }] } }),
            ),
            (
                json!({ "append": { "resource": "r1", "events": [{ "annotated": { "id": "a", "body": [{ "text": large }] } }] } }),
                json!({ "append": { "resource": "r1", "events": [{ "annotated": { "id": "a" } }] } }),
            ),
            (
                json!({ "view": { "resource": "r1", "after": 3, "at": "second" } }),
                json!({ "view": { "resource": "r1" } }),
            ),
            (json!({ "rebuild": { "resource": "r1", "at": "second" } }), json!({ "rebuild": { "resource": "r1" } })),
            (json!({ "mend": { "at": "second" } }), json!({ "mend": {} })),
            (json!({ "status": { "at": "second" } }), json!({ "status": {} })),
            (json!({ "reconcile": { "policy": "sql" } }), json!({ "validate": {} })),
            (json!({ "read": { "entity": "a" } }), json!({ "read": { "entity": "a" } })),
        ] {
            assert_eq!(simplest(&from), to);
        }
    }

    #[test]
    fn a_list_is_tried_without_half_of_it_before_it_is_tried_without_one() {
        assert_eq!(fewer(&[1, 2, 3, 4], 1)[..3], [vec![1, 2], vec![3, 4], vec![2, 3, 4]]);
        assert_eq!(fewer(&[1, 2], 1), [vec![2], vec![1]]);
        assert_eq!(fewer(&[1], 1), Vec::<Vec<i32>>::new());
        assert_eq!(fewer(&[1], 0), [Vec::<i32>::new()]);
    }

    #[test]
    fn nothing_simpler_is_the_same_and_all_of_it_can_be_written_in_a_scenario() {
        for spelt in [
            json!({ "submit": { "retries": 1, "operations": [{ "create": { "id": "b", "kind": "k", "properties": { "x": [1, 2] } } }] } }),
            json!({ "append": { "events": [{ "schema": { "id": "s", "tags": ["a", "b"] } }, { "word": "abcdefghij" }], "look": true } }),
        ] {
            let op = op(&spelt);
            for less in simpler(&op) {
                assert_ne!(less, op);
                assert_eq!(self::op(&serde_json::to_value(&less).expect("JSON")), less);
            }
        }
    }
}
