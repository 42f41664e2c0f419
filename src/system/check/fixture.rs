//! A run in which everything went right, so that a test can plant one thing that went wrong.

use std::collections::BTreeMap;
use std::fmt;

use coordinator::commit::{
    AbortReason, Action, Answer, CommitEffect, ContentHash, Decision, EffectId, IdempotencyKey, Input, Mark, Report,
    RequestId, Settled, Submission,
};
use graph::{EntityId, Kind, Operation, Patch, Properties, Refusal, Snapshot, TxId, Value};

use super::CoordinatorRecord;
use crate::check::{Checker, Fingerprint};
use crate::history::{ClientId, EventKind, History, Millis, OpId};
use crate::plan::{Client, ClientStep, Network, PLAN_FORMAT, Plan};
use crate::record::{TraceEvent, What};
use crate::system::COORDINATOR;
use crate::system::dump::{self, AuditLine, EventLine, LogLine, MarkerLine, RowLine, lines};
use crate::system::key;
use crate::system::operation::{Op, Ret, resources};

/// The names and numbers of a run: what a fingerprint must not depend on.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    alice: &'static str,
    bob: &'static str,
    value: i64,
    /// How many transactions the coordinator had begun before.
    begun: u64,
    /// The time of the first event.
    at_ms: u64,
}

/// Two casts without a name or a number in common.
pub const CASTS: [Cast; 2] = [
    Cast { alice: "alice", bob: "bob", value: 1, begun: 0, at_ms: 300 },
    Cast { alice: "e-77", bob: "zoe", value: 9_000, begun: 41, at_ms: 1_234 },
];

/// What a sound run counts.
const COUNTERS: &str = r#"coordinator_decisions_total{decision="aborted"} 2
coordinator_decisions_total{decision="committed"} 3
coordinator_transactions_total{outcome="committed"} 3
coordinator_transactions_total{outcome="fenced"} 1
coordinator_transactions_total{outcome="refused"} 1
coordinator_requests_total{request="transaction",answer="committed"} 2
coordinator_requests_total{request="transaction",answer="refused"} 1
coordinator_id_conflicts_total{kind="entity"} 1
coordinator_checks_total{check="start",result="passed"} 1
coordinator_checks_total{check="log",result="passed"} 1
coordinator_alert_firing{alert="id_conflict"} 1
"#;

/// A run as it is told: the clients' history, and both stores as it leaves them.
pub struct Run {
    /// An entity; where the story is sound, it is linked to the other.
    pub alice: EntityId,
    /// Another.
    pub bob: EntityId,
    /// The first of the values that the run writes.
    pub value: i64,
    /// What the clients saw.
    pub history: History<Op, Ret>,
    /// Entities and links in the graph.
    pub graph: Snapshot,
    /// Entities and links in SQLite.
    pub ledger: Snapshot,
    /// The log.
    pub log: Vec<LogLine>,
    /// The markers.
    pub markers: Vec<MarkerLine>,
    /// Who wrote each row of SQLite last.
    pub rows: Vec<RowLine>,
    /// What is left to a person.
    pub cases: Vec<String>,
    /// The events.
    pub events: Vec<EventLine>,
    /// The audit trail.
    pub audit: Vec<AuditLine>,
    /// What strong reads show at the moment.
    pub entities: BTreeMap<EntityId, coordinator::commit::EntityView>,
    /// Whether the system came to rest.
    pub settled: Result<(), String>,
    /// The checks that the plan names.
    pub checks: Vec<String>,
    /// What the commit core was told, decided and asked for.
    pub trace: Vec<TraceEvent>,
    /// What the coordinator counted.
    pub counters: String,
    /// What becomes of the dumps.
    pub damage: Option<fn(&mut BTreeMap<String, String>)>,
    /// The time of what was told last.
    pub at_ms: u64,
    begun: u64,
}

impl Run {
    /// A run of which nothing has been told.
    pub fn empty(cast: Cast) -> Run {
        Run {
            alice: EntityId::new(cast.alice).unwrap(),
            bob: EntityId::new(cast.bob).unwrap(),
            value: cast.value,
            history: History::new(),
            graph: Snapshot::default(),
            ledger: Snapshot::default(),
            log: Vec::new(),
            markers: Vec::new(),
            rows: Vec::new(),
            cases: Vec::new(),
            events: Vec::new(),
            audit: Vec::new(),
            entities: BTreeMap::new(),
            settled: Ok(()),
            checks: Vec::new(),
            trace: Vec::new(),
            counters: String::new(),
            damage: None,
            at_ms: cast.at_ms,
            begun: cast.begun,
        }
    }

