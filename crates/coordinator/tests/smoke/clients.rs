//! What the clients do, and what has to be there when all of it is done.
//!
//! Each client works on entities of its own and, with the others, on a few shared ones, where
//! it sets a property of its own. So what a client has committed ends in the same state
//! whatever the others did meanwhile, and the state can be told beforehand.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::commit::{AbortReason, Decision, EntityView, IdempotencyKey, Settled};
use coordinator::problem::ProblemType;
use env::Env;
use graph::{EntityId, Kind, Operation, Patch, Properties, Real, Refusal, Snapshot, Value};
use tokio::sync::watch;

use super::process::Listening;

/// How many clients there are.
pub const CLIENTS: u64 = 8;

/// How many transactions each of them wants committed or refused.
pub const STEPS: u64 = 32;

/// How many entities all clients work on.
const SHARED: u64 = 4;

/// Longer than the coordinator's own time-out for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two attempts at the same request.
const PAUSE: Duration = Duration::from_millis(50);

/// When a request is given up, and the test with it.
const ATTEMPTS_MAX: u32 = 25;

/// How many times one step may be aborted for no fault of its own: a kill does it once at most.
const ABORTS_MAX: usize = 8;

/// What a client was told about one transaction in the end.
#[derive(Clone, Debug)]
pub struct Told {
    pub key: IdempotencyKey,
    pub patch: Patch,
    pub settled: Settled,
    /// The process that said so.
    pub by: u32,
}

/// How clients reach the coordinator, whichever process it is at the moment.
pub struct Link {
    env: Env,
    address: watch::Receiver<Option<Listening>>,
    acknowledged: watch::Sender<u64>,
    not_sent: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

impl Link {
    pub fn new(env: Env, address: watch::Receiver<Option<Listening>>) -> Link {
        let (not_sent, unknown, refused) = Default::default();
        Link { env, address, acknowledged: watch::Sender::new(0), not_sent, unknown, refused }
    }

    /// How many transactions clients know the outcome of.
    pub fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// Submits a transaction under one key until its outcome is known.
    pub async fn settle(&self, key: IdempotencyKey, patch: Patch) -> Told {
        let (by, settled) = self.insist(&key, async |client| client.submit(&key, &patch).await).await;
        let settled = Settled { tx: settled.tx, decision: settled.decision };
        Told { key, patch, settled, by }
    }

    /// Reads an entity at the strong tier until there is an answer.
    pub async fn read(&self, id: &EntityId) -> Option<EntityView> {
        self.insist(id, async |client| client.read(id).await).await.1
    }

