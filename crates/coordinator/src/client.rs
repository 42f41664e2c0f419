//! A client of the HTTP API that never guesses what became of a request; see [`web::client`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use env::Env;
use graph::{CanonicalKey, EntityId, Kind, Patch, TxId};
use http::header::CONTENT_TYPE;
use http::request::Builder;
use http::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use web::client::{CallError, quoted};
pub use web::client::{NotAToken, ServerUrl, UrlError};

use crate::backup::Manifest;
use crate::commit::{Decision, EntityView, IdempotencyKey};
use crate::damage::{DamagedRecord, Settlement};
use crate::events::{Append, Appended, Envelope, Page, Placed, is_system};
use crate::http::{
    BackupOrder, CasesPage, Consistency, DamagedRecords, Entity, EventualView, FeedPage, Health, IDEMPOTENCY_KEY,
    NewEvents, Outcome, Placement, Reconciliation, Transaction, outcome_path, parse_key,
};
use crate::problem::{Problem, ProblemType};
use crate::reconcile::{Case, Policy, Resolution, Summary};

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nothing was sent: the request was certainly not executed.
    #[error("not sent: {why}")]
    NotSent {
        /// What happened.
        why: String,
    },
    /// The server says that it did not do it: the request certainly had no effect.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The request may have been executed, or may yet be.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// The transaction, if the server could still name it.
        tx: Option<TxId>,
        /// What happened.
        why: String,
    },
}

impl ClientError {
    /// Whether the request may have been executed.
    pub fn is_unknown(&self) -> bool {
        matches!(self, ClientError::Unknown { .. })
    }

    fn unknown(why: impl fmt::Display) -> ClientError {
        ClientError::Unknown { tx: None, why: why.to_string() }
    }
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> ClientError {
        match error {
            CallError::NotSent { why } => ClientError::NotSent { why },
            CallError::Unknown { why } => ClientError::Unknown { tx: None, why },
        }
    }
}

/// A client of one coordinator; cheap to clone.
#[derive(Clone)]
pub struct Client(web::client::Client);

/// A transaction that has an outcome, as it was told to whoever submitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its name.
    pub tx: TxId,
    /// Its outcome.
    pub decision: Decision,
    /// The ids of what it created, by the labels of the patch; empty unless it committed.
    pub created: BTreeMap<EntityId, EntityId>,
}

impl Client {
    /// A client of the coordinator at `host:port`, each of whose calls takes `timeout` at most.
    ///
    /// The time-out should be longer than the coordinator's own for an answer: then it is
    /// the coordinator that says "unknown", with the name of the transaction.
    pub fn new(env: Env, address: impl Into<String>, timeout: Duration) -> Client {
        Client(web::client::Client::new(env, address, timeout))
    }

    /// The same client, which knows the server's token.
    ///
    /// It goes over the wire as it is, on every connection: whoever can read the network reads it.
    pub fn with_token(self, token: &str) -> Result<Client, NotAToken> {
        self.0.with_token(token).map(Client)
    }

    /// Runs a transaction. After [`ClientError::Unknown`] the same call gives the outcome of
    /// the same transaction, or runs it if it never arrived.
    ///
    /// # Errors
    ///
    /// An abort is no error but an outcome. See [`ClientError`] for what each error proves.
    pub async fn submit(&self, key: &IdempotencyKey, patch: &Patch) -> Result<Submitted, ClientError> {
        let key = parse_key(key.0.as_bytes()).map_err(|error| ClientError::NotSent { why: error.to_string() })?;
        let transaction = Transaction { operations: patch.clone() };
        let body = serde_json::to_vec(&transaction).expect("operations are always valid JSON");
        let request = Request::builder()
            .method(Method::POST)
            .uri("/transactions")
            .header(IDEMPOTENCY_KEY, key.0)
            .header(CONTENT_TYPE, "application/json");
        match self.call(request, body).await? {
            Answer::Ok { body, .. } => match read_json(&body)? {
                Outcome::Committed { tx, created } => Ok(Submitted { tx, decision: Decision::Committed, created }),
                outcome => Err(ClientError::unknown(format!("the server answered 200 with {outcome:?}"))),
            },
            Answer::Problem(problem) => match *problem {
                Problem { kind: ProblemType::Aborted, tx: Some(tx), reason: Some(reason), .. } => {
                    Ok(Submitted { tx, decision: Decision::Aborted { reason }, created: BTreeMap::new() })
                }
                problem => Err(error(problem)),
            },
        }
    }

    /// What became of a transaction; `None` if it never began, or was settled longer ago than the
    /// server keeps records.
    ///
    /// # Errors
    ///
    /// The question has no effect, so every error means only that there is no answer.
    pub async fn outcome(&self, tx: TxId) -> Result<Option<Outcome>, ClientError> {
        self.get(&outcome_path(tx), ProblemType::NoSuchTransaction).await
    }

