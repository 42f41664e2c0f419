use super::*;
use crate::history::{Event, Millis};
use crate::plan::fake::{self, Op};
use crate::plan::{Client, CutKind, Direction, Fault, PlannedFault, Trigger};

fn event(at_ms: u64, host: &str, what: What, text: &str, message: Option<u64>) -> TraceEvent {
    TraceEvent { at_ms, host: host.to_owned(), what, text: text.to_owned(), message }
}

/// One operation, a message each way, a power cut of the host and a cut of the link.
fn story() -> (Plan<Op>, Story) {
    let (host, alice) = ("coordinator".to_owned(), "alice".to_owned());
    let power = Fault::PowerCut { host: host.clone(), restart_after_ms: 10 };
    let (kind, direction) = (CutKind::Stall, Direction::Both);
    let cut = Fault::Cut { from: alice.clone(), to: host.clone(), kind, direction, heal_after_ms: 5 };
    let planned = |fault: &Fault| PlannedFault { at: Trigger::Ms(1), fault: fault.clone() };
    let plan = Plan {
        clients: vec![Client { name: alice, steps: Vec::new() }],
        faults: vec![planned(&power), planned(&cut), planned(&power)],
        ..fake::plan()
    };
    let trace = vec![
        event(2, "graph", What::Disk, "Write", None),
        event(3, "alice", What::Network, "sent to coordinator: SYN", Some(1)),
        event(5, "coordinator", What::Network, "delivered from alice: SYN", Some(1)),
        event(5, "coordinator", What::Input, "commit Submit", None),
        event(7, "coordinator", What::Fault, &format!("applied: {cut}"), None),
        event(6, "coordinator", What::Network, "sent to alice: RST", Some(2)),
        event(8, "alice", What::Network, "delivered from coordinator: RST", Some(2)),
        event(8, "alice", What::Network, "sent to coordinator: SYN", Some(3)),
        event(9, "coordinator", What::Fault, &format!("healed: {cut}"), None),
        event(9, "coordinator", What::Network, "lost from alice: SYN", Some(3)),
        event(10, "coordinator", What::Fault, &format!("applied: {power}"), None),
        event(20, "coordinator", What::Fault, "restarted", None),
        event(21, "coordinator", What::Fault, "ended by itself: clean", None),
    ];
    let mut history: History<Words, Words> = History::new();
    let at = |at_ms, op, kind| Event { at: Millis(at_ms), client: ClientId(0), op: OpId(op), kind };
    for event in [
        at(3, 0, EventKind::Invoke(Words("Read".to_owned()))),
        at(8, 0, EventKind::Fail("refused".to_owned())),
        at(8, 1, EventKind::Invoke(Words("Read".to_owned()))),
    ] {
        history.push(event).expect("it is a history");
    }
    (plan, Story { history, trace, dumps: BTreeMap::new(), expected: BTreeMap::new() })
}

fn timeline() -> Timeline {
    let (plan, story) = story();
    Timeline::new(&plan, &[true, false, false], &story)
}

#[test]
fn clients_stand_beside_whom_they_talk_to() {
    let lanes: Vec<_> = timeline().lanes.into_iter().map(|lane| (lane.name, lane.kind)).collect();
    let lane = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        lanes,
        [lane("alice", LaneKind::Client), lane("coordinator", LaneKind::Host), lane("graph", LaneKind::Host)]
    );
}

#[test]
fn what_a_client_saw_stands_between_what_told_it_and_what_it_then_sent() {
    let timeline = timeline();
    let kinds = &timeline.events.kind;
    use Moment::*;
    assert_eq!(
        *kinds,
        [
            Disk, Invoke, Sent, Delivered, Input, Sent, Fault, Delivered, Fail, Invoke, Sent, Fault, Lost, Fault,
            Fault, Fault
        ]
    );
    assert!(timeline.events.at_ms.is_sorted());
    let operations: Vec<_> = timeline.operations.iter().map(|op| (op.id, op.invoked, op.ended)).collect();
    assert_eq!(operations, [(0, 1, Some(8)), (1, 9, None)]);
    assert_eq!((timeline.event_of(OpId(0)), timeline.event_of(OpId(1))), (Some(8), Some(9)));
    assert_eq!(timeline.event_of(OpId(2)), None);
}

#[test]
fn both_ends_of_a_message_have_its_number() {
    let Timeline { events, .. } = timeline();
    let ends = |number| (0..events.kind.len()).filter(move |event| events.message[*event] == number);
    let kinds = |number| ends.clone()(number).map(|event| events.kind[event]).collect::<Vec<_>>();
    assert_eq!(kinds(1), [Moment::Sent, Moment::Delivered]);
    assert_eq!(kinds(3), [Moment::Sent, Moment::Lost]);
}

#[test]
fn what_was_wrong_ends_when_it_was_healed_or_the_host_restarted() {
    let spans: Vec<_> =
        timeline().spans.into_iter().map(|span| (span.kind, span.lanes, span.from, span.to, span.fired)).collect();
    assert_eq!(
        spans,
        [
            (SpanKind::Fault, vec![0, 1], 6, Some(11), Some(false)),
            (SpanKind::Down, vec![1], 13, Some(14), Some(true)),
            (SpanKind::Down, vec![1], 15, None, None),
        ]
    );
}

