//! The state of one connection: requests in, answers out.
//!
//! The states are those of <https://neo4j.com/docs/bolt/current/bolt/server-state/>.

use std::collections::BTreeMap;
use std::time::Duration;

use bolt_proto::message::{self, Record, RunWithMetadata, Success};
use bolt_proto::{Message, Value};
use graph::{Properties, Value as PropertyValue};
use tokio::time::Instant;

use super::{BoltBackend, BoltServer, Ddl, Deadline, Failure, Request};
use crate::bolt::codes;
use crate::bolt::schema::PROBE_VALUE;
use crate::bolt::value::{from_bolt, to_bolt};
use crate::{Datum, GraphFault, Params, Rows, Uniqueness};

/// What Neo4j 4.4 calls itself, so that clients expect what it does.
const SERVER: &str = "Neo4j/4.4.0";

/// What goes back to the client.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) messages: Vec<Message>,
    /// The connection ends after them.
    pub(super) close: bool,
}

/// One connection.
pub(super) struct Session<'a, B: BoltBackend> {
    server: &'a BoltServer<B>,
    state: State<B::Tx>,
}

enum State<Tx> {
    /// Nobody has logged in.
    Connected,
    Ready,
    /// The result of a statement that was a transaction of its own waits to be pulled.
    Streaming(Streams),
    /// In a transaction; results of its statements may wait to be pulled.
    Open {
        tx: Tx,
        results: Streams,
        deadline: Deadline,
    },
    /// The transaction ran out of time and was rolled back; the client has not been told.
    TimedOut,
    /// A failure was reported. Everything but RESET is ignored.
    Failed,
}

/// Results that were not pulled to their end, by the number of their statement.
#[derive(Default)]
struct Streams {
    next_id: i64,
    waiting: BTreeMap<i64, std::vec::IntoIter<Vec<Datum>>>,
}

impl Streams {
    fn add(&mut self, rows: Rows) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.insert(id, rows.into_iter());
        id
    }

    /// Up to `count` records of a result, and whether there are more; `None` if there is no
    /// such result. −1 is the result of the last statement, and all records.
    fn pull(&mut self, id: i64, count: i64) -> Option<(Vec<Message>, bool)> {
        let id = if id == -1 { self.next_id - 1 } else { id };
        let rows = self.waiting.get_mut(&id)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let record = |row: Vec<Datum>| Message::Record(Record::new(row.into_iter().map(to_bolt).collect()));
        let records = rows.take(count).map(record).collect();
        let has_more = rows.len() > 0;
        if !has_more {
            self.waiting.remove(&id);
        }
        Some((records, has_more))
    }
}

/// Why a request was not carried out.
enum Problem {
    /// The client may go on after RESET.
    Failure(Failure),
    /// The client does not follow the protocol, or may not come in: the connection ends.
    Fatal(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem::Failure(failure)
    }
}

impl From<GraphFault> for Problem {
    fn from(fault: GraphFault) -> Problem {
        Problem::Failure(fault.into())
    }
}

type Outcome = Result<Vec<Message>, Problem>;

impl<'a, B: BoltBackend> Session<'a, B> {
    pub(super) fn new(server: &'a BoltServer<B>) -> Session<'a, B> {
        Session { server, state: State::Connected }
    }

    /// When the open transaction has to end.
    pub(super) fn deadline(&self) -> Deadline {
        match &self.state {
            State::Open { deadline, .. } => *deadline,
            _ => None,
        }
    }

    /// Rolls back the open transaction; the client learns of it when it next asks.
    pub(super) fn time_out(&mut self) {
        self.state = State::TimedOut;
    }

    /// Carries out one request.
    pub(super) fn handle(&mut self, message: Message) -> Answer {
        if self.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            self.time_out();
        }
        match message {
            Message::Goodbye => return Answer { messages: Vec::new(), close: true },
            Message::Reset if !matches!(self.state, State::Connected) => {
                self.state = State::Ready;
                return Answer { messages: vec![success([])], close: false };
            }
            _ => {}
        }
        // Until it is put back, a failure leaves no transaction open.
        let outcome = match std::mem::replace(&mut self.state, State::Failed) {
            State::Failed => Ok(vec![Message::Ignored]),
            State::TimedOut => Err(Failure::new(codes::TIMED_OUT, "the transaction ran out of time").into()),
            state => self.carry_out(state, message),
        };
        match outcome {
            Ok(messages) => Answer { messages, close: false },
            Err(Problem::Failure(failure)) => Answer { messages: vec![report(failure)], close: false },
            Err(Problem::Fatal(failure)) => Answer { messages: vec![report(failure)], close: true },
        }
    }

