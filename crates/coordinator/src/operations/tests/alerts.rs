//! Alerts, in virtual time, with the core run by its own driver.

use std::sync::Arc;
use std::time::Duration;

use env::{Env, Executor, Handle, Production, Watched, drive_watched};
use tokio::sync::mpsc;
use tokio::time::{advance, sleep};

use super::super::alerts::Config as Limits;
use super::super::{AlertKind, CheckResult, Operations};
use super::*;
use crate::commit::Action;
use crate::events::Feed;

/// Stores without content: each transaction ends as its key says, each fence takes its time.
struct Stores {
    fence_takes: Duration,
    replies: mpsc::UnboundedSender<()>,
}

impl Executor<Commit> for Stores {
    async fn execute(&self, effect: CommitEffect) -> Option<Input> {
        let CommitEffect::Do { id: effect, action } = effect else {
            self.replies.send(()).expect("the test is listening");
            return None;
        };
        let report = match action {
            Action::Intend(intent) if intent.key.0.starts_with("taken") => {
                Report::Refused(graph::Refusal::EntityExists(entity("a")))
            }
            Action::Intend(_) => Report::Intended,
            Action::Decide { patch, .. } if names(&patch, "bad") => {
                return Some(Input::Failed { effect, failure: no() });
            }
            Action::Decide { .. } => Report::Decided,
            Action::Fence { .. } => {
                sleep(self.fence_takes).await;
                Report::Fenced { committed: true }
            }
            Action::Finish { .. } => Report::Finished,
            Action::Load { .. }
            | Action::Find { .. }
            | Action::LookUp { .. }
            | Action::Examine { .. }
            | Action::IntendRepair { .. }
            | Action::Append(_) => {
                panic!("nobody asks")
            }
        };
        Some(Input::Done { effect, report })
    }
}

fn names(patch: &Patch, prefix: &str) -> bool {
    patch.operations.iter().flat_map(Operation::keys).any(|key| key.as_str().starts_with(prefix))
}

/// A core at work.
struct Service {
    core: Handle<Watched<Commit, Operations>>,
    operations: Arc<Operations>,
    replies: mpsc::UnboundedReceiver<()>,
    requests: u64,
}

impl Service {
    fn start(left: Vec<Intent>, fence_takes: Duration) -> Service {
        let (core, first) = Commit::recover(CONFIG, 2, left).expect("a sound log");
        let operations = Arc::new(Operations::new(Limits::default(), &core, Feed::new(0, 1)));
        let (sender, replies) = mpsc::unbounded_channel();
        let stores = Stores { fence_takes, replies: sender };
        let core = drive_watched(&Env::new(Production), core, first, stores, operations.clone());
        Service { core, operations, replies, requests: 0 }
    }

    /// Runs transactions on entities of their own whose names start like this, one by one.
    async fn run(&mut self, count: u64, prefix: &str) {
        for _ in 0..count {
            self.requests += 1;
            let (request, name) = (RequestId(self.requests), format!("{prefix}-{}", self.requests));
            self.core.send(Input::Submit { request, submission: submission(&name, &name) });
            self.replies.recv().await.expect("the loop is running");
        }
    }

