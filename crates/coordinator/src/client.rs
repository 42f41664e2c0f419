//! A client of the HTTP API that never guesses what became of a request.
//!
//! A transaction that got no answer may have been executed or not. What makes the difference
//! is whether any of it was sent, so every request has a connection of its own: where
//! connections are kept, a request may go out on one that the server has just closed, and
//! then nobody can say whether the server read it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use env::{Connection, Env};
use graph::{CanonicalKey, EntityId, Kind, Patch, TxId};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::backup::Manifest;
use crate::commit::{Decision, EntityView, IdempotencyKey};
use crate::damage::{DamagedRecord, Settlement};
use crate::http::{
    BackupOrder, CasesPage, Consistency, DamagedRecords, Entity, EventualView, Health, IDEMPOTENCY_KEY, Outcome,
    Reconciliation, Transaction, outcome_path, parse_key,
};
use crate::problem::{Problem, ProblemType};
use crate::reconcile::{Case, Policy, Resolution, Summary};

/// The largest answer that is read: an entity of many links may be large.
const ANSWER_BYTES_MAX: usize = 64 << 20;

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

    fn not_sent(why: impl fmt::Display) -> ClientError {
        ClientError::NotSent { why: why.to_string() }
    }

    fn unknown(why: impl fmt::Display) -> ClientError {
        ClientError::Unknown { tx: None, why: why.to_string() }
    }
}

/// Where a coordinator listens: `http://host:port`, the port 80 unless it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    address: String,
}

/// The text is not the URL of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST:PORT, as in http://127.0.0.1:7400")]
pub struct UrlError;

impl ServerUrl {
    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<ServerUrl, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(UrlError)?;
        let bare = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        // An authority that ends in something else than a port has none for `http` either.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None => 80,
        };
        if !bare || authority.host().is_empty() {
            return Err(UrlError);
        }
        Ok(ServerUrl { address: format!("{}:{port}", authority.host()) })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.address)
    }
}

/// A client of one coordinator; cheap to clone.
#[derive(Clone)]
pub struct Client {
    env: Env,
    address: String,
    timeout: Duration,
    /// What it says about who it is: the value of the header.
    authorization: Option<HeaderValue>,
}

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

/// The text cannot be the token of any server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token consists of visible ASCII characters without spaces")]
pub struct NotAToken;

impl Client {
    /// A client of the coordinator at `host:port`, each of whose calls takes `timeout` at most.
    ///
    /// The time-out should be longer than the coordinator's own for an answer: then it is
    /// the coordinator that says "unknown", with the name of the transaction.
    pub fn new(env: Env, address: impl Into<String>, timeout: Duration) -> Client {
        Client { env, address: address.into(), timeout, authorization: None }
    }

