use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;

use env::Production;
use rusqlite::{Transaction, ffi};
use tempfile::TempDir;

use super::*;

const SCHEMA: Schema = Schema {
    application_id: 0x5155,
    migrations: &["
        CREATE TABLE row (value INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE child (row INTEGER REFERENCES row (value) DEFERRABLE INITIALLY DEFERRED) STRICT;
    "],
};

struct Store {
    folder: TempDir,
    env: Env,
}

impl Store {
    fn new() -> Store {
        Store { folder: TempDir::new().unwrap(), env: Env::new(Production) }
    }

    async fn open(&self, batch_max: usize) -> Batcher {
        Batcher::open(&self.env, &self.folder.path().join("db"), &SCHEMA, Check::Skip, batch_max).await.unwrap()
    }

    /// With another way to commit.
    fn open_with(&self, commit: writer::Commit) -> Batcher {
        let open = |role| sqlite::open(&self.env, &self.folder.path().join("db"), role, &SCHEMA).unwrap();
        let (writer, reader) = (open(Role::Writer(Check::Skip)), open(Role::Reader));
        let poison = Poison::default();
        let writer = Writer::new(writer, commit, poison.clone());
        Batcher::start(&self.env, writer, reader, poison, 100)
    }
}

fn insert(value: i64) -> impl FnOnce(&Connection) -> Result<(), WorkError<&'static str>> + Send {
    move |connection| {
        connection.execute("INSERT INTO row VALUES (?1)", [value])?;
        Ok(())
    }
}

fn insert_and_refuse(value: i64) -> impl FnOnce(&Connection) -> Result<(), WorkError<&'static str>> + Send {
    move |connection| {
        connection.execute("INSERT INTO row VALUES (?1)", [value])?;
        Err(WorkError::Refused("no"))
    }
}

/// Violates a deferred constraint, which only the commit finds.
fn insert_orphan(connection: &Connection) -> Result<(), WorkError<&'static str>> {
    connection.execute("INSERT INTO child VALUES (99)", ())?;
    Ok(())
}

fn values(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection.prepare("SELECT value FROM row ORDER BY value")?.query_map((), |row| row.get(0))?.collect()
}

// On tokio's current-thread runtime the batcher's task runs only while a test waits: what is
// submitted before the first `await` is one batch, as far as its size allows.

#[tokio::test]
async fn a_refusal_takes_back_only_its_own_changes() {
    let store = Store::new();
    let batcher = store.open(100).await;
    let works = (batcher.submit(insert(1)), batcher.submit(insert_and_refuse(2)), batcher.submit(insert(3)));
    assert_eq!(works.0.await, Ok(()));
    assert_eq!(works.1.await, Err(BatchError::Refused("no")));
    assert_eq!(works.2.await, Ok(()));
    assert_eq!(batcher.read(values).await.unwrap(), [1, 3]);
}

