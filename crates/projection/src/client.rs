//! A client of the HTTP API that never guesses what became of a request; see [`web::client`].

use std::time::Duration;

use env::Env;
use graph::EntityId;
use http::Request;
use http::header::CONTENT_TYPE;
use http::request::Builder;
use serde::de::DeserializeOwned;
use web::client::{Answer, CallError, NotAToken, quoted, read_json};

use crate::http::{ParkedPage, Problem, StubsPage};
use crate::lanes::{Ended, Scope};
use crate::operations::Health;
use crate::service::Barrier;
use crate::view::{Referrers, ResourceView};

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server says that it did not do it: the request had no effect.
    #[error("{0}")]
    Refused(Box<Problem>),
}

/// A client of one projector; cheap to clone.
#[derive(Clone)]
pub struct Client(web::client::Client);

impl Client {
    /// A client of the projector at `host:port`, each of whose calls takes `timeout` at most.
    pub fn new(env: Env, address: impl Into<String>, timeout: Duration) -> Client {
        Client(web::client::Client::new(env, address, timeout))
    }

    /// The same client, which knows the server's token.
    pub fn with_token(self, token: &str) -> Result<Client, NotAToken> {
        self.0.with_token(token).map(Client)
    }

    /// How the projector is.
    pub async fn status(&self) -> Result<Health, ClientError> {
        self.ask(Request::get("/status"), Vec::new()).await
    }

    /// Has a resource or all of them rebuilt. The call takes as long as that does: give the client the time.
    pub async fn rebuild(&self, scope: &Scope) -> Result<Ended, ClientError> {
        self.order("/rebuilds", scope).await
    }

    /// Has a resource or all of them compared with the log, and put right. Takes as long as that does.
    pub async fn reconcile(&self, scope: &Scope) -> Result<Ended, ClientError> {
        self.order("/reconciliations", scope).await
    }

    /// A page of the stubs after the one named so.
    pub async fn stubs(&self, after: &str) -> Result<StubsPage, ClientError> {
        self.ask(Request::get(format!("/stubs?after={}", quoted(after))), Vec::new()).await
    }

    /// A page of what stands still, after the resource named so.
    pub async fn parked(&self, after: &str) -> Result<ParkedPage, ClientError> {
        self.ask(Request::get(format!("/parked?after={}", quoted(after))), Vec::new()).await
    }

    /// Waits until the graph shows an event.
    pub async fn when_applied(&self, id: &EntityId, sequence: u64, wait: Duration) -> Result<Barrier, ClientError> {
        let path = format!("/applied/{}/{sequence}?wait_ms={}", quoted(id.as_str()), wait.as_millis());
        self.ask(Request::get(path), Vec::new()).await
    }

    /// A resource as the graph shows it.
    pub async fn resource(&self, id: &EntityId) -> Result<ResourceView, ClientError> {
        self.ask(Request::get(format!("/resources/{}", quoted(id.as_str()))), Vec::new()).await
    }

    /// A page of what links to a resource, after the annotation named so.
    pub async fn referrers(&self, id: &EntityId, after: &str) -> Result<Referrers, ClientError> {
        let path = format!("/resources/{}/referenced-by?after={}", quoted(id.as_str()), quoted(after));
        self.ask(Request::get(path), Vec::new()).await
    }

    async fn order(&self, path: &str, scope: &Scope) -> Result<Ended, ClientError> {
        let body = serde_json::to_vec(scope).expect("an order is always valid JSON");
        self.ask(Request::post(path).header(CONTENT_TYPE, "application/json"), body).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Builder, body: Vec<u8>) -> Result<T, ClientError> {
        match self.0.call(request, body).await? {
            Answer::Ok { body, .. } => Ok(read_json(&body)?),
            Answer::Problem(problem) => Err(ClientError::Refused(problem)),
        }
    }
}