    /// Two entities and a link; an update; reads of both tiers; a refusal, a transaction whose outcome was not told, and
    /// one that was fenced.
    pub fn sound(cast: Cast) -> Run {
        let mut run = Run::empty(cast);
        run.commit(vec![run.create(&run.alice, 0), run.create(&run.bob, 1), run.link()]);
        run.read(&run.alice.clone());
        let op = run.commit(vec![run.update(&run.alice, 2), run.update(&run.bob, 3)]);
        assert_eq!(op, OpId(2));
        run.refuse(vec![run.create(&run.alice, 4)]);
        let peek = run.invoke(Op::Peek { entity: run.bob.clone() });
        run.ok(peek, Ret::Peeked { found: true });
        let unknown = run.submit(vec![run.update(&run.bob, 5)]);
        run.land(unknown);
        run.info(unknown);
        let fenced = run.submit(vec![run.update(&run.alice, 6)]);
        let tx = run.abort(fenced);
        run.markers.push(MarkerLine { tx, state: "aborted".to_owned() });
        run.info(fenced);
        run.read(&run.alice.clone());
        run.read(&run.bob.clone());
        run.counters = COUNTERS.to_owned();
        run
    }

    /// The operation that creates an entity with the `nth` value.
    pub fn create(&self, id: &EntityId, nth: i64) -> Operation {
        Operation::Create { id: id.clone(), kind: Kind::new("thing").unwrap(), key: None, properties: self.valued(nth) }
    }

    /// The operation that gives an entity the `nth` value.
    pub fn update(&self, id: &EntityId, nth: i64) -> Operation {
        Operation::Update { id: id.clone(), set: self.valued(nth) }
    }

    /// The operation that links alice to bob.
    pub fn link(&self) -> Operation {
        Operation::Link {
            from: self.alice.clone(),
            kind: Kind::new("knows").unwrap(),
            to: self.bob.clone(),
            properties: Properties::new(),
        }
    }

    fn valued(&self, nth: i64) -> Properties {
        Properties::from([("value".to_owned(), Value::Int(self.value + nth))])
    }

    /// A client invokes an operation.
    pub fn invoke(&mut self, op: Op) -> OpId {
        let at = self.tick();
        self.history.invoke(at, ClientId(0), op)
    }

    /// A client invokes a transaction.
    pub fn submit(&mut self, operations: Vec<Operation>) -> OpId {
        self.invoke(Op::Submit { operations, retries: 1, again: 0, then: Vec::new() })
    }

    /// Both stores take a transaction that was invoked.
    pub fn land(&mut self, op: OpId) -> TxId {
        let tx = self.begin(op, "committed");
        self.decided(Mark::Committed(tx));
        let patch = Patch { operations: self.operations(op) }.resolved(tx);
        patch.apply(&mut self.graph).expect("the story makes sense");
        self.ledger = self.graph.clone();
        let operations = patch.operations;
        self.markers.push(MarkerLine { tx, state: "committed".to_owned() });
        for resource in resources(&operations) {
            let before = self.events.iter().filter(|event| event.resource == *resource).count() as u64;
            self.events.push(EventLine { resource: resource.clone(), sequence: before + 1, tx });
        }
        self.entities = self.views();
        self.wrote(&operations, tx);
        tx
    }

    /// The rows have the name of who wrote them last.
    fn wrote(&mut self, operations: &[Operation], tx: TxId) {
        for operation in operations {
            if let Operation::Link { from, kind, to, .. } | Operation::Unlink { from, kind, to } = operation {
                let subject = format!("{from} {kind} {to}");
                self.rows.retain(|row| row.subject != subject);
                if matches!(operation, Operation::Link { .. }) {
                    self.rows.push(RowLine { subject, tx: tx.to_string() });
                }
            }
        }
        self.rows.retain(|row| row.subject.contains(' '));
        let entities = self.entities.values();
        self.rows.extend(entities.map(|view| RowLine { subject: view.id.to_string(), tx: view.tx.to_string() }));
    }

