//! What the clients do: events in streams of their own and in one that they share, by themselves and in transactions.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::commit::{AbortReason, Decision, IdempotencyKey};
use coordinator::events::{Append, Appended};
use coordinator::problem::ProblemType;
use graph::{EntityId, Kind, NewEvent, Operation, Patch, Properties};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How many clients there are.
pub const CLIENTS: u64 = 4;

/// How many steps each of them takes.
pub const STEPS: u64 = 60;

/// The stream that all clients write to.
const SHARED: &str = "shared";

/// Between two attempts at the same request.
const PAUSE: Duration = Duration::from_millis(20);

/// When a request is given up, and the test with it.
const ATTEMPTS_MAX: u32 = 1_000;

/// What clients were told.
#[derive(Debug, Default)]
pub struct Told {
    /// The events that are in the log, by their ids.
    pub events: BTreeSet<String>,
    /// The entities that transactions created.
    pub entities: BTreeSet<EntityId>,
    /// How many requests were made again.
    pub again: u64,
    /// How many transactions were aborted for no fault of their own, and made again under another key.
    pub aborted: u64,
}

impl Told {
    /// Takes over what another client was told; no two of them wrote the same.
    pub fn merge(mut self, mut other: Told) -> Told {
        self.events.append(&mut other.events);
        self.entities.append(&mut other.entities);
        Told { again: self.again + other.again, aborted: self.aborted + other.aborted, ..self }
    }
}

/// One client.
pub struct Writer {
    client: Client,
    number: u64,
    /// How many events are in its own stream.
    version: u64,
    told: Told,
}

impl Writer {
    pub fn new(client: Client, number: u64) -> Writer {
        Writer { client, number, version: 0, told: Told::default() }
    }

    /// Creates the resource that all clients write to.
    pub async fn set_up(client: Client) -> Told {
        let mut writer = Writer::new(client, CLIENTS);
        writer.append(SHARED, None, vec![event("shared-0", "resource.created", created(SHARED))]).await;
        writer.told
    }

    /// Takes all steps one after another; counts them for everybody.
    pub async fn run(mut self, steps: &watch::Sender<u64>) -> Told {
        for step in 0..STEPS {
            self.take(step).await;
            steps.send_modify(|count| *count += 1);
        }
        self.told
    }

    async fn take(&mut self, step: u64) {
        let own = stream(self.number);
        let id = |part: &str| format!("{}-{step}{part}", self.number);
        let (annotation, before) = (format!("a{step}"), format!("a{}", step.saturating_sub(1)));
        match step % 6 {
            _ if step == 0 => {
                self.append_own(vec![event(&id(""), "resource.created", created(&own))]).await;
            }
            // A link to somebody who may not be there yet, and one to nobody.
            1 => {
                let body = [link(&stream((self.number + step) % CLIENTS)), link("nobody"), link(SHARED)];
                let added = annotated(&own, &annotation, &body);
                self.append_own(vec![event(&id(""), "annotation.added", added)]).await;
            }
            // An entity and what is said about it, both or neither.
            2 => {
                let operations = json!([
                    { "op": "add", "item": link(&own) },
                    { "op": "remove", "item": link("nobody") },
                ]);
                let update = json!({ "annotationId": before, "operations": operations });
                self.commit(step, event(&id(""), "annotation.body.updated", update)).await;
            }
            3 => {
                let name = id("");
                let added = annotated(SHARED, &name, &[link(&own)]);
                let events = vec![
                    event(&id("a"), "annotation.added", added),
                    event(&id("b"), "entitytag.added", json!({ "entityType": format!("of-{}", self.number) })),
                ];
                self.append(SHARED, None, events).await;
            }
            4 => {
                let removed = json!({ "annotationId": format!("a{}", step - 3) });
                let archived = event(&id("b"), "resource.archived", json!({}));
                self.append_own(vec![event(&id("a"), "annotation.removed", removed), archived]).await;
            }
            // The name is used again in each of these rounds.
            _ => {
                let added = annotated(&own, "again", &[link(&stream(step % CLIENTS))]);
                self.append_own(vec![event(&id(""), "annotation.added", added)]).await;
            }
        }
    }

    async fn append_own(&mut self, events: Vec<NewEvent>) {
        let count = events.len() as u64;
        self.append(&stream(self.number), Some(self.version), events).await;
        self.version += count;
    }

    async fn append(&mut self, to: &str, expected: Option<u64>, events: Vec<NewEvent>) {
        let append = Append { stream: id(to), expected, events };
        let appended = self.insist(&to, async |client| client.append(&append).await).await;
        assert!(matches!(appended, Appended::New(_) | Appended::Repeated(_)), "{append:?}: {appended:?}");
        self.told.events.extend(append.events.iter().map(|event| event.id.to_string()));
    }

    /// A transaction with an event; another of the same content if the coordinator could not save it, for an abort is
    /// final for its key.
    async fn commit(&mut self, step: u64, event: NewEvent) {
        let entity = id(&format!("entity-{}-{step}", self.number));
        let kind = Kind::new("item").expect("a kind");
        let name = event.id.to_string();
        let operations = vec![
            Operation::Create { id: entity.clone(), kind, key: None, properties: Properties::new() },
            Operation::Append { resource: Some(id(&stream(self.number))), event },
        ];
        let patch = Patch { operations };
        loop {
            let key = IdempotencyKey(format!("{name}-{}", self.told.aborted));
            let submitted = self.insist(&key, async |client| client.submit(&key, &patch).await).await;
            match submitted.decision {
                Decision::Committed => break,
                Decision::Aborted { reason: AbortReason::Fenced | AbortReason::GraphRefused(_) } => {
                    self.told.aborted += 1;
                    assert!(self.told.aborted < STEPS, "{key}: transactions are aborted again and again");
                }
                Decision::Aborted { reason } => panic!("{key}: {reason}"),
            }
        }
        self.version += 1;
        self.told.events.insert(name);
        self.told.entities.insert(entity);
    }

    /// Makes a request again until it is answered: ids and keys make all attempts one.
    async fn insist<T>(
        &mut self,
        what: &dyn fmt::Display,
        request: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> T {
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            match request(&self.client).await {
                Ok(answer) => return answer,
                Err(ClientError::Refused(problem)) => {
                    let passes = matches!(problem.kind, ProblemType::Busy | ProblemType::Unavailable);
                    assert!(passes, "{what}: {problem}");
                    last = Some(problem.detail);
                }
                Err(ClientError::NotSent { why } | ClientError::Unknown { why, .. }) => last = Some(why),
            }
            self.told.again += 1;
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{what}: no answer after {ATTEMPTS_MAX} attempts, the last one: {last:?}");
    }
}

fn stream(client: u64) -> String {
    format!("client-{client}")
}

fn id(text: &str) -> EntityId {
    EntityId::new(text).expect("the workload's ids are ids")
}

fn event(id: &str, kind: &str, payload: Value) -> NewEvent {
    let event = json!({ "id": id, "type": kind, "userId": "u", "version": 1, "payload": payload });
    serde_json::from_value(event).expect("the workload's events are events")
}

fn created(name: &str) -> Value {
    json!({ "name": name, "format": "text/plain", "contentChecksum": "c", "entityTypes": [] })
}

fn annotated(resource: &str, name: &str, body: &[Value]) -> Value {
    json!({ "annotation": { "id": name, "motivation": "linking", "target": { "source": resource }, "body": body } })
}

fn link(to: &str) -> Value {
    json!({ "type": "SpecificResource", "source": to, "purpose": "linking" })
}
