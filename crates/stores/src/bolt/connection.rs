//! One connection to a Bolt server, without policy.

use std::time::Duration;

use bolt_client::Client;
use bolt_client::error::{CommunicationError, ConnectionError};
use bolt_proto::message::{Begin, Pull, RunWithMetadata};
use bolt_proto::version::{V4, V4_0, V4_1, V4_2};
use bolt_proto::{Message, Value};
use env::Env;
use tokio::io::BufStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::codes::Failure;
use super::options::BoltOptions;
use super::tls::Tls;
use super::value::{from_bolt, to_bolt};
use crate::{Params, Rows};

/// Offered in this order. The first is a range, 4.4 down to 4.0, that servers understand
/// from 4.3 on.
const VERSIONS: [u32; 4] = [V4, V4_2, V4_1, V4_0];

/// The text of a statement and its parameters.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) params: Params,
}

/// What a statement returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) columns: Vec<String>,
    pub(super) rows: Rows,
}

/// Why there was no answer, or not the one wanted.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server said no. The connection works, after a RESET.
    Failed(Failure),
    /// The answer arrived and cannot be held. The connection works.
    Unsupported(String),
    /// I/O failed or the server broke the protocol. The connection must not be used again.
    Lost(String),
}

type Result<T> = std::result::Result<T, Trouble>;

/// Not safe to use again after a future of it was dropped unfinished: the answer to
/// the one request would be taken for the answer to the next.
pub(super) struct BoltConnection {
    client: Client<Compat<BufStream<env::Connection>>>,
    server: String,
}

impl BoltConnection {
    /// Connects, agrees on a version and logs in.
    pub(super) async fn open(env: &Env, options: &BoltOptions, tls: Option<&Tls>) -> Result<BoltConnection> {
        let lost = |error: std::io::Error| Trouble::Lost(error.to_string());
        let mut stream = env.connect(&options.address()).await.map_err(lost)?;
        if let Some(tls) = tls {
            stream = tls.wrap(stream).await.map_err(lost)?;
        }
        // Buffered: `bolt-client` writes a message in pieces and flushes at its end.
        let stream = BufStream::new(stream).compat();
        let mut client = Client::new(stream, &VERSIONS).await.map_err(|error| {
            Trouble::Lost(match error {
                ConnectionError::HandshakeFailed(_) => {
                    "the server speaks no version of Bolt from 4.0 to 4.4".to_owned()
                }
                ConnectionError::IoError(error) => error.to_string(),
            })
        })?;
        let login = [
            ("user_agent", concat!("squall/", env!("CARGO_PKG_VERSION"))),
            ("scheme", "basic"),
            ("principal", &options.user),
            ("credentials", options.password.reveal()),
        ];
        let metadata = match client.hello(login.into_iter().collect()).await.map_err(lost_in)? {
            Message::Success(success) => success.metadata().clone(),
            other => return Err(not_success(other)),
        };
        let server = metadata.get("server").and_then(as_text).unwrap_or_default().to_owned();
        Ok(BoltConnection { client, server })
    }

    /// What the server calls itself, for example `Neo4j/4.4.0`.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Opens a transaction. `reset` first ends whatever the connection was used for before.
    pub(super) async fn begin(&mut self, database: Option<&str>, tx_timeout: Duration, reset: bool) -> Result<()> {
        // Zero would mean that there is no bound.
        let millis = i64::try_from(tx_timeout.as_millis()).unwrap_or(i64::MAX).max(1);
        let bound = ("tx_timeout".to_owned(), Value::Integer(millis));
        let database = database.map(|name| ("db".to_owned(), Value::from(name)));
        let begin = Message::Begin(Begin::new(std::iter::once(bound).chain(database).collect()));
        let messages = if reset { vec![Message::Reset, begin] } else { vec![begin] };
        for answer in self.send(messages).await? {
            success(answer)?;
        }
        Ok(())
    }