    /// Reads an entity, linearizably; `None` if there is none.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn read(&self, id: &EntityId) -> Result<Option<EntityView>, ClientError> {
        match self.entity(id, Consistency::Strong).await? {
            None => Ok(None),
            Some(Entity::Strong(view)) => Ok(Some(view)),
            Some(Entity::Eventual(_)) => Err(ClientError::unknown("the server read at a weaker tier than asked for")),
        }
    }

    /// Reads an entity from the graph alone; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn read_eventual(&self, id: &EntityId) -> Result<Option<EventualView>, ClientError> {
        match self.entity(id, Consistency::Eventual).await? {
            None => Ok(None),
            Some(Entity::Eventual(view)) => Ok(Some(view)),
            Some(Entity::Strong(_)) => Err(ClientError::unknown("the server read at another tier than asked for")),
        }
    }

    /// Reads the entity that has a canonical key, linearizably; `None` if none has it.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn find(&self, kind: &Kind, key: &CanonicalKey) -> Result<Option<EntityView>, ClientError> {
        match self.holder(kind, key, Consistency::Strong).await? {
            None => Ok(None),
            Some(Entity::Strong(view)) => Ok(Some(view)),
            Some(Entity::Eventual(_)) => Err(ClientError::unknown("the server read at a weaker tier than asked for")),
        }
    }

    /// Reads the entity that has a canonical key from the graph alone; `None` if none has it there.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn find_eventual(&self, kind: &Kind, key: &CanonicalKey) -> Result<Option<EventualView>, ClientError> {
        match self.holder(kind, key, Consistency::Eventual).await? {
            None => Ok(None),
            Some(Entity::Eventual(view)) => Ok(Some(view)),
            Some(Entity::Strong(_)) => Err(ClientError::unknown("the server read at another tier than asked for")),
        }
    }

    /// Appends events to a stream. After [`ClientError::Unknown`] the same call finds out, or appends them.
    ///
    /// # Errors
    ///
    /// That nothing was appended because of what is there is no error but an outcome. See [`ClientError`]
    /// for what each error proves.
    pub async fn append(&self, append: &Append) -> Result<Appended, ClientError> {
        let Append { stream, expected, events } = append;
        let resource = (!is_system(stream)).then(|| stream.clone());
        let order = NewEvents { resource, expected_version: *expected, events: events.clone() };
        let body = serde_json::to_vec(&order).expect("events are always valid JSON");
        match self.call(Request::post("/events").header(CONTENT_TYPE, "application/json"), body).await? {
            Answer::Ok { status, body } => {
                let Placement { sequences: [first, last], position, .. } = read_json(&body)?;
                let placed = Placed { stream: stream.clone(), first, last, position };
                Ok(if status == StatusCode::CREATED { Appended::New(placed) } else { Appended::Repeated(placed) })
            }
            Answer::Problem(problem) => match *problem {
                Problem { kind: ProblemType::VersionConflict, version: Some(actual), .. } => {
                    Ok(Appended::VersionConflict { actual })
                }
                Problem { kind: ProblemType::EventIdReused, event: Some(id), .. } => Ok(Appended::EventIdReused(id)),
                problem => Err(error(problem)),
            },
        }
    }

    /// Up to `limit` events of all streams after this position. Waits up to `wait` while there is none: the
    /// time-out of the client has to be longer.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn feed(&self, after: u64, limit: u32, wait: Duration) -> Result<FeedPage<Envelope>, ClientError> {
        let wait_ms = wait.as_millis();
        self.ask(Request::get(format!("/events?after={after}&limit={limit}&wait_ms={wait_ms}")), Vec::new()).await
    }

    /// Up to `limit` events of a stream after this sequence number.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn stream(&self, stream: &EntityId, after: u64, limit: u32) -> Result<Page<Envelope>, ClientError> {
        let path = format!("/streams/{}/events?after={after}&limit={limit}", quoted(stream.as_str()));
        self.ask(Request::get(path), Vec::new()).await
    }

    /// Up to `limit` streams after this one, sorted.
    ///
    /// # Errors
    ///
    /// A read has no effect, so every error means only that there is no answer.
    pub async fn streams(&self, after: Option<&EntityId>, limit: u32) -> Result<Page<EntityId>, ClientError> {
        let after = after.map_or(String::new(), |after| format!("&after={}", quoted(after.as_str())));
        self.ask(Request::get(format!("/streams?limit={limit}{after}")), Vec::new()).await
    }

    /// How the coordinator is.
    ///
    /// # Errors
    ///
    /// The question has no effect, so every error means only that there is no answer.
    pub async fn status(&self) -> Result<Health, ClientError> {
        self.ask(Request::get("/status"), Vec::new()).await
    }

    /// Compares both stores. The call takes as long as that does: give the client the time.
    ///
    /// # Errors
    ///
    /// A comparison has no effect, so every error means only that there is no answer.
    pub async fn validate(&self) -> Result<Summary, ClientError> {
        self.ask(Request::post("/validations"), Vec::new()).await
    }

    /// Makes both stores the same as far as the policy decides. Takes long, as
    /// [`validate`](Self::validate) does.
    ///
    /// # Errors
    ///
    /// After [`ClientError::Unknown`] the pass may go on; the same call is safe.
    pub async fn reconcile(&self, policy: Policy) -> Result<Summary, ClientError> {
        self.send("/reconciliations", &Reconciliation { policy }).await
    }

    /// Open cases after the one of this number, oldest first; a hundred at most.
    ///
    /// # Errors
    ///
    /// The question has no effect, so every error means only that there is no answer.
    pub async fn cases(&self, after: u64) -> Result<Vec<Case>, ClientError> {
        let CasesPage { cases, .. } = self.ask(Request::get(format!("/cases?after={after}")), Vec::new()).await?;
        Ok(cases)
    }

    /// Has done what a person decided about a case.
    ///
    /// # Errors
    ///
    /// After [`ClientError::Unknown`] the same call finds out what became of it.
    pub async fn resolve(&self, number: u64, resolution: &Resolution) -> Result<Case, ClientError> {
        self.send(&format!("/cases/{number}/resolution"), resolution).await
    }

    /// The records of the log that are damaged and left to a person, oldest first.
    ///
    /// # Errors
    ///
    /// The question has no effect, so every error means only that there is no answer.
    pub async fn damaged_records(&self) -> Result<Vec<DamagedRecord>, ClientError> {
        let DamagedRecords { records } = self.ask(Request::get("/damaged-records"), Vec::new()).await?;
        Ok(records)
    }

    /// Has a damaged record closed.
    ///
    /// # Errors
    ///
    /// After [`ClientError::Unknown`] the same call finds out what became of it.
    pub async fn settle_damaged(&self, tx: TxId, settlement: &Settlement) -> Result<DamagedRecord, ClientError> {
        self.send(&format!("/damaged-records/{tx}/resolution"), settlement).await
    }

    /// Has both stores written to a folder on the server's machine. Takes long, as
    /// [`validate`](Self::validate) does.
    ///
    /// # Errors
    ///
    /// After [`ClientError::Unknown`] the backup may be made all the same.
    pub async fn backup(&self, to: &Path) -> Result<Manifest, ClientError> {
        self.send("/backups", &BackupOrder { to: to.to_owned() }).await
    }

    /// Everything that the server counts, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// The question has no effect, so every error means only that there is no answer.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        match self.call(Request::get("/metrics"), Vec::new()).await? {
            Answer::Ok { body, .. } => String::from_utf8(body.into()).map_err(ClientError::unknown),
            Answer::Problem(problem) => Err(error(*problem)),
        }
    }

    async fn send<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("what is sent is always valid JSON");
        self.ask(Request::post(path).header(CONTENT_TYPE, "application/json"), body).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Builder, body: Vec<u8>) -> Result<T, ClientError> {
        match self.call(request, body).await? {
            Answer::Ok { body, .. } => read_json(&body),
            Answer::Problem(problem) => Err(error(*problem)),
        }
    }

    async fn entity(&self, id: &EntityId, consistency: Consistency) -> Result<Option<Entity>, ClientError> {
        // Of the characters that an id may have, only this one means something in a path.
        let id = id.as_str().replace('/', "%2F");
        self.get(&format!("/entities/{id}?consistency={consistency}"), ProblemType::NoSuchEntity).await
    }

    async fn holder(
        &self,
        kind: &Kind,
        key: &CanonicalKey,
        consistency: Consistency,
    ) -> Result<Option<Entity>, ClientError> {
        let (kind, key) = (quoted(kind.as_str()), quoted(key.as_str()));
        let path = format!("/entities?kind={kind}&key={key}&consistency={consistency}");
        self.get(&path, ProblemType::NoSuchEntity).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, absent: ProblemType) -> Result<Option<T>, ClientError> {
        match self.call(Request::get(path), Vec::new()).await? {
            Answer::Ok { body, .. } => read_json(&body).map(Some),
            Answer::Problem(problem) if problem.kind == absent => Ok(None),
            Answer::Problem(problem) => Err(error(*problem)),
        }
    }

    async fn call(&self, request: Builder, body: Vec<u8>) -> Result<Answer, ClientError> {
        Ok(self.0.call(request, body).await?)
    }
}

type Answer = web::client::Answer<Problem>;

fn error(problem: Problem) -> ClientError {
    if problem.kind.left_no_trace() {
        ClientError::Refused(Box::new(problem))
    } else {
        ClientError::Unknown { tx: problem.tx, why: problem.detail }
    }
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    Ok(web::client::read_json(body)?)
}