    fn carry_out(&mut self, state: State<B::Tx>, message: Message) -> Outcome {
        match (state, message) {
            (State::Connected, Message::Hello(hello)) => self.hello(&hello),
            (State::Ready, Message::Begin(begin)) => self.begin(&begin),
            (State::Ready, Message::RunWithMetadata(run)) => self.run_alone(&run),
            (State::Streaming(result), Message::Pull(pull)) => self.pull_alone(result, pull.metadata(), true),
            (State::Streaming(result), Message::Discard(discard)) => self.pull_alone(result, discard.metadata(), false),
            (State::Open { tx, results, deadline }, Message::RunWithMetadata(run)) => {
                self.run_in(tx, results, deadline, &run)
            }
            (State::Open { tx, results, deadline }, Message::Pull(pull)) => {
                self.pull_in(tx, results, deadline, pull.metadata(), true)
            }
            (State::Open { tx, results, deadline }, Message::Discard(discard)) => {
                self.pull_in(tx, results, deadline, discard.metadata(), false)
            }
            (State::Open { tx, results, .. }, Message::Commit) if results.waiting.is_empty() => {
                self.hook(Request::Commit)?;
                self.commit(tx)?;
                self.state = State::Ready;
                Ok(vec![success([("bookmark", "squall".into())])])
            }
            (State::Open { results, .. }, Message::Rollback) if results.waiting.is_empty() => {
                self.hook(Request::Rollback)?;
                self.state = State::Ready;
                Ok(vec![success([])])
            }
            (_, message) => {
                let message = format!("a request {} does not fit here", name(&message));
                Err(Problem::Fatal(Failure::new(codes::INVALID_REQUEST, message)))
            }
        }
    }

    fn hello(&mut self, hello: &message::Hello) -> Outcome {
        self.hook(Request::Hello)?;
        if let Some(credentials) = &self.server.credentials {
            let given = |field| hello.metadata().get(field).and_then(as_text);
            let known = given("principal") == Some(&credentials.user)
                && given("credentials") == Some(credentials.password.reveal());
            if !known {
                return Err(Problem::Fatal(Failure::new(codes::UNAUTHORIZED, "unknown user or wrong password")));
            }
        }
        self.state = State::Ready;
        Ok(vec![success([("server", SERVER.into()), ("connection_id", "bolt".into())])])
    }

    fn begin(&mut self, begin: &message::Begin) -> Outcome {
        self.hook(Request::Begin)?;
        let limit = begin.metadata().get("tx_timeout").and_then(as_int).filter(|millis| *millis > 0);
        let deadline = limit.map(|millis| Instant::now() + Duration::from_millis(millis.unsigned_abs()));
        self.state = State::Open { tx: self.server.backend.begin(), results: Streams::default(), deadline };
        Ok(vec![success([])])
    }

    fn run_alone(&mut self, run: &RunWithMetadata) -> Outcome {
        let mut tx = self.server.backend.begin();
        let mut result = Streams::default();
        let answer = self.run(&mut tx, run, &mut result)?;
        // At once, as nobody may come between a single statement's reads and its commit.
        self.commit(tx)?;
        self.state = State::Streaming(result);
        Ok(vec![answer])
    }

    fn run_in(&mut self, mut tx: B::Tx, mut results: Streams, deadline: Deadline, run: &RunWithMetadata) -> Outcome {
        let answer = self.run(&mut tx, run, &mut results)?;
        self.state = State::Open { tx, results, deadline };
        Ok(vec![answer])
    }

    fn pull_alone(&mut self, mut result: Streams, metadata: &Metadata, keep: bool) -> Outcome {
        let (messages, has_more) = self.pull(&mut result, metadata, keep)?;
        self.state = if has_more { State::Streaming(result) } else { State::Ready };
        Ok(messages)
    }

    fn pull_in(
        &mut self,
        tx: B::Tx,
        mut results: Streams,
        deadline: Deadline,
        metadata: &Metadata,
        keep: bool,
    ) -> Outcome {
        let (messages, _) = self.pull(&mut results, metadata, keep)?;
        self.state = State::Open { tx, results, deadline };
        Ok(messages)
    }