    /// The log takes a transaction that was invoked as aborted, because a fence found it undecided.
    pub fn abort(&mut self, op: OpId) -> TxId {
        let tx = self.begin(op, "aborted");
        let decision = Decision::Aborted { reason: AbortReason::Fenced };
        let action = Action::Finish { tx, decision };
        self.did(CommitEffect::Do { id: EffectId::Finish(tx), action });
        self.decided(Mark::Aborted(tx));
        tx
    }

    /// A transaction from its invocation to its acknowledgement.
    pub fn commit(&mut self, operations: Vec<Operation>) -> OpId {
        let op = self.submit(operations);
        let tx = self.land(op);
        let created = Patch { operations: self.operations(op) }.generated(tx);
        self.ok(op, Ret::Committed { tx, created });
        self.answered(op, tx, Decision::Committed);
        op
    }

    /// A transaction from its invocation to the refusal that its client is told.
    pub fn refuse(&mut self, operations: Vec<Operation>) -> TxId {
        let op = self.submit(operations);
        let tx = self.begin(op, "aborted");
        let refusal = Refusal::EntityExists(self.alice.clone());
        self.told(Input::Done { effect: EffectId::Intend(tx), report: Report::Refused(refusal.clone()) });
        self.decided(Mark::Aborted(tx));
        self.ok(op, Ret::Refused { tx, refusal: refusal.clone() });
        self.answered(op, tx, Decision::Aborted { reason: AbortReason::Refused(refusal) });
        tx
    }

    /// A strong read that shows what is there.
    pub fn read(&mut self, entity: &EntityId) {
        let op = self.invoke(Op::Read { entity: entity.clone() });
        self.ok(op, Ret::Entity(self.entities.get(entity).cloned()));
    }

    /// The core is told something.
    pub fn told(&mut self, input: Input) {
        self.happened(What::Input, &input);
    }

    /// The core decides something.
    pub fn decided(&mut self, mark: Mark) {
        self.happened(What::Mark, &mark);
    }

    /// The core asks for something.
    pub fn did(&mut self, effect: CommitEffect) {
        self.happened(What::Effect, &effect);
    }

    /// The core answers who asked for a transaction.
    pub fn answered(&mut self, op: OpId, tx: TxId, decision: Decision) {
        let answer = Answer::Settled(Settled { tx, decision });
        self.did(CommitEffect::Reply { request: RequestId(op.0), answer });
    }

    fn happened(&mut self, what: What, text: &dyn fmt::Debug) {
        let text = format!("commit {text:?}");
        self.trace.push(TraceEvent { at_ms: self.at_ms, host: COORDINATOR.to_owned(), what, text, message: None });
    }

    /// The client is answered.
    pub fn ok(&mut self, op: OpId, ret: Ret) {
        let at = self.tick();
        self.history.ok(at, op, ret).expect("it was invoked and is open");
    }

    /// The client is told that its operation did nothing.
    pub fn fail(&mut self, op: OpId, reason: String) {
        let at = self.tick();
        self.history.fail(at, op, reason).expect("it was invoked and is open");
    }

    /// The client gives up.
    pub fn info(&mut self, op: OpId) {
        let at = self.tick();
        self.history.info(at, op, "no answer within 1500 ms").expect("it was invoked and is open");
    }

