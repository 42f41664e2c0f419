use serde_json::{Value as Any, json};

use super::*;

fn id(text: &str) -> EntityId {
    EntityId::new(text).expect("an id")
}

fn event(sequence: u64, kind: &str, payload: &Any) -> Event {
    let envelope = json!({
        "id": format!("e{sequence}"), "type": kind, "timestamp": format!("t{sequence}"), "resourceId": "r1",
        "userId": "u", "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
    });
    serde_json::from_value(envelope).expect("an event")
}

fn created() -> (&'static str, Any) {
    ("resource.created", json!({ "name": "n", "format": "f", "contentChecksum": "c", "entityTypes": ["A"] }))
}

fn link(to: &str) -> Any {
    json!({ "type": "SpecificResource", "source": to })
}

fn added(name: &str, body: &Any) -> (&'static str, Any) {
    let annotation = json!({ "id": name, "motivation": "m", "target": { "source": "r1" }, "body": body });
    ("annotation.added", json!({ "annotation": annotation }))
}

fn updated(name: &str, operations: &Any) -> (&'static str, Any) {
    ("annotation.body.updated", json!({ "annotationId": name, "operations": operations }))
}

fn removed(name: &str) -> (&'static str, Any) {
    ("annotation.removed", json!({ "annotationId": name }))
}

/// Folds them all; the last one's result.
fn fold(state: &mut State, events: &[(&str, Any)]) -> Result<Folded, Unfoldable> {
    let mut last = Ok(Folded::NotInTheGraph);
    for ((kind, payload), sequence) in events.iter().zip(1..) {
        last = state.fold(&event(sequence, kind, payload));
    }
    last
}

fn folded(events: &[(&str, Any)]) -> State {
    let mut state = State::default();
    fold(&mut state, events).expect("it folds");
    state
}

fn links(state: &State) -> Vec<String> {
    match &state.annotations[&id("a")] {
        Slot::Present(drafted) => drafted.links().into_iter().map(ToString::to_string).collect(),
        Slot::Removed(_) => Vec::new(),
    }
}

fn difference(before: &[(&str, Any)], after: &[(&str, Any)]) -> Vec<Change> {
    let picture = |events| Picture::of(&id("r1"), &folded(events), false);
    changes(&picture(before), &picture(after))
}

#[test]
fn every_link_of_a_body_counts_and_each_once() {
    let body = json!([link("r2"), { "type": "TextualBody", "value": "x" }, link("r3"), link("r2")]);
    assert_eq!(links(&folded(&[created(), added("a", &body)])), ["r2", "r3"]);
}

#[test]
fn operations_on_a_body_are_done_in_order() {
    let body = json!([link("r2"), link("r3")]);
    let with = |operations: Any| links(&folded(&[created(), added("a", &body), updated("a", &operations)]));
    assert_eq!(with(json!([{ "op": "add", "item": link("r4") }])), ["r2", "r3", "r4"]);
    assert_eq!(with(json!([{ "op": "remove", "item": link("r2") }])), ["r3"]);
    assert_eq!(with(json!([{ "op": "remove", "item": link("r9") }])), ["r2", "r3"]);
    let replace = |old: &str, new: &str| json!({ "op": "replace", "oldItem": link(old), "newItem": link(new) });
    assert_eq!(with(json!([replace("r2", "r4")])), ["r3", "r4"]);
    assert_eq!(with(json!([replace("r9", "r4")])), ["r2", "r3"], "there is nothing to put it in the place of");
    assert_eq!(with(json!([replace("r2", "r3")])), ["r3"], "no item is twice");
    assert_eq!(with(json!([replace("r2", "r2")])), ["r2", "r3"]);
    let there_and_back = json!([replace("r2", "r4"), replace("r4", "r2")]);
    assert_eq!(with(there_and_back), ["r2", "r3"]);
}

#[test]
fn what_was_removed_stays_removed_until_it_is_added_again() {
    let add = json!([{ "op": "add", "item": link("r2") }]);
    let life = [created(), added("a", &json!([])), removed("a"), updated("a", &add)];
    let mut state = State::default();
    assert_eq!(fold(&mut state, &life), Ok(Folded::Buried));
    assert_eq!(state.annotations[&id("a")], Slot::Removed(3));
    let again = added("a", &json!([link("r3")]));
    assert_eq!(state.fold(&event(5, again.0, &again.1)), Ok(Folded::Shown));
    assert_eq!(links(&state), ["r3"], "nothing of the first life is left");
}

#[test]
fn a_resource_that_begins_anew_has_the_facets_of_its_new_beginning() {
    let tag = |kind| (kind, json!({ "entityType": "B" }));
    let state = folded(&[created(), ("resource.archived", json!({})), tag("entitytag.added")]);
    let facets = state.facets.as_ref().expect("it was created");
    assert!(facets.archived && facets.entity_types.contains("B"));
    let state = folded(&[created(), ("resource.archived", json!({})), tag("entitytag.added"), created()]);
    let facets = state.facets.as_ref().expect("it was created");
    assert!(!facets.archived && !facets.entity_types.contains("B"));
    assert_eq!(facets.created, "t4", "the time of the event, not of the fold");
}

