use super::*;

type Register = History<(), u32>;

fn event(client: u64, op: u64, kind: EventKind<(), u32>) -> Event<(), u32> {
    Event { at: Millis(op * 10), client: ClientId(client), op: OpId(op), kind }
}

#[test]
fn operations_are_paired_in_invocation_order() {
    let mut history = Register::new();
    let first = history.invoke(Millis(1), ClientId(1), ());
    let second = history.invoke(Millis(2), ClientId(2), ());
    let third = history.invoke(Millis(3), ClientId(1), ());
    let fourth = history.invoke(Millis(3), ClientId(3), ());
    history.ok(Millis(4), second, 7).unwrap();
    history.fail(Millis(5), third, "refused").unwrap();
    history.info(Millis(6), first, "timed out").unwrap();

    let found: Vec<_> =
        history.operations().iter().map(|o| (o.id, o.invoked.index, o.completed.map(|m| m.index), o.outcome)).collect();
    assert_eq!(
        found,
        [
            (first, 0, Some(6), Outcome::Info),
            (second, 1, Some(4), Outcome::Ok(&7)),
            (third, 2, Some(5), Outcome::Fail),
            (fourth, 3, None, Outcome::Info),
        ]
    );
}

#[test]
fn a_prefix_does_not_know_later_completions() {
    let mut history = Register::new();
    let op = history.invoke(Millis(0), ClientId(0), ());
    history.ok(Millis(1), op, 7).unwrap();
    assert_eq!(history.operations_after(0), []);
    let open = history.operations_after(1)[0];
    assert_eq!((open.completed, open.outcome), (None, Outcome::Info));
    assert_eq!(history.operations_after(2)[0].outcome, Outcome::Ok(&7));
}

#[test]
fn what_no_client_can_have_seen_is_refused() {
    use EventKind::{Info, Invoke, Ok as Answer};
    for (events, message) in [
        (vec![event(0, 3, Answer(1))], "event 0 completes op 3, which was never invoked"),
        (vec![event(0, 3, Invoke(())), event(1, 3, Invoke(()))], "event 1 invokes op 3, which event 0 had invoked"),
        (
            vec![event(0, 3, Invoke(())), event(0, 3, Info("late".into())), event(0, 3, Answer(1))],
            "event 2 completes op 3, which event 1 had completed",
        ),
        (
            vec![event(0, 3, Invoke(())), event(1, 3, Answer(1))],
            "event 1 of client 1 completes op 3, which belongs to client 0",
        ),
    ] {
        assert_eq!(History::try_from(events).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_client_may_have_two_operations_open() {
    use EventKind::Invoke;
    assert!(History::try_from(vec![event(0, 1, Invoke(())), event(0, 2, Invoke(()))]).is_ok());
}

#[test]
fn a_refused_event_leaves_the_history_as_it_was() {
    let mut history = Register::new();
    let op = history.invoke(Millis(0), ClientId(0), ());
    let before = history.clone();
    history.push(event(1, op.0, EventKind::Ok(1))).unwrap_err();
    history.ok(Millis(1), OpId(9), 1).unwrap_err();
    assert_eq!(history, before);
}

#[test]
fn json_round_trips_and_is_checked() {
    let mut history = Register::new();
    let op = history.invoke(Millis(5), ClientId(2), ());
    history.ok(Millis(6), op, 7).unwrap();
    let json = serde_json::to_string(&history).unwrap();
    assert_eq!(
        json,
        r#"[{"at":5,"client":2,"op":0,"kind":{"invoke":null}},{"at":6,"client":2,"op":0,"kind":{"ok":7}}]"#
    );
    assert_eq!(serde_json::from_str::<Register>(&json).unwrap(), history);

    let orphan = r#"[{"at":6,"client":2,"op":0,"kind":{"ok":7}}]"#;
    let error = serde_json::from_str::<Register>(orphan).unwrap_err().to_string();
    assert!(error.contains("never invoked"), "{error}");
}

#[test]
fn each_event_prints_as_one_line() {
    let mut history = History::<&str, u32>::new();
    let read = history.invoke(Millis(5), ClientId(2), "read a");
    let write = history.invoke(Millis(120), ClientId(11), "write a");
    history.ok(Millis(120), read, 7).unwrap();
    history.info(Millis(30_120), write, "timed out:\n  no answer").unwrap();
    assert_eq!(
        history.to_string(),
        concat!(
            "      5 ms  client 2   op 0     invoke  \"read a\"\n",
            "    120 ms  client 11  op 1     invoke  \"write a\"\n",
            "    120 ms  client 2   op 0     ok      7\n",
            "  30120 ms  client 11  op 1     info    timed out: no answer\n",
        )
    );
}
