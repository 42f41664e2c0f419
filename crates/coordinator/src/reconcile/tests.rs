//! The core by hand: in which order a pass does what, and what it says in the end.

use env::{Core, Step};
use graph::{Content, Millis, Subject, TxId};

use super::*;
use crate::commit::RequestId;

const NOW: Millis = Millis(7);
const CONFIG: Config = Config { period: None, page: 10, findings_max: 2 };

fn entity(id: &str) -> Subject {
    Subject::Entity(id.parse().unwrap())
}

fn link(from: &str, to: &str) -> Subject {
    Subject::Link { from: from.parse().unwrap(), kind: "knows".parse().unwrap(), to: to.parse().unwrap() }
}

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 1, serial }
}

/// Only SQLite has it.
fn lost(subject: Subject) -> Evidence {
    let content = Content { kind: "thing".parse().unwrap(), key: None, properties: [].into() };
    Evidence {
        subject,
        graph: Held::Absent,
        sql: Some(content),
        log: Logged::Never,
        linked: false,
        loose: false,
        rivals: Vec::new(),
        unaccounted: Vec::new(),
    }
}

fn agreed(subject: Subject) -> Evidence {
    Evidence { sql: None, ..lost(subject) }
}

fn page(suspects: &[Subject], next: Option<Position>) -> Input {
    Input::Compared(Page { compared: 5, suspects: suspects.to_vec(), foreign: Vec::new(), next })
}

struct Bench {
    core: Reconcile,
    step: Step<ReconcileEffect, Mark>,
}

impl Bench {
    fn new(task: Task) -> Bench {
        let mut bench = Bench { core: Reconcile::new(CONFIG), step: Step::new() };
        bench.tell(Input::Run { request: RequestId(1), task });
        bench.assert_compares(Position::Entities(None));
        bench
    }

    fn tell(&mut self, input: Input) {
        self.step = self.core.handle(NOW, input);
    }

    #[track_caller]
    fn assert_asks(&self, effect: ReconcileEffect) {
        assert_eq!(self.step.effects, [effect]);
    }

    #[track_caller]
    fn assert_compares(&self, from: Position) {
        self.assert_asks(ReconcileEffect::Compare { from, limit: CONFIG.page });
    }

    #[track_caller]
    fn assert_repairs(&self, subject: Subject) {
        self.assert_asks(ReconcileEffect::Repair { subject, order: Order::Policy(Policy::Log) });
    }

    /// What the pass that ends with the last step found.
    #[track_caller]
    fn summary(&self) -> Summary {
        let [ReconcileEffect::Report { request: Some(RequestId(1)), summary }] = &self.step.effects[..] else {
            panic!("{:?}", self.step)
        };
        assert!(self.step.marks.contains(&Mark::Passed) && self.core.is_idle());
        summary.clone()
    }
}

#[test]
fn a_validation_looks_again_at_what_is_suspect_and_reports_what_still_differs() {
    let mut bench = Bench::new(Task::Validate);
    let next = Position::Entities(Some("m".to_owned()));
    bench.tell(page(&[entity("a"), entity("b")], Some(next.clone())));
    bench.assert_asks(ReconcileEffect::Examine { subject: entity("a") });
    bench.tell(Input::Examined(agreed(entity("a"))));
    assert_eq!(bench.step.marks, [Mark::Acquitted]);
    bench.assert_asks(ReconcileEffect::Examine { subject: entity("b") });
    bench.tell(Input::Examined(lost(entity("b"))));
    assert_eq!(bench.step.marks, [Mark::Found]);
    bench.assert_compares(next);
    bench.tell(page(&[], None));
    bench.assert_compares(Position::Links(None));
    bench.tell(page(&[], None));
    let summary = bench.summary();
    assert!(summary.complete && !summary.is_clean());
    assert_eq!((summary.entities, summary.links, summary.suspects, summary.differences), (10, 5, 2, 1));
    let found = Finding {
        subject: "entity b".to_owned(),
        divergence: Some(Divergence::OnlyInSql),
        fields: Vec::new(),
        done: Done::Nothing,
    };
    assert_eq!(summary.findings, [found]);
}

#[test]
fn stores_that_agree_are_clean() {
    let mut bench = Bench::new(Task::Validate);
    bench.tell(page(&[], None));
    bench.tell(page(&[], None));
    assert!(bench.summary().is_clean());
}

#[test]
fn what_has_to_go_goes_after_its_links() {
    let mut bench = Bench::new(Task::Reconcile(Policy::Log));
    bench.tell(page(&[entity("a")], None));
    bench.assert_repairs(entity("a"));
    bench.tell(Input::Repaired(Repaired::Undecided(Reason::StillLinked, Box::new(lost(entity("a"))))));
    assert_eq!(bench.step.marks, [Mark::Deferred]);
    bench.assert_compares(Position::Links(None));
    bench.tell(page(&[link("a", "b")], None));
    bench.assert_repairs(link("a", "b"));
    bench.tell(Input::Repaired(Repaired::Committed(tx(1))));
    bench.assert_compares(Position::Entities(None));
    bench.tell(page(&[entity("a")], None));
    bench.assert_repairs(entity("a"));
    bench.tell(Input::Repaired(Repaired::Committed(tx(2))));
    let summary = bench.summary();
    assert!(summary.is_clean());
    assert_eq!((summary.entities, summary.links, summary.suspects, summary.repaired), (5, 5, 2, 2));
}