    fn pull(&self, results: &mut Streams, metadata: &Metadata, keep: bool) -> Result<(Vec<Message>, bool), Problem> {
        self.hook(Request::Pull)?;
        let field = |name: &str| metadata.get(name).and_then(as_int);
        let Some((mut messages, has_more)) = results.pull(field("qid").unwrap_or(-1), field("n").unwrap_or(-1)) else {
            return Err(Problem::Fatal(Failure::new(codes::INVALID_REQUEST, "there is no such result")));
        };
        if !keep {
            messages.clear();
        }
        messages.push(if has_more { success([("has_more", true.into())]) } else { success([("type", "rw".into())]) });
        Ok((messages, has_more))
    }

    fn run(&self, tx: &mut B::Tx, run: &RunWithMetadata, results: &mut Streams) -> Result<Message, Problem> {
        let text = run.statement();
        let statement = self.server.statements.get(text);
        self.hook(Request::Run(statement.map_or(text, |statement| statement.name)))?;
        let (columns, rows) = match (statement, self.server.constraints.get(text)) {
            (Some(statement), _) => {
                let params = params(run)?;
                let rows = self.server.backend.run(tx, &mut |graph| (statement.run)(graph, &params))?;
                (statement.columns, rows)
            }
            (None, Some(ddl)) => {
                self.run_ddl(tx, *ddl)?;
                (&[] as &[&str], Rows::new())
            }
            (None, None) => return Err(Failure::new(codes::SYNTAX, format!("unknown statement: {text}")).into()),
        };
        let id = results.add(rows);
        let columns = columns.iter().map(|column| Value::from(*column)).collect();
        Ok(success([("fields", Value::List(columns)), ("qid", Value::Integer(id))]))
    }

    fn run_ddl(&self, tx: &mut B::Tx, ddl: Ddl) -> Result<(), Problem> {
        let backend = &self.server.backend;
        match ddl {
            Ddl::Create(uniqueness) => backend.constrain(&uniqueness).map_err(|fault| match fault {
                GraphFault::Constraint { .. } => Failure::new(codes::CONSTRAINT_CREATION, fault.to_string()),
                other => other.into(),
            })?,
            Ddl::Violate(uniqueness) => {
                let probe = || Properties::from([(uniqueness.property.to_owned(), PROBE_VALUE.into())]);
                backend.run(tx, &mut |graph| {
                    for _ in 0..2 {
                        graph.create(&[uniqueness.label], probe())?;
                    }
                    Ok(Rows::new())
                })?;
            }
            Ddl::CleanUp(Uniqueness { label, property }) => {
                backend.run(tx, &mut |graph| {
                    for node in graph.find(label, property, &PropertyValue::from(PROBE_VALUE))? {
                        graph.delete(node)?;
                    }
                    Ok(Rows::new())
                })?;
            }
        }
        Ok(())
    }

    fn commit(&self, tx: B::Tx) -> Result<(), Problem> {
        self.server.hooks.before_commit();
        self.server.backend.commit(tx)?;
        match self.server.hooks.after_commit() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    fn hook(&self, request: Request<'_>) -> Result<(), Problem> {
        match self.server.hooks.on_request(request) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_types, reason = "the type that bolt-proto gives; only looked up by name")]
type Metadata = std::collections::HashMap<String, Value>;

fn params(run: &RunWithMetadata) -> Result<Params, GraphFault> {
    let convert = |(name, value): (&String, &Value)| {
        let datum = from_bolt(value.clone()).map_err(|_| GraphFault::Parameter(name.clone()))?;
        Ok((name.clone(), datum))
    };
    run.parameters().iter().map(convert).collect()
}

fn success<const N: usize>(metadata: [(&str, Value); N]) -> Message {
    Message::Success(Success::new(metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn report(failure: Failure) -> Message {
    let metadata = [("code", failure.code), ("message", failure.message)];
    let metadata = metadata.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
    Message::Failure(message::Failure::new(metadata))
}

fn name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "HELLO",
        Message::Begin(_) => "BEGIN",
        Message::RunWithMetadata(_) => "RUN",
        Message::Pull(_) => "PULL",
        Message::Discard(_) => "DISCARD",
        Message::Commit => "COMMIT",
        Message::Rollback => "ROLLBACK",
        Message::Reset => "RESET",
        _ => "of another version",
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(int) => Some(*int),
        _ => None,
    }
}
