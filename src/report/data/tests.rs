use super::*;
use crate::history::{ClientId, Event, EventKind, History, Millis};
use crate::plan::fake::{self, Fake, Op};
use crate::plan::{Client, ClientStep};
use crate::record::{TraceEvent, What};
use crate::verdict::Words;

/// One client that was answered once, and a core that decided once.
fn run(decided: &str, violations: Vec<Violation>) -> (Plan<Op>, Verdict, Story) {
    let steps = vec![ClientStep { at_ms: 1, op: Op::Stop }];
    let plan = Plan { clients: vec![Client { name: "alice".to_owned(), steps }], ..fake::plan() };
    let event = |at_ms, text: &str| TraceEvent {
        at_ms,
        host: "coordinator".to_owned(),
        what: What::Input,
        text: text.to_owned(),
        message: None,
    };
    let mut history = History::new();
    for (at_ms, kind) in
        [(3, EventKind::Invoke(Words("Read".to_owned()))), (8, EventKind::Ok(Words("Entity(None)".to_owned())))]
    {
        history.push(Event { at: Millis(at_ms), client: ClientId(0), op: OpId(0), kind }).expect("it is a history");
    }
    let story = Story {
        history,
        trace: vec![event(5, "Submit"), event(6, decided), event(9, "Inspect")],
        dumps: [("graph".to_owned(), "node a {}\n".to_owned()), ("a_log".to_owned(), "x\n".to_owned())].into(),
        expected: [("graph".to_owned(), String::new())].into(),
    };
    let verdict = Verdict {
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        violations,
        checked: [("atomicity".to_owned(), 1)].into(),
        operations: Operations { ok: 1, fail: 0, info: 0 },
        simulated_ms: 10,
        ..Verdict::default()
    };
    (plan, verdict, story)
}

fn data(violations: Vec<Violation>) -> Data {
    let about = violations.last().map(Violation::fingerprint);
    let (plan, verdict, story) = run("Done", violations);
    Data::new::<Fake>(&plan, &verdict, &story, "squall replay it".to_owned(), about)
}

#[test]
fn a_sentence_says_what_broke_and_who_saw_it() {
    assert_eq!(data(vec![]).sentence, "Nothing broke: 1 checks of this run of story hold.");
    let lost = || Violation::new("durability", "an acknowledged transaction is lost");
    assert_eq!(data(vec![lost()]).sentence, "durability is broken: an acknowledged transaction is lost.");
    assert_eq!(
        data(vec![lost().about([OpId(0)])]).sentence,
        "durability is broken: an acknowledged transaction is lost, as alice was told of op 0 at 8 ms."
    );
    let split = || {
        let lost = Violation::new("atomicity", "the stores differ").expected("bob in both");
        lost.actual("they differ").details(["more in the graph: bob".to_owned(), "x".repeat(500)])
    };
    assert_eq!(
        data(vec![split()]).sentence,
        "atomicity is broken: the stores differ; expected: bob in both; actual: they differ: more in the graph: bob, and 1 more."
    );
    assert!(data(vec![split().expected("y".repeat(500))]).sentence.len() < 400, "a sentence, and no page");
    let stuck = Violation::new("liveness", "not settled # ms after")
        .expected("nothing to do")
        .actual("not settled 30 ms after");
    assert_eq!(
        data(vec![stuck]).sentence,
        "liveness is broken: expected: nothing to do; actual: not settled 30 ms after."
    );
    let torn = || Violation::new("linearizability", "Read").explained([OpId(0)]);
    assert_eq!(
        data(vec![torn().about([OpId(0)])]).sentence,
        "linearizability is broken: no order of the operations explains what alice was told of op 0 at 8 ms."
    );
    assert_eq!(
        data(vec![torn().about([OpId(0)]).details(["  op 0 of alice (3 ms to 8 ms): Read -> None".to_owned()])])
            .sentence,
        "linearizability is broken: no order of the operations explains what alice was told of op 0 at 8 ms: Read -> None."
    );
    // Nobody's operation is a look at the stores when the run was over.
    assert_eq!(
        data(vec![torn().about([OpId(0), OpId(7)])]).sentence,
        "linearizability is broken: no order of the operations explains what the stores held in the end."
    );
}

#[test]
fn a_violation_shows_where_its_last_operation_ended_or_after_the_last_decision() {
    let data = data(vec![
        Violation::new("atomicity", "the stores differ"),
        Violation::new("durability", "lost").about([OpId(0)]),
    ]);
    let shown: Vec<_> = data.violations.iter().map(|shown| (shown.property.as_str(), shown.event)).collect();
    // What the page is about comes first.
    assert_eq!(shown, [("durability", 3), ("atomicity", 4)]);
    assert_eq!(data.timeline.len(), 5);
    let known = self::data(vec![Violation::new("idempotence", "changed").at_ms(6)]);
    assert_eq!((known.violations[0].event, known.timeline.events.at_ms[known.violations[0].event]), (2, 6));
}

#[test]
fn stores_of_which_something_can_be_said_come_first() {
    let stores: Vec<_> = data(vec![]).stores.into_iter().map(|store| (store.name, store.judged)).collect();
    assert_eq!(stores, [("graph".to_owned(), true), ("a_log".to_owned(), false)]);
}

#[test]
fn two_runs_stand_side_by_side_from_where_they_part() {
    let (plan, verdict, story) = run("Done", vec![Violation::new("atomicity", "the stores differ")]);
    let (mut other_plan, other, other_story) = run("Failed", vec![]);
    other_plan.limit_ms = 2_000;
    let data = Data::new::<Fake>(&plan, &verdict, &story, String::new(), None);
    let data = data.against::<Fake>("the other".to_owned(), (&plan, &story), (&other_plan, &other, &other_story));
    let against = data.against.expect("it was put there");
    assert_eq!((against.outcome.as_str(), against.same), ("passes", 0));
    let same: Vec<bool> = against.decisions.iter().map(|row| row.same).collect();
    assert_eq!(same, [true, false, true]);
    let changed: Vec<_> = against.plan.iter().filter(|row| !row.same).collect();
    let [Row { left: Some(left), right: Some(right), .. }] = &changed[..] else { panic!("{changed:?}") };
    assert_eq!((left.as_str(), right.as_str()), ("limit_ms = 1000", "limit_ms = 2000"));
}

#[test]
fn nothing_in_the_data_ends_its_script() {
    let mut data = data(vec![Violation::new("atomicity", "</script><!--")]);
    data.scenario = "<b>{{data}}".to_owned();
    let page = crate::report::render(&data);
    assert!(page.contains("&lt;b&gt;") && page.contains("\\u003c/script>\\u003c!--"));
    assert_eq!(page.matches("</script>").count(), 2, "the data's and the program's");
}