    /// What a check is given.
    pub fn record(&self) -> CoordinatorRecord {
        let steps = self.history.events().iter().filter_map(|event| match &event.kind {
            EventKind::Invoke(op) => Some(ClientStep { at_ms: event.at.0, op: op.clone() }),
            _ => None,
        });
        let clients = vec![Client { name: "c1".to_owned(), steps: steps.collect() }];
        let entities: String = self.entities.values().map(|view| dump::json(view) + "\n").collect();
        let mut dumps = BTreeMap::from([
            (dump::GRAPH.to_owned(), self.graph.to_string()),
            (dump::LEDGER.to_owned(), self.ledger.to_string()),
            (dump::LOG.to_owned(), lines(&self.log)),
            (dump::MARKERS.to_owned(), lines(&self.markers)),
            (dump::CASES.to_owned(), lines(&self.cases)),
            (dump::ROWS.to_owned(), lines(&self.rows)),
            (dump::EVENTS.to_owned(), lines(&self.events)),
            (dump::AUDIT.to_owned(), lines(&self.audit)),
            (dump::ENTITIES.to_owned(), entities),
            (dump::COUNTERS.to_owned(), self.counters.clone()),
        ]);
        if let Some(damage) = self.damage {
            damage(&mut dumps);
        }
        CoordinatorRecord {
            plan: Plan {
                format: PLAN_FORMAT,
                scenario: "test".to_owned(),
                seed: 1,
                network: Network::default(),
                limit_ms: 20_000,
                settle_ms: 5_000,
                supervisor_restart_ms: 100,
                system: serde_json::Value::Null,
                clients,
                faults: Vec::new(),
                checks: self.checks.clone(),
                marks: Vec::new(),
                reseed: None,
            },
            history: self.history.clone(),
            trace: self.trace.clone(),
            faults: BTreeMap::new(),
            fired: Vec::new(),
            marks: BTreeMap::new(),
            points: BTreeMap::new(),
            struck: BTreeMap::new(),
            points_at_crash: BTreeMap::new(),
            exits: Vec::new(),
            refusals: Vec::new(),
            panics: Vec::new(),
            stuck_clients: Vec::new(),
            awaited: None,
            settled: self.settled.clone(),
            dumps,
            digest: String::new(),
            byte_digest: String::new(),
            chain: Vec::new(),
            simulated_ms: self.at_ms,
        }
    }

    fn tick(&mut self) -> Millis {
        self.at_ms += 10;
        Millis(self.at_ms)
    }

    fn begin(&mut self, op: OpId, state: &str) -> TxId {
        self.begun += 1;
        let tx = TxId { incarnation: 1, serial: self.begun };
        let patch = Patch { operations: self.operations(op) };
        let submission = Submission { key: IdempotencyKey(key(op.0)), hash: ContentHash::of(&patch), patch };
        self.told(Input::Submit { request: RequestId(op.0), submission });
        self.log.push(LogLine { tx, state: state.to_owned(), key: key(op.0) });
        let actions: &[&str] = if state == "committed" { &["intended", state] } else { &[state] };
        for action in actions {
            let entry = self.audit.len() as u64 + 1;
            self.audit.push(AuditLine { entry, tx: Some(tx), action: (*action).to_owned() });
        }
        tx
    }

    fn operations(&self, op: OpId) -> Vec<Operation> {
        let invoked = self.history.events().iter().find(|event| event.op == op).expect("it was invoked");
        match &invoked.kind {
            EventKind::Invoke(Op::Submit { operations, .. }) => operations.clone(),
            kind => panic!("{op} is no transaction: {kind:?}"),
        }
    }

    fn views(&self) -> BTreeMap<EntityId, coordinator::commit::EntityView> {
        let views = self.graph.nodes().iter().map(|node| {
            let last = self.events.iter().rfind(|event| event.resource.as_str() == node.id).expect("it was created");
            let view = dump::view(&self.graph, node, last.sequence, last.tx).expect("the story wrote it");
            (view.id.clone(), view)
        });
        views.collect()
    }
}

/// Asserts that a check finds exactly the planted bug, and that its fingerprint is the same whoever it happens to.
pub fn caught(check: &dyn Checker<CoordinatorRecord>, key: &str, plant: impl Fn(&mut Run)) {
    for cast in CASTS {
        let mut run = Run::sound(cast);
        plant(&mut run);
        let verdict = check.check(&run.record());
        let [violation] = verdict.violations.as_slice() else {
            panic!("{cast:?}: expected one violation {key:?}, found {:#?}", verdict.violations)
        };
        assert_eq!((violation.property.as_str(), violation.key.as_str()), (check.name(), key));
        assert_eq!(violation.fingerprint(), Fingerprint::of(check.name(), key));
        assert!(!violation.expected.is_empty() && !violation.actual.is_empty(), "{violation}");
    }
}

/// Asserts that a check passes a sound run that was changed in a way that is none of its business.
pub fn passed(check: &dyn Checker<CoordinatorRecord>, change: impl Fn(&mut Run)) {
    for cast in CASTS {
        let mut run = Run::sound(cast);
        change(&mut run);
        let verdict = check.check(&run.record());
        assert!(verdict.holds(), "{cast:?}: {verdict:#?}");
    }
}