#[test]
fn what_is_still_linked_then_is_left_to_a_person() {
    let mut bench = Bench::new(Task::Reconcile(Policy::Log));
    let linked = || Input::Repaired(Repaired::Undecided(Reason::StillLinked, Box::new(lost(entity("a")))));
    bench.tell(page(&[entity("a")], None));
    bench.tell(linked());
    bench.tell(page(&[], None));
    bench.tell(page(&[entity("a")], None));
    bench.tell(linked());
    assert_eq!(bench.step.marks, [Mark::Asked]);
    bench.assert_asks(ReconcileEffect::Record { evidence: Box::new(lost(entity("a"))), reason: Reason::StillLinked });
    bench.tell(Input::Recorded { evidence: lost(entity("a")), case: 3 });
    let summary = bench.summary();
    assert!(summary.complete && !summary.is_clean());
    assert_eq!((summary.undecided, summary.differences, summary.repaired), (1, 1, 0));
    assert_eq!(summary.findings[0].done, Done::Case { case: 3 });
}

#[test]
fn what_could_not_be_looked_at_is_counted_and_nothing_is_called_clean() {
    let mut bench = Bench::new(Task::Reconcile(Policy::Log));
    bench.tell(page(&[entity("a"), entity("b"), entity("c")], None));
    bench.tell(Input::Repaired(Repaired::NotNow("busy".to_owned())));
    assert_eq!(bench.step.marks, [Mark::Skipped]);
    bench.tell(Input::Repaired(Repaired::Agreed));
    let undecided = Repaired::Undecided(Reason::Quarantined, Box::new(lost(entity("c"))));
    bench.tell(Input::Repaired(undecided));
    bench.tell(Input::Failed { reason: "no room for a case".to_owned() });
    bench.assert_compares(Position::Links(None));
    bench.tell(page(&[], None));
    let summary = bench.summary();
    assert_eq!((summary.skipped, summary.differences), (2, 0), "{summary:?}");
    assert!(summary.complete && !summary.is_clean());
}

#[test]
fn a_pass_that_cannot_read_ends_and_says_so() {
    let mut bench = Bench::new(Task::Validate);
    bench.tell(page(&[], Some(Position::Entities(Some("m".to_owned())))));
    bench.tell(Input::Failed { reason: "no graph".to_owned() });
    let summary = bench.summary();
    assert_eq!((summary.complete, summary.why.as_deref()), (false, Some("no graph")));
    assert!(!summary.is_clean());
}

#[test]
fn a_summary_lists_the_first_findings_and_counts_all() {
    let mut bench = Bench::new(Task::Validate);
    let foreign = vec!["x y".to_owned()];
    bench.tell(Input::Compared(Page {
        compared: 4,
        suspects: ["a", "b", "c"].map(entity).into(),
        foreign,
        next: None,
    }));
    for id in ["a", "b", "c"] {
        bench.tell(Input::Examined(lost(entity(id))));
    }
    bench.tell(page(&[], None));
    let summary = bench.summary();
    assert_eq!((summary.differences, summary.findings.len()), (4, 2));
    assert_eq!(summary.findings[0].done, Done::Foreign);
}

#[test]
fn passes_are_made_one_after_another() {
    let mut bench = Bench::new(Task::Validate);
    bench.tell(Input::Run { request: RequestId(2), task: Task::Reconcile(Policy::Sql) });
    assert_eq!(bench.step, Step::new());
    bench.tell(page(&[], None));
    bench.tell(page(&[], None));
    let [ReconcileEffect::Report { request, .. }, ReconcileEffect::Compare { .. }] = &bench.step.effects[..] else {
        panic!("{:?}", bench.step)
    };
    assert_eq!(*request, Some(RequestId(1)));
    bench.tell(page(&[entity("a")], None));
    bench.assert_asks(ReconcileEffect::Repair { subject: entity("a"), order: Order::Policy(Policy::Sql) });
}

#[test]
fn validations_come_by_themselves_in_their_period() {
    let mut core = Reconcile::new(Config { period: Some(Millis(100)), ..CONFIG });
    assert_eq!(core.poll_timeout(), Some(Millis(100)));
    assert_eq!(core.handle(Millis(99), Input::Timeout), Step::new());
    let begun = core.handle(Millis(100), Input::Timeout).effects;
    assert_eq!(begun, [ReconcileEffect::Compare { from: Position::Entities(None), limit: 10 }]);
    assert_eq!(core.poll_timeout(), None, "one pass at a time");
    core.handle(Millis(110), page(&[], None));
    let ended = core.handle(Millis(120), page(&[], None)).effects;
    assert!(matches!(&ended[..], [ReconcileEffect::Report { request: None, .. }]), "{ended:?}");
    assert_eq!(core.poll_timeout(), Some(Millis(220)));
    let mut never = Reconcile::new(CONFIG);
    assert_eq!((never.poll_timeout(), never.handle(NOW, Input::Timeout)), (None, Step::new()));
}

#[test]
fn every_mark_has_its_name() {
    use Mark::{Acquitted, Asked, Deferred, Found, Passed, Repaired, Skipped, Stopped};
    let marks = [Acquitted, Found, Repaired, Deferred, Asked, Skipped, Stopped, Passed];
    assert_eq!(marks.map(|mark| format!("{mark:?}").to_lowercase()), Mark::NAMES);
}
