//! An HTTP client that never guesses what became of a request.
//!
//! A request that got no answer may have been executed or not. What makes the difference
//! is whether any of it was sent, so every request has a connection of its own: where
//! connections are kept, a request may go out on one that the server has just closed, and
//! then nobody can say whether the server read it.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use env::{Connection, Env};
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use http::request::Builder;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::problem::Document;

/// The largest answer that is read: a page of many items may be large.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: the request was certainly not executed.
    #[error("not sent: {why}")]
    NotSent {
        /// What happened.
        why: String,
    },
    /// The request may have been executed, or may yet be.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}

impl CallError {
    /// Whether the request may have been executed.
    pub fn is_unknown(&self) -> bool {
        matches!(self, CallError::Unknown { .. })
    }

    fn not_sent(why: impl fmt::Display) -> CallError {
        CallError::NotSent { why: why.to_string() }
    }

    fn unknown(why: impl fmt::Display) -> CallError {
        CallError::Unknown { why: why.to_string() }
    }
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<P> {
    /// It did it.
    Ok {
        /// Between 200 and 299.
        status: StatusCode,
        /// The body.
        body: Bytes,
    },
    /// It did not, or does not know.
    Problem(Box<P>),
}

/// Reads the body of an answer.
///
/// # Errors
///
/// [`CallError::Unknown`]: the server has done what it was asked to, and says it in a way that nobody understands.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::unknown(format!("failed to read the answer: {error}")))
}

/// Where a server listens: `http://host:port`, the port 80 unless it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    address: String,
}

/// The text is not the URL of a server.
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

/// A client of one server; cheap to clone.
#[derive(Clone)]
pub struct Client {
    env: Env,
    address: String,
    timeout: Duration,
    /// What it says about who it is: the value of the header.
    authorization: Option<HeaderValue>,
}

/// The text cannot be the token of any server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token consists of visible ASCII characters without spaces")]
pub struct NotAToken;

impl Client {
    /// A client of the server at `host:port`, each of whose calls takes `timeout` at most.
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

    /// Sends a request and reads the answer, both before the deadline. Problems are documents of the form `P`.
    ///
    /// # Errors
    ///
    /// See [`CallError`] for what each proves.
    pub async fn call<P: Document>(&self, request: Builder, body: Vec<u8>) -> Result<Answer<P>, CallError> {
        let deadline = Instant::now() + self.timeout;
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        };
        let request = request
            .header(HOST, &self.address)
            .header(CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(CallError::not_sent)?;
        let late = |what: &str| format!("no {what} within {} ms", self.timeout.as_millis());
        let stream = match timeout_at(deadline, self.env.connect(&self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(CallError::not_sent(format!("failed to connect to {}: {error}", self.address)));
            }
            Err(_) => return Err(CallError::not_sent(format!("{} to {}", late("connection"), self.address))),
        };
        match timeout_at(deadline, exchange(stream, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::unknown(late("answer"))),
        }
    }
}

async fn exchange<P: Document>(stream: Connection, request: Request<Full<Bytes>>) -> Result<Answer<P>, CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(CallError::not_sent)?;
    let answer = async move {
        let response = sender.try_send_request(request).await.map_err(|mut error| {
            // The request comes back if not a byte of it was written.
            let sent = error.take_message().is_none();
            let why = chain(&error.into_error());
            if sent { CallError::unknown(why) } else { CallError::not_sent(why) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| CallError::unknown(format!("failed to read the answer: {error}")))?.to_bytes();
        if head.status.is_success() {
            return Ok(Answer::Ok { status: head.status, body });
        }
        // What is no problem of the form was not said by the server itself: it proves nothing.
        match serde_json::from_slice::<P>(&body) {
            Ok(problem) if problem.status() == head.status.as_u16() => Ok(Answer::Problem(Box::new(problem))),
            _ => Err(CallError::unknown(format!("the server answered {} without a problem document", head.status))),
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
pub fn quoted(text: &str) -> String {
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
        assert_eq!(address("http://server"), Ok("server:80".to_owned()));
        assert_eq!(address("http://[::1]:7400"), Ok("[::1]:7400".to_owned()));
    }

    #[test]
    fn what_is_not_a_servers_url_is_refused() {
        for text in ["127.0.0.1:7400", "https://a:1", "http://a:1/b", "http://a:1/?b", "http://u@a:1", "http://", ""] {
            assert_eq!(text.parse::<ServerUrl>(), Err(UrlError), "{text:?}");
        }
    }
}
