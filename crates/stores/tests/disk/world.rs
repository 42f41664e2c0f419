//! A store on a simulated disk, in an environment that is otherwise real.

use std::io;
use std::path::Path;

use disk::{Death, Disk, Unsynced};
use env::{BoxFuture, Env, Environment, Layer, Production};
use stores::batch::{BatchError, Batcher, WorkError};
use stores::sqlite::{Check, OpenError, Schema, SqlFailure};

pub const PATH: &str = "/data/db";
pub const WAL: &str = "/data/db-wal";

pub const SCHEMA: Schema = Schema {
    application_id: 0x6469_736b,
    migrations: &["CREATE TABLE item (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"],
};

struct OnDisk(Disk);

impl Layer for OnDisk {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    /// Inline, so that runs are the same.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        Box::pin(std::future::ready(()))
    }

    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn vfs(&self) -> Option<&str> {
        Some(self.0.vfs_name())
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        self.0.rewrite(path.to_str().expect("tests write ASCII")).map(drop)
    }
}

pub fn env(disk: &Disk) -> Env {
    Env::new(OnDisk(disk.clone()))
}

pub async fn open(disk: &Disk) -> Result<Batcher, OpenError> {
    Batcher::open(&env(disk), Path::new(PATH), &SCHEMA, Check::Full, 8).await
}

/// Adds an item of `size` bytes.
pub async fn add(store: &Batcher, id: i64, size: usize) -> Result<(), SqlFailure> {
    let added = store.submit(move |sql| {
        sql.execute("INSERT INTO item VALUES (?1, zeroblob(?2))", (id, i64::try_from(size).unwrap()))?;
        Ok::<_, WorkError<std::convert::Infallible>>(())
    });
    added.await.map_err(|error| match error {
        BatchError::Refused(never) => match never {},
        BatchError::Sql(failure) => failure,
    })
}

pub async fn items(store: &Batcher) -> Result<Vec<i64>, SqlFailure> {
    store.read(|sql| sql.prepare("SELECT id FROM item ORDER BY id")?.query_map((), |row| row.get(0))?.collect()).await
}

/// Ends the process as the disk sees it: nothing that its destructors do lasts.
pub fn end(disk: &Disk, store: Batcher, death: Death) {
    disk.stop_observing();
    disk.die(death);
    drop(store);
}

/// The machine loses its power and all that was not synced.
pub const POWER_CUT: Death = Death::PowerCut(Unsynced::LoseAll);
