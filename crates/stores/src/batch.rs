//! Group commit: many small transactions, one fsync.
//!
//! While one batch is being synced the next one gathers. Each work of a batch runs in a
//! savepoint of one SQLite transaction, so that a refusal takes back only its own changes,
//! and nobody is answered before `COMMIT` has returned. The idea is DeWitt et al.,
//! "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.

mod job;
#[cfg(test)]
mod tests;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use env::Env;
use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::sqlite::{self, Check, OpenError, Role, Schema, SqlFailure};
use job::{Job, Submitted};
use writer::Writer;

/// Why a work gives up; `?` turns an SQLite error into one.
#[derive(Debug)]
pub enum WorkError<E> {
    /// The work looked at the database and decided against: an outcome, not a failure.
    Refused(E),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for WorkError<E> {
    fn from(error: rusqlite::Error) -> WorkError<E> {
        WorkError::Sql(error)
    }
}

/// Why a work was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError<E> {
    /// The work refused, on the grounds of a state that was committed.
    #[error("refused: {0}")]
    Refused(E),
    /// SQLite failed.
    #[error(transparent)]
    Sql(#[from] SqlFailure),
}

/// A handle to one database: a writer that batches and a reader beside it.
///
/// Cheap to clone. Once the last clone is gone, what was submitted is finished and the
/// connections are closed.
#[derive(Clone)]
pub struct Batcher {
    env: Env,
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
    reader: Arc<Mutex<Connection>>,
    poison: Poison,
    closed: watch::Receiver<()>,
}

/// Why nothing is done any more, once there is a reason.
#[derive(Clone, Default)]
struct Poison(Arc<watch::Sender<Option<String>>>);

impl Poison {
    /// Nothing is done any more, for the first reason there was.
    fn set(&self, why: String) {
        self.0.send_if_modified(|reason| reason.is_none() && reason.replace(why).is_none());
    }