#[tokio::test]
async fn a_failed_statement_fails_only_its_own_work() {
    let store = Store::new();
    let batcher = store.open(100).await;
    let works = (batcher.submit(insert(1)), batcher.submit(insert(1)), batcher.submit(insert(2)));
    assert_eq!(works.0.await, Ok(()));
    assert!(matches!(works.1.await, Err(BatchError::Sql(SqlFailure::NotDone { full: false, .. }))));
    assert_eq!(works.2.await, Ok(()));
    assert_eq!(batcher.read(values).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn works_that_come_during_a_batch_share_the_next_commit() {
    static COMMITS: AtomicUsize = AtomicUsize::new(0);
    let store = Store::new();
    let batcher = store.open_with(|transaction| {
        COMMITS.fetch_add(1, Ordering::Relaxed);
        transaction.commit()
    });
    let (begun_sender, begun) = oneshot::channel();
    let (release, released) = std_mpsc::channel::<()>();
    let first = batcher.submit(move |_| {
        let _ = begun_sender.send(());
        released.recv().expect("the test lets go before it ends");
        Ok::<_, WorkError<Infallible>>(())
    });
    begun.await.unwrap();
    let works: Vec<_> = (0..50).map(|value| batcher.submit(insert(value))).collect();
    release.send(()).unwrap();
    first.await.unwrap();
    for work in works {
        work.await.unwrap();
    }
    assert_eq!(COMMITS.load(Ordering::Relaxed), 2);
    assert_eq!(batcher.read(values).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_batch_has_at_most_as_many_works_as_it_was_told() {
    // The orphan fails the commit of its batch: the third work of three is alone in it.
    for (batch_max, others_succeed) in [(2, true), (3, false)] {
        let store = Store::new();
        let batcher = store.open(batch_max).await;
        let works = (batcher.submit(insert(1)), batcher.submit(insert(2)), batcher.submit(insert_orphan));
        assert_eq!(works.0.await.is_ok(), others_succeed);
        assert_eq!(works.1.await.is_ok(), others_succeed);
        assert!(works.2.await.is_err());
    }
}

#[tokio::test]
async fn works_run_in_the_order_of_submission() {
    let store = Store::new();
    let batcher = store.open(3).await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let works: Vec<_> = (0..20)
        .map(|number| {
            let order = order.clone();
            batcher.submit(move |_| {
                order.lock().unwrap().push(number);
                Ok::<_, WorkError<Infallible>>(())
            })
        })
        .collect();
    // Awaited from the last to the first: only the submission counts.
    for work in works.into_iter().rev() {
        work.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_certain_failure_of_the_commit_fails_all_and_stops_nobody() {
    let store = Store::new();
    let batcher = store.open(100).await;
    let works = (batcher.submit(insert(1)), batcher.submit(insert_and_refuse(2)), batcher.submit(insert_orphan));
    assert!(matches!(works.0.await, Err(BatchError::Sql(SqlFailure::NotDone { .. }))));
    let refused = works.1.await;
    assert!(matches!(refused, Err(BatchError::Sql(SqlFailure::NotDone { .. }))), "may rest on what was not committed");
    assert!(matches!(works.2.await, Err(BatchError::Sql(SqlFailure::NotDone { .. }))));
    assert_eq!(batcher.submit(insert(3)).await, Ok(()));
    assert_eq!(batcher.read(values).await.unwrap(), [3]);
}

#[tokio::test]
async fn after_an_unknown_commit_nothing_is_done_any_more() {
    let store = Store::new();
    // The commit happens, and its sync reports an error.
    let batcher = store.open_with(|transaction: Transaction<'_>| {
        transaction.commit()?;
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None))
    });
    let works = (batcher.submit(insert(1)), batcher.submit(insert_and_refuse(2)));
    assert!(matches!(works.0.await, Err(BatchError::Sql(SqlFailure::Unknown { .. }))));
    let refused = works.1.await;
    assert!(matches!(refused, Err(BatchError::Sql(SqlFailure::NotDone { .. }))), "taken back before the commit");
    assert!(matches!(batcher.submit(insert(3)).await, Err(BatchError::Sql(SqlFailure::NotDone { .. }))));
    assert!(matches!(batcher.read(values).await, Err(SqlFailure::NotDone { .. })));

    assert!(batcher.failed().await.contains("disk I/O error"), "whoever waits for the failure is told");

    let closed = batcher.closed();
    drop(batcher);
    closed.await;
    let reopened = store.open(1).await;
    assert_eq!(reopened.read(values).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full_and_the_store_goes_on() {
    let store = Store::new();
    let batcher = store.open(1).await;
    let fill = batcher.submit(|connection| {
        connection.pragma_update(None, "max_page_count", 1)?;
        connection.execute("CREATE TABLE large AS SELECT zeroblob(100000) AS blob", ())?;
        Ok::<_, WorkError<Infallible>>(())
    });
    assert!(matches!(fill.await, Err(BatchError::Sql(SqlFailure::NotDone { full: true, .. }))));
    assert_eq!(batcher.submit(insert(1)).await, Ok(()));
}

#[tokio::test]
async fn a_work_cannot_commit() {
    let store = Store::new();
    let batcher = store.open(1).await;
    let bold = batcher.submit(|connection| {
        connection.execute("INSERT INTO row VALUES (1)", ())?;
        let _ = connection.execute_batch("COMMIT");
        // Now in autocommit mode: this would be a transaction of its own.
        let _ = connection.execute("INSERT INTO row VALUES (2)", ());
        Ok::<_, WorkError<Infallible>>(())
    });
    let failed = bold.await;
    assert!(
        matches!(&failed, Err(BatchError::Sql(SqlFailure::NotDone { why, .. })) if why.contains("ended the transaction")),
        "{failed:?}"
    );
    assert_eq!(batcher.submit(insert(3)).await, Ok(()));
    assert_eq!(batcher.read(values).await.unwrap(), [3]);
}

#[tokio::test]
async fn a_read_is_one_snapshot_and_sees_what_was_answered() {
    let store = Store::new();
    let batcher = store.open(1).await;
    for value in 0..20 {
        batcher.submit(insert(value)).await.unwrap();
        assert!(batcher.read(values).await.unwrap().contains(&value));
    }
    assert!(batcher.read(|connection| connection.execute("DELETE FROM row", ())).await.is_err());

    let (begun_sender, begun) = oneshot::channel();
    let (release, released) = std_mpsc::channel::<()>();
    let reader = batcher.clone();
    let reading = async move {
        let read = reader.read(move |connection| {
            let before = values(connection)?;
            let _ = begun_sender.send(());
            released.recv().expect("the test lets go");
            Ok((before, values(connection)?))
        });
        read.await
    };
    let writing = async {
        begun.await.unwrap();
        batcher.submit(insert(100)).await.unwrap();
        release.send(()).unwrap();
    };
    let (read, ()) = tokio::join!(reading, writing);
    let (before, after) = read.unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn the_last_handle_closes_the_file_once_its_works_are_done() {
    let store = Store::new();
    let batcher = store.open(1).await;
    let closed = batcher.closed();
    drop(batcher.submit(insert(1)));
    drop(batcher);
    closed.await;
    assert!(!store.folder.path().join("db-wal").exists(), "the last connection to close removes the log");
    assert_eq!(store.open(1).await.read(values).await.unwrap(), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_at_once_lose_nothing() {
    let store = Store::new();
    let batcher = store.open(16).await;
    let (done, mut all_done) = mpsc::unbounded_channel();
    for task in 0..8 {
        let (batcher, done) = (batcher.clone(), done.clone());
        store.env.spawn(async move {
            for value in 0..25 {
                batcher.submit(insert(task * 100 + value)).await.unwrap();
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..8 {
        all_done.recv().await.unwrap();
    }
    assert_eq!(batcher.read(values).await.unwrap().len(), 200);
}