    /// Runs statements in the open transaction, in one round trip.
    ///
    /// All requests are written before the first answer is read, so the answers to all of
    /// them together must fit into the buffers between here and the server.
    ///
    /// Returns the replies up to the first trouble, and that.
    pub(super) async fn run(&mut self, queries: Vec<Query>) -> (Vec<Reply>, Result<()>) {
        let count = queries.len();
        let mut messages = Vec::with_capacity(2 * count);
        for Query { text, params } in queries {
            let params = params.into_iter().map(|(name, datum)| (name, to_bolt(datum))).collect();
            messages.push(Message::RunWithMetadata(RunWithMetadata::new(text, params, Default::default())));
            let all = ("n".to_owned(), Value::Integer(-1));
            messages.push(Message::Pull(Pull::new(std::iter::once(all).collect())));
        }
        let mut replies = Vec::with_capacity(count);
        let mut answers = match self.send(messages).await {
            Ok(answers) => answers.into_iter(),
            Err(trouble) => return (replies, Err(trouble)),
        };
        while replies.len() < count {
            match reply(&mut answers) {
                Ok(reply) => replies.push(reply),
                Err(trouble) => return (replies, Err(trouble)),
            }
        }
        (replies, Ok(()))
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        success(self.client.commit().await.map_err(lost_in)?).map(drop)
    }

    /// Ends whatever is going on, rolled back.
    pub(super) async fn reset(&mut self) -> Result<()> {
        success(self.client.reset().await.map_err(lost_in)?).map(drop)
    }

    async fn send(&mut self, messages: Vec<Message>) -> Result<Vec<Message>> {
        self.client.pipeline(messages).await.map_err(lost_in)
    }
}

/// The answers to one RUN and PULL.
fn reply(answers: &mut impl Iterator<Item = Message>) -> Result<Reply> {
    let mut next = || answers.next().ok_or_else(|| Trouble::Lost("too few answers".to_owned()));
    let columns = columns(&success(next()?)?);
    let mut rows = Rows::new();
    let mut unsupported = None;
    loop {
        match next()? {
            Message::Record(record) => match record.fields().iter().cloned().map(from_bolt).collect() {
                Ok(row) => rows.push(row),
                Err(error) => unsupported = Some(error),
            },
            end => {
                success(end)?;
                break;
            }
        }
    }
    // Only now: a failure says more about the transaction.
    match unsupported {
        Some(error) => Err(Trouble::Unsupported(error.to_string())),
        None => Ok(Reply { columns, rows }),
    }
}

type Metadata = bolt_proto::message::Success;

fn success(message: Message) -> Result<Metadata> {
    match message {
        Message::Success(success) => Ok(success),
        other => Err(not_success(other)),
    }
}

fn not_success(message: Message) -> Trouble {
    match message {
        Message::Failure(failure) => {
            let field = |name| failure.metadata().get(name).and_then(as_text).unwrap_or_default().to_owned();
            Trouble::Failed(Failure { code: field("code"), message: field("message") })
        }
        // Only what follows a failure is ignored, and a failure is reported before this is.
        _ => Trouble::Lost("the server answered out of turn".to_owned()),
    }
}

fn columns(metadata: &Metadata) -> Vec<String> {
    match metadata.metadata().get("fields") {
        Some(Value::List(names)) => names.iter().filter_map(as_text).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Not the error's own words: they contain whole messages, and with HELLO the password.
fn lost_in(error: CommunicationError) -> Trouble {
    Trouble::Lost(match error {
        CommunicationError::IoError(error) => error.to_string(),
        CommunicationError::InvalidResponse { state, .. } => {
            format!("the server answered out of turn in state {state:?}")
        }
        CommunicationError::InvalidState { state, .. } => format!("a request does not fit state {state:?}"),
        CommunicationError::UnsupportedOperation(version) => format!("version {version:#x} of Bolt lacks a request"),
        CommunicationError::ProtocolError(bolt_proto::error::Error::DeserializationError(
            bolt_proto::error::DeserializationError::IoError(error),
        )) => error.to_string(),
        CommunicationError::ProtocolError(_) => "a message is malformed or too large".to_owned(),
    })
}