    /// Makes a request again until it is answered. A transaction may be sent again as well as
    /// a read may, because its key makes all attempts one. Also returns which process answered.
    async fn insist<T>(
        &self,
        what: &dyn fmt::Display,
        request: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> (u32, T) {
        let mut address = self.address.clone();
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            let server = listening(&mut address).await;
            let count = match request(&Client::new(self.env.clone(), &server.address, ANSWER_TIMEOUT)).await {
                Ok(answer) => return (server.process, answer),
                Err(ClientError::NotSent { why }) => {
                    last = Some(why);
                    &self.not_sent
                }
                Err(ClientError::Unknown { why, .. }) => {
                    last = Some(why);
                    &self.unknown
                }
                Err(ClientError::Refused(problem)) => {
                    let passes = matches!(problem.kind, ProblemType::Busy | ProblemType::Unavailable);
                    assert!(passes, "{what}: {problem}");
                    last = Some(problem.detail);
                    &self.refused
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{what}: no answer after {ATTEMPTS_MAX} attempts, the last one: {last:?}");
    }

    /// What went wrong on the way and was tried again, in words.
    pub fn troubles(&self) -> String {
        let [unknown, not_sent, refused] =
            [&self.unknown, &self.not_sent, &self.refused].map(|count| count.load(Ordering::Relaxed));
        format!(
            "sent again: {unknown} requests without an answer, {not_sent} not sent, {refused} refused for the moment"
        )
    }
}

/// Where the server listens, as soon as it does.
async fn listening(address: &mut watch::Receiver<Option<Listening>>) -> Listening {
    // A copy: who holds on to what a watch lends keeps it from being changed.
    let address = address.wait_for(Option::is_some).await.expect("the server is there until the test ends");
    address.clone().expect("just waited for")
}

/// Creates the shared entities.
pub async fn set_up(link: &Link) -> Told {
    let create = |number| Operation::Create {
        id: shared(number),
        kind: kind("shared"),
        key: None,
        properties: Properties::new(),
    };
    let patch = Patch { operations: (0..SHARED).map(create).collect() };
    let key = IdempotencyKey("smoke-setup".to_owned());
    let told = link.settle(key, patch).await;
    assert_eq!(told.settled.decision, Decision::Committed, "the graph was not empty");
    told
}

/// Takes all steps of a client, one after another, and returns what it was told.
pub async fn run(link: &Link, client: u64) -> Vec<Told> {
    let mut told = Vec::new();
    for step in 0..STEPS {
        told.extend(take(link, client, step).await);
        // What one was told about can be read: by another process, if this one died meanwhile.
        let own = link.read(&own(client)).await;
        let expected = if is_refused(step) { step - 1 } else { step };
        let number = own.as_ref().and_then(|view| view.properties.get("n")).and_then(Value::as_int);
        assert_eq!(number, Some(int(expected)), "client {client} after step {step}");
    }
    told
}

/// One step: a transaction, and if the coordinator could not save it, another of the same
/// content under a key of its own, for an abort is final for its key.
async fn take(link: &Link, client: u64, step: u64) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        let key = IdempotencyKey(format!("smoke-{client}-{step}-{}", told.len()));
        let answer = link.settle(key, patch(client, step)).await;
        let decision = answer.settled.decision.clone();
        told.push(answer);
        link.acknowledged.send_modify(|count| *count += 1);
        match decision {
            Decision::Committed => {
                assert!(!is_refused(step), "client {client}, step {step}: committed, and it does not fit");
                return told;
            }
            Decision::Aborted { reason: AbortReason::Refused(refusal) } => {
                assert!(is_refused(step), "client {client}, step {step}: {refusal}");
                assert_eq!(refusal, Refusal::EntityExists(own(client)));
                return told;
            }
            Decision::Aborted { reason: reason @ (AbortReason::Fenced | AbortReason::GraphRefused(_)) } => {
                assert!(told.len() <= ABORTS_MAX, "client {client}, step {step}: aborted again and again: {reason}");
            }
            Decision::Aborted { reason: AbortReason::TakenBack } => {
                panic!("client {client}, step {step}: taken back, and no record of this workload is damaged");
            }
        }
    }
}

/// Whether the operations of a step do not fit, on purpose.
fn is_refused(step: u64) -> bool {
    step % 10 == 9
}

fn patch(client: u64, step: u64) -> Patch {
    let operations = if step == 0 {
        vec![create(own(client), "client", every_type(client))]
    } else if is_refused(step) {
        vec![create(item(client, step), "item", Properties::new()), create(own(client), "client", Properties::new())]
    } else if step % 10 == 5 {
        let (item, shared) = (item(client, step - 1), at(client, step - 1));
        vec![
            Operation::Unlink { from: item.clone(), kind: kind("in"), to: shared },
            Operation::Delete { id: item },
            set(own(client), "n", step),
        ]
    } else {
        let (item, shared) = (item(client, step), at(client, step));
        let link = Operation::Link {
            from: item.clone(),
            kind: kind("in"),
            to: shared.clone(),
            properties: [("step".to_owned(), Value::from(int(step)))].into(),
        };
        let properties = [("text".to_owned(), Value::from(format!("of {client}, «{step}»")))].into();
        vec![
            create(item, "item", properties),
            link,
            set(shared, &format!("by_{client}"), step),
            set(own(client), "n", step),
        ]
    };
    Patch { operations }
}

/// A value of each type, for the way through HTTP, JSON, SQLite and the graph.
fn every_type(client: u64) -> Properties {
    let real = Real::try_from(0.1 + client as f64).expect("it is finite");
    let values = [
        ("n", Value::from(0)),
        ("bool", Value::from(true)),
        ("least", Value::from(i64::MIN)),
        ("real", Value::Real(real)),
        ("text", Value::from("\"quoted\" \\ – ünïcode 🜁")),
        ("list", Value::List(vec![Value::from("a"), Value::from("")])),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What has to be there, by the reference: every committed transaction once, in the order in
/// which its client sent it. Those of different clients commute.
pub fn expected(told: &[Told]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for told in told.iter().filter(|told| told.settled.decision == Decision::Committed) {
        told.patch.apply(&mut snapshot).unwrap_or_else(|refusal| panic!("{} is committed, yet {refusal}", told.key));
    }
    snapshot
}

fn create(id: EntityId, name: &str, properties: Properties) -> Operation {
    Operation::Create { id, kind: kind(name), key: None, properties }
}

fn set(id: EntityId, name: &str, step: u64) -> Operation {
    Operation::Update { id, set: [(name.to_owned(), Value::from(int(step)))].into() }
}

fn own(client: u64) -> EntityId {
    id(format!("client/{client}"))
}

fn item(client: u64, step: u64) -> EntityId {
    id(format!("item/{client}/{step}"))
}

/// The shared entity that a client works on in a step.
fn at(client: u64, step: u64) -> EntityId {
    shared((client + step) % SHARED)
}

fn shared(number: u64) -> EntityId {
    id(format!("shared/{number}"))
}

fn id(text: String) -> EntityId {
    EntityId::new(text).expect("the workload's ids are ids")
}

fn kind(text: &str) -> Kind {
    Kind::new(text).expect("the workload's kinds are kinds")
}

fn int(step: u64) -> i64 {
    i64::try_from(step).expect("steps are few")
}