    fn get(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

fn refuse_if_poisoned(poison: &Poison) -> Result<(), SqlFailure> {
    match poison.get() {
        None => Ok(()),
        Some(why) => {
            let why = format!("the store stopped and has to be opened again by a new process: {why}");
            Err(SqlFailure::NotDone { why, full: false })
        }
    }
}

impl Batcher {
    /// Opens a writer and a reader on `path` and starts to work.
    ///
    /// At most `batch_max` works share one transaction, which bounds how long the first of
    /// them waits; at least 1.
    ///
    /// # Errors
    ///
    /// See [`sqlite::open`].
    pub async fn open(
        env: &Env,
        path: &Path,
        schema: &'static Schema,
        check: Check,
        batch_max: usize,
    ) -> Result<Batcher, OpenError> {
        let (on_thread, path) = (env.clone(), path.to_owned());
        let opened = env.blocking(move || {
            let writer = sqlite::open(&on_thread, &path, Role::Writer(check), schema)?;
            let reader = sqlite::open(&on_thread, &path, Role::Reader, schema)?;
            Ok((writer, reader))
        });
        let (writer, reader) = opened.await?;
        let poison = Poison::default();
        let writer = Writer::new(writer, |transaction| transaction.commit(), poison.clone());
        Ok(Batcher::start(env, writer, reader, poison, batch_max))
    }

    fn start(env: &Env, writer: Writer, reader: Connection, poison: Poison, batch_max: usize) -> Batcher {
        assert!(batch_max > 0, "a batch of no works makes no progress");
        let (jobs, receiver) = mpsc::unbounded_channel();
        let (closing, closed) = watch::channel(());
        env.spawn(run(env.clone(), writer, receiver, batch_max, closing));
        Batcher { env: env.clone(), jobs, reader: Arc::new(Mutex::new(reader)), poison, closed }
    }

    /// Queues a work and returns what became of it.
    ///
    /// Works run in the order in which this function is called, whether or not the future is
    /// polled; dropping the future does not take the work back. The work runs inside a
    /// transaction of the batcher's: it must not begin or end one, and an attempt to commit
    /// fails the batch. It sees what earlier works did. Deferred constraints are not for
    /// such works: checked at `COMMIT`, they would fail everybody's.
    ///
    /// # Errors
    ///
    /// [`BatchError::Refused`] with what the work refused with. [`SqlFailure::NotDone`] when
    /// this work failed, or the batch did before its commit could have happened; another
    /// work's failure may be the reason, and the same may succeed later. After
    /// [`SqlFailure::Unknown`] and [`SqlFailure::Stopped`] every later work and read fails: the
    /// process has to end, and its successor recovers.
    pub fn submit<W, T, E>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, BatchError<E>>> + Send + 'static + use<W, T, E>
    where
        W: FnOnce(&Connection) -> Result<T, WorkError<E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = self.jobs.send(Box::new(Submitted::new(work, reply)));
        async move {
            if queued.is_err() {
                let why = "the task that works the queue has ended".to_owned();
                return Err(SqlFailure::NotDone { why, full: false }.into());
            }
            answer.await.unwrap_or_else(|_| {
                // The task died with the work in hand: it panicked, or the process is ending.
                let why = "the task that works the queue ended before it answered".to_owned();
                Err(SqlFailure::Unknown { why }.into())
            })
        }
    }

    /// Runs a work that only reads, in one read transaction beside the queue.
    ///
    /// It sees every work that was answered before this call, and none that has not been
    /// committed. Reads run one at a time, in order.
    ///
    /// # Errors
    ///
    /// [`SqlFailure::NotDone`] or [`SqlFailure::Stopped`]: a read leaves no trace.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqlFailure> {
        refuse_if_poisoned(&self.poison)?;
        let mut reader = self.reader.clone().lock_owned().await;
        let read = self.env.blocking(move || {
            let transaction = reader.transaction()?;
            let result = work(&transaction)?;
            transaction.finish()?;
            Ok(result)
        });
        let result = read.await.map_err(|error| {
            let failure = SqlFailure::before_commit(&error);
            if let SqlFailure::Stopped { why, .. } = &failure {
                self.poison.set(why.clone());
            }
            failure
        })?;
        // An unknown commit is visible to no read, and yet may turn out to have happened.
        refuse_if_poisoned(&self.poison)?;
        Ok(result)
    }

    /// Stops everything: nothing is done any more, and [`failed`](Self::failed) resolves. For
    /// damage that only the caller can see, in what its rows mean.
    pub fn stop(&self, why: String) {
        self.poison.set(why);
    }

    /// Resolves, with the reason, once nothing is done any more: the process has to end, and
    /// its successor recovers.
    pub fn failed(&self) -> impl Future<Output = String> + Send + 'static + use<> {
        let mut reason = self.poison.0.subscribe();
        async move {
            let found = reason.wait_for(Option::is_some).await.map(|reason| reason.clone().unwrap_or_default());
            match found {
                Ok(reason) => reason,
                // The last handle is gone without a failure.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Resolves when the last handle is gone, its works are done and the file is closed.
    ///
    /// For an orderly end: call it, drop the handle, wait.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut closed = self.closed.clone();
        async move {
            // Nothing is ever sent: the channel closing is the message.
            let _ = closed.changed().await;
        }
    }
}

/// Takes what has gathered, runs it, answers, until no handle is left.
async fn run(
    env: Env,
    mut writer: Writer,
    mut queue: mpsc::UnboundedReceiver<Box<dyn Job>>,
    batch_max: usize,
    closing: watch::Sender<()>,
) {
    let mut jobs = Vec::new();
    while queue.recv_many(&mut jobs, batch_max).await > 0 {
        let mut batch = std::mem::take(&mut jobs);
        let work = move || {
            let outcome = writer.run(&mut batch);
            (writer, batch, outcome)
        };
        let (returned, batch, outcome) = env.blocking(work).await;
        writer = returned;
        // Only now: a simulated disk charges its time when `blocking` returns.
        for job in batch {
            job.answer(&outcome);
        }
    }
    env.blocking(move || drop(writer)).await;
    drop(closing);
}