#[test]
fn what_cannot_be_folded_changes_nothing() {
    let foreign = json!({ "id": "a", "motivation": "m", "target": { "source": "r2" } });
    let cases = [
        (("resource.vanished", json!({})), Unfoldable::Unknown("resource.vanished".to_owned())),
        (updated("a", &json!([])), Unfoldable::NoSuchAnnotation(id("a"))),
        (("annotation.added", json!({ "annotation": foreign })), Unfoldable::ForeignTarget(id("r2"))),
        (("entitytype.added", json!({ "entityType": "Z" })), Unfoldable::WrongStream),
    ];
    for ((kind, payload), why) in cases {
        let mut state = folded(&[created()]);
        let before = state.clone();
        assert_eq!(state.fold(&event(2, kind, &payload)), Err(why));
        assert_eq!(state, before);
    }
    let mut state = State::default();
    assert_eq!(state.fold(&event(1, "resource.archived", &json!({}))), Err(Unfoldable::NotCreated));
    assert!(matches!(state.fold(&event(1, "resource.moved", &json!({}))), Err(Unfoldable::Malformed { .. })));
    let job = json!({ "jobId": "j", "jobType": "t" });
    assert_eq!(state.fold(&event(1, "job.started", &job)), Ok(Folded::NotInTheGraph));
}

#[test]
fn a_link_that_goes_takes_its_edge_and_a_link_that_stays_is_left_alone() {
    let before = [created(), added("a", &json!([link("r2"), link("r3")]))];
    let replace = json!([{ "op": "replace", "oldItem": link("r2"), "newItem": link("r4") }]);
    let after = [before[0].clone(), before[1].clone(), updated("a", &replace)];
    let changes = difference(&before, &after);
    let (name, r2, r4) = (id("a"), id("r2"), id("r4"));
    assert!(matches!(&changes[0], Change::PutAnnotation { set, .. } if set.keys().eq(["body"])), "{changes:?}");
    assert_eq!(changes[1..], [Change::Unlink { name: name.clone(), target: r2 }, Change::Link { name, target: r4 }]);
}

#[test]
fn many_events_are_one_difference() {
    let before = [created(), added("a", &json!([link("r2")]))];
    let mut after = before.to_vec();
    after.extend([removed("a"), added("b", &json!([link("r3")])), removed("b"), added("a", &json!([link("r2")]))]);
    let changes = difference(&before, &after);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(matches!(&changes[0], Change::PutTombstone { name, .. } if *name == id("b")), "{changes:?}");
    assert_eq!(difference(&before, &before), []);
}

#[test]
fn a_state_is_read_back_as_it_was_drawn() {
    let selector =
        json!({ "id": "b", "motivation": "m", "target": { "source": "r1", "selector": { "z": 1, "a": [2] } } });
    let events = [
        created(),
        added("a", &json!([link("r2"), { "type": "TextualBody", "value": "ü\"", "language": "de" }])),
        ("annotation.added", json!({ "annotation": selector })),
        removed("c"),
    ];
    let state = folded(&events);
    let picture = Picture::of(&id("r1"), &state, false);
    assert_eq!(picture.state(), Ok(state));

    let mut damaged = picture;
    let drawn = damaged.annotations.get_mut(&id("a")).expect("it is drawn");
    drawn.properties.insert("body".to_owned(), graph::Value::from("not a list"));
    assert_eq!(damaged.state(), Err(Damage("annotation a".to_owned())));
}

#[test]
fn an_edge_too_many_and_an_edge_with_properties_are_differences() {
    let events = [created(), added("a", &json!([link("r2")]))];
    let wanted = Picture::of(&id("r1"), &folded(&events), false);
    let drawn = |change: fn(&mut Drawn)| {
        let mut picture = wanted.clone();
        change(picture.annotations.get_mut(&id("a")).expect("it is drawn"));
        changes(&picture, &wanted)
    };
    let (name, target) = (id("a"), id("r2"));
    let again =
        [Change::Unlink { name: name.clone(), target: target.clone() }, Change::Link { name: name.clone(), target }];
    assert_eq!(drawn(|drawn| drawn.links.push(drawn.links[0].clone())), again);
    assert_eq!(drawn(|drawn| drawn.links[0].1 = [("x".to_owned(), graph::Value::Int(1))].into()), again);
    assert_eq!(drawn(|drawn| drawn.owners.clear()).len(), 1);
    let ghost = drawn(|drawn| drawn.links.push((EntityId::new("r9").expect("an id"), graph::Properties::new())));
    assert_eq!(ghost, [Change::Unlink { name, target: id("r9") }]);
}