    fn firing(&self) -> Vec<AlertKind> {
        self.operations.alerts().into_iter().filter(|alert| alert.firing).map(|alert| alert.alert).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nine_failures_in_a_thousand_are_tolerated_and_eleven_are_not() {
    for (failures, firing) in [(9, vec![]), (10, vec![]), (11, vec![AlertKind::FailureRate])] {
        let mut service = Service::start(vec![], Duration::ZERO);
        service.run(1_000 - failures, "good").await;
        service.run(failures, "bad").await;
        assert_eq!(service.firing(), firing, "{failures} of 1000");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_transactions_have_no_rate_and_old_ones_do_not_count() {
    let mut service = Service::start(vec![], Duration::ZERO);
    service.run(99, "bad").await;
    assert_eq!(service.firing(), []);
    service.run(1, "bad").await;
    assert_eq!(service.firing(), [AlertKind::FailureRate]);
    advance(Duration::from_secs(300)).await;
    service.run(100, "good").await;
    assert_eq!(service.firing(), []);
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_wrong_do_not_hide_failures() {
    let mut service = Service::start(vec![], Duration::ZERO);
    service.run(98, "good").await;
    service.run(2, "bad").await;
    service.run(5_000, "taken").await;
    assert_eq!(service.firing(), [AlertKind::FailureRate, AlertKind::IdConflict]);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_of_29_seconds_is_tolerated_and_one_of_31_is_not() {
    for (seconds, slow) in [(29, false), (30, false), (31, true)] {
        let service = Service::start(vec![left(1)], Duration::from_secs(seconds));
        let expected = if slow { vec![AlertKind::RecoverySlow] } else { vec![] };
        sleep(Duration::from_millis(seconds * 1_000 - 1)).await;
        assert_eq!((service.operations.metrics().recovering(), service.firing()), (1, expected.clone()), "{seconds} s");
        sleep(Duration::from_millis(2)).await;
        assert_eq!((service.operations.metrics().recovering(), service.firing()), (0, expected), "{seconds} s");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(service.firing(), [], "{seconds} s, five minutes later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_told_for_five_minutes() {
    let mut service = Service::start(vec![], Duration::ZERO);
    service.run(1, "good").await;
    assert_eq!(service.firing(), []);
    service.run(1, "taken").await;
    assert_eq!(service.firing(), [AlertKind::IdConflict]);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(service.firing(), []);
}

#[tokio::test(start_paused = true)]
async fn a_failed_check_stands_until_it_passes() {
    let service = Service::start(vec![], Duration::ZERO);
    service.operations.report_check("entities", CheckResult::passed());
    assert_eq!(service.firing(), []);
    service.operations.report_check("entities", CheckResult::failed(2, "a and b differ"));
    service.operations.report_check("links", CheckResult::passed());
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(service.firing(), [AlertKind::CheckFailed]);
    let alerts = service.operations.alerts();
    let detail = &alerts.iter().find(|alert| alert.alert == AlertKind::CheckFailed).unwrap().detail;
    assert_eq!(detail, "check entities found 2: a and b differ");
    service.operations.report_check("entities", CheckResult::passed());
    assert_eq!(service.firing(), []);
}

#[tokio::test(start_paused = true)]
async fn stores_that_differ_are_told_for_five_minutes() {
    let service = Service::start(vec![], Duration::ZERO);
    service.operations.report_difference("only the graph has entity a");
    assert_eq!(service.firing(), [AlertKind::CheckFailed]);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(service.firing(), []);
}

#[tokio::test(start_paused = true)]
async fn the_low_water_mark_stays_below_what_is_under_way() {
    let mut service = Service::start(vec![left(3)], Duration::from_secs(4));
    let before = service.operations.freshness();
    assert_eq!((before.indexed_up_to, before.complete), (TxId { incarnation: 1, serial: 2 }, Some(false)));
    service.run(2, "good").await;
    sleep(Duration::from_secs(3)).await;
    let behind = service.operations.freshness();
    assert_eq!((behind.indexed_up_to, behind.delay), (before.indexed_up_to, Millis(3_000)));
    sleep(Duration::from_secs(2)).await;
    let after = service.operations.freshness();
    assert_eq!((after.indexed_up_to, after.delay, after.complete), (tx(2), Millis::ZERO, Some(true)));
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_lost_something_is_never_called_complete() {
    let (core, _) = Commit::recover(CONFIG, 2, vec![]).expect("a sound log");
    let operations = Operations::new(Limits::default(), &core, Feed::new(0, 1));
    operations.report_start(Some("something is gone"));
    assert_eq!(operations.freshness().complete, None);
    operations.report_start(None);
    assert_eq!(operations.freshness().complete, Some(true));
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_announced_when_it_begins_and_when_it_ends() {
    let mut service = Service::start(vec![], Duration::ZERO);
    let changes = |service: &Service| -> Vec<(AlertKind, bool)> {
        service.operations.changes().into_iter().map(|alert| (alert.alert, alert.firing)).collect()
    };
    assert_eq!(changes(&service), []);
    service.run(1, "taken").await;
    assert_eq!(changes(&service), [(AlertKind::IdConflict, true)]);
    service.run(1, "taken").await;
    assert_eq!(changes(&service), []);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(changes(&service), [(AlertKind::IdConflict, false)]);
}