    /// The same client, which knows the server's token.
    ///
    /// It goes over the wire as it is, on every connection: whoever can read the network reads it.
    pub fn with_token(self, token: &str) -> Result<Client, NotAToken> {
        let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| visible);
        let mut header = header.ok_or(NotAToken)?;
        header.set_sensitive(true);
        Ok(Client { authorization: Some(header), ..self })
    }

    /// Runs a transaction. After [`ClientError::Unknown`] the same call gives the outcome of
    /// the same transaction, or runs it if it never arrived.
    ///
    /// # Errors
    ///
    /// An abort is no error but an outcome. See [`ClientError`] for what each error proves.
    pub async fn submit(&self, key: &IdempotencyKey, patch: &Patch) -> Result<Submitted, ClientError> {
        let key = parse_key(key.0.as_bytes()).map_err(ClientError::not_sent)?;
        let transaction = Transaction { operations: patch.clone() };
        let body = serde_json::to_vec(&transaction).expect("operations are always valid JSON");
        let request = Request::builder()
            .method(Method::POST)
            .uri("/transactions")
            .header(IDEMPOTENCY_KEY, key.0)
            .header(CONTENT_TYPE, "application/json");
        match self.call(request, body).await? {
            Answer::Ok(body) => match read_json(&body)? {
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
            Answer::Ok(body) => String::from_utf8(body.into()).map_err(ClientError::unknown),
            Answer::Problem(problem) => Err(error(*problem)),
        }
    }

    async fn send<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("what is sent is always valid JSON");
        self.ask(Request::post(path).header(CONTENT_TYPE, "application/json"), body).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: http::request::Builder, body: Vec<u8>) -> Result<T, ClientError> {
        match self.call(request, body).await? {
            Answer::Ok(body) => read_json(&body),
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
            Answer::Ok(body) => read_json(&body).map(Some),
            Answer::Problem(problem) if problem.kind == absent => Ok(None),
            Answer::Problem(problem) => Err(error(*problem)),
        }
    }

    /// Sends a request and reads the answer, both before the deadline.
    async fn call(&self, request: http::request::Builder, body: Vec<u8>) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        };
        let request = request
            .header(HOST, &self.address)
            .header(CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(ClientError::not_sent)?;
        let late = |what: &str| format!("no {what} within {} ms", self.timeout.as_millis());
        let stream = match timeout_at(deadline, self.env.connect(&self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(ClientError::not_sent(format!("failed to connect to {}: {error}", self.address)));
            }
            Err(_) => return Err(ClientError::not_sent(format!("{} to {}", late("connection"), self.address))),
        };
        match timeout_at(deadline, exchange(stream, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::unknown(late("answer"))),
        }
    }
}

/// What the server said.
enum Answer {
    /// 200, and the body.
    Ok(Bytes),
    /// Anything else.
    Problem(Box<Problem>),
}

fn error(problem: Problem) -> ClientError {
    if problem.kind.left_no_trace() {
        ClientError::Refused(Box::new(problem))
    } else {
        ClientError::Unknown { tx: problem.tx, why: problem.detail }
    }
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::unknown(format!("failed to read the answer: {error}")))
}

async fn exchange(stream: Connection, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::not_sent)?;
    let answer = async move {
        let response = sender.try_send_request(request).await.map_err(|mut error| {
            // The request comes back if not a byte of it was written.
            let sent = error.take_message().is_none();
            let why = chain(&error.into_error());
            if sent { ClientError::unknown(why) } else { ClientError::not_sent(why) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body =
            body.map_err(|error| ClientError::unknown(format!("failed to read the answer: {error}")))?.to_bytes();
        if head.status == StatusCode::OK {
            return Ok(Answer::Ok(body));
        }
        // What is no problem of ours was not said by a coordinator: it proves nothing.
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.status == head.status.as_u16() => Ok(Answer::Problem(Box::new(problem))),
            _ => Err(ClientError::unknown(format!("the server answered {} without a problem document", head.status))),
        }
    };
    alongside(answer, connection).await
}

/// Runs `work` to its end, with `background` beside it for as long as that takes: a dropped
/// call leaves no task behind, and its connection is closed at once.
async fn alongside<T>(work: impl Future<Output = T>, background: impl Future) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        result = work.as_mut() => return result,
        // What it ended with, `work` hears too.
        _ = background => {}
    }
    work.await
}

/// As a part of a query (RFC 3986, 2.1): all but the unreserved characters escaped.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where() {
        let address = |text: &str| text.parse::<ServerUrl>().map(|url| url.address().to_owned());
        assert_eq!(address("http://127.0.0.1:7400"), Ok("127.0.0.1:7400".to_owned()));
        assert_eq!(address("http://127.0.0.1:7400/"), Ok("127.0.0.1:7400".to_owned()));
        assert_eq!(address("http://coordinator"), Ok("coordinator:80".to_owned()));
        assert_eq!(address("http://[::1]:7400"), Ok("[::1]:7400".to_owned()));
    }

    #[test]
    fn what_is_not_a_servers_url_is_refused() {
        for text in ["127.0.0.1:7400", "https://a:1", "http://a:1/b", "http://a:1/?b", "http://u@a:1", "http://", ""] {
            assert_eq!(text.parse::<ServerUrl>(), Err(UrlError), "{text:?}");
        }
    }
}