#[test]
fn of_a_run_that_is_too_long_what_is_decided_is_kept() {
    let (plan, mut story) = story();
    let (network, others) = (6, 7);
    story.trace.extend((0..EVENTS_MAX).map(|_| event(30, "graph", What::Disk, "Write", None)));
    let timeline = Timeline::new(&plan, &[], &story);
    // Of the story's own events one is a disk operation; its client saw three things.
    assert_eq!((timeline.left_out, timeline.len()), (EVENTS_MAX + 1, network + others - 1 + 3));
    story.trace.extend((0..EVENTS_MAX).map(|_| event(30, "graph", What::Network, "sent to alice: FIN", None)));
    assert!(
        Timeline::new(&plan, &[], &story).events.kind.iter().all(|kind| !matches!(kind, Moment::Disk | Moment::Sent))
    );
}

#[test]
fn readers_are_told_what_a_commit_changed_and_not_what_only_checks_want_to_know() {
    let (plan, mut story) = story();
    let before = Timeline::new(&plan, &[], &story).len();
    story.trace.push(event(30, "graph", What::Seen, "graph {}", None));
    story.trace.push(event(30, "graph", What::Change, "+ node a :N {}\n- node b :N {}", None));
    let Timeline { events, texts, .. } = Timeline::new(&plan, &[], &story);
    assert_eq!(events.kind.len(), before + 1);
    assert_eq!(events.kind[before], Moment::Change);
    assert_eq!(texts[events.text[before]], "+ node a :N {}\n- node b :N {}");
}

#[test]
fn a_commit_of_many_changes_is_told_in_part_and_a_long_one_hides_no_other() {
    let (plan, mut story) = story();
    let lines = |count: usize| (0..count).map(|n| format!("+ node {n}")).collect::<Vec<_>>().join("\n");
    story.trace.push(event(30, "graph", What::Change, &lines(LINES_MAX + 3), None));
    story.trace.push(event(31, "graph", What::Change, &format!("{}\n+ node b", "a".repeat(LINE_CHARS_MAX + 7)), None));
    let Timeline { events, texts, .. } = Timeline::new(&plan, &[], &story);
    let told = |from_end: usize| texts[events.text[events.text.len() - from_end]].clone();
    assert_eq!(told(2), format!("{}\nand 3 more", lines(LINES_MAX)));
    assert!(told(1).ends_with("a … (7 bytes more)\n+ node b"), "{}", told(1));
}

#[test]
fn where_only_the_stores_show_it_the_last_commit_may_be_what_broke_it() {
    let (plan, mut story) = story();
    let marked = Timeline::new(&plan, &[], &story).len();
    story.trace.push(event(30, "coordinator", What::Mark, "commit Aborted(1)", None));
    assert_eq!(Timeline::new(&plan, &[], &story).last_decision(), marked);
    story.trace.push(event(31, "graph", What::Change, "+ node a", None));
    let timeline = Timeline::new(&plan, &[], &story);
    assert_eq!((timeline.last_decision(), timeline.last_step(30)), (marked + 1, Some(marked)));
    assert_eq!(timeline.last_step(31), Some(marked + 1));
}

/// The page counts on it: what it calls an event is found by a number.
#[test]
fn the_page_has_the_kinds_of_events_in_the_same_order() {
    use Moment::*;
    let kinds = [Input, Effect, Mark, Fault, Sent, Delivered, Lost, Disk, Log, Change, Invoke, Ok, Fail, Info];
    assert!(kinds.iter().enumerate().all(|(place, kind)| u8::from(*kind) as usize == place));
    let names = kinds.map(|kind| format!("{kind:?}").to_lowercase());
    let list = |script: &str, name: &str| -> Vec<String> {
        let (_, rest) = script.split_once(&format!("const {name} = [")).expect("the page has it");
        let (list, _) = rest.split_once(']').expect("it ends");
        list.split(", ").map(|item| item.trim_matches('"').to_owned()).collect()
    };
    assert_eq!(list(include_str!("../assets/run.js"), "KINDS"), names);
    assert_eq!(list(include_str!("../assets/diagram.js"), "COLOUR_OF").len(), names.len());
}

#[test]
fn a_text_is_kept_once_and_a_long_one_in_part() {
    let (plan, mut story) = story();
    story.trace.push(event(30, "graph", What::Disk, "Write", None));
    story.trace.push(event(31, "graph", What::Input, &"ü".repeat(TEXT_CHARS_MAX + 1), None));
    let timeline = Timeline::new(&plan, &[], &story);
    assert_eq!(timeline.texts.iter().filter(|text| *text == "Write").count(), 1);
    let text = timeline.texts.last().expect("there are texts");
    assert!(text.ends_with("ü … (2 bytes more)"), "{}", &text[text.len() - 30..]);
}
