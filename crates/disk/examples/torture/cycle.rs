//! One crash after the other on one database, with a workload whose right content is known.

use disk::{Death, Disk, OpKind, Unsynced, Verdict};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rusqlite::{Connection, OpenFlags};

const PATH: &str = "/data/torture.db";

/// A crash falls at one of so many operations from the start of the workload on …
const WORKING_MAX: u64 = 300;

/// … or, one time in [`RECOVERING_ONE_IN`], from the opening on, while SQLite recovers from the crash before.
const RECOVERING_MAX: u64 = 40;
const RECOVERING_ONE_IN: u64 = 4;

/// The database keeps so many transactions; each one deletes the oldest.
const WINDOW: i64 = 16;

/// The longest payload of a transaction in bytes: several pages of 1,024.
const PAYLOAD_MAX: u64 = 4_000;

/// One way to run SQLite, and one way to die.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// What the figures call it.
    pub name: &'static str,
    /// `journal_mode`.
    pub journal: &'static str,
    /// `synchronous`.
    pub synchronous: &'static str,
    /// How the disk dies.
    pub death: Death,
    /// Whether every sync lies.
    pub lying: bool,
    /// Whether nothing may be lost.
    pub is_safe: bool,
}

const POWER_CUT: Death = Death::PowerCut(Unsynced::Drawn);

/// The modes that the figures are about.
pub const MODES: &[Mode] = &[
    mode("WAL FULL, power cut", ("WAL", "FULL"), POWER_CUT, true),
    mode("WAL NORMAL, power cut", ("WAL", "NORMAL"), POWER_CUT, false),
    mode("WAL OFF, power cut", ("WAL", "OFF"), POWER_CUT, false),
    mode("DELETE FULL, power cut", ("DELETE", "FULL"), POWER_CUT, false),
    mode("DELETE EXTRA, power cut", ("DELETE", "EXTRA"), POWER_CUT, true),
    mode("DELETE OFF, power cut", ("DELETE", "OFF"), POWER_CUT, false),
    Mode { lying: true, ..mode("WAL FULL, syncs lie, power cut", ("WAL", "FULL"), POWER_CUT, false) },
    mode("WAL NORMAL, kill", ("WAL", "NORMAL"), Death::Kill, true),
    mode("WAL OFF, kill", ("WAL", "OFF"), Death::Kill, true),
    mode("DELETE OFF, kill", ("DELETE", "OFF"), Death::Kill, true),
];

const fn mode(
    name: &'static str,
    (journal, synchronous): (&'static str, &'static str),
    death: Death,
    is_safe: bool,
) -> Mode {
    Mode { name, journal, synchronous, death, lying: false, is_safe }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Crashes, each followed by a reopening.
    pub crashes: u64,
    /// Those of them that fell before the content was verified: into opening and recovery.
    pub in_recovery: u64,
    /// Transactions whose commit was acknowledged.
    pub commits: u64,
    /// Crashes after which an acknowledged transaction was missing.
    pub losing_crashes: u64,
    /// Acknowledged transactions that were missing.
    pub lost: u64,
    /// Times that a transaction was there in part or with other content.
    pub torn: u64,
    /// Times that the database could not be opened, read or written, or failed its integrity check.
    pub corrupt: u64,
    /// Disk operations.
    pub operations: u64,
    /// Folded over all disks: equal seeds give equal digests.
    pub digest: u64,
}

impl Figures {
    /// Nothing was lost, in no sense.
    pub fn is_clean(&self) -> bool {
        let Figures { losing_crashes, lost, torn, corrupt, .. } = self;
        [losing_crashes, lost, torn, corrupt].into_iter().all(|count| *count == 0)
    }
}

/// What is wrong with a database.
#[derive(Debug)]
enum Damage {
    /// The disk died under it, so there is no telling yet.
    Died,
    Torn,
    Corrupt,
}

/// Crashes one database again and again; when it is damaged beyond use, a new one.
pub fn torture(mode: &Mode, seed: u64, crashes: u64) -> Figures {
    disk::seed_sqlite_prng(seed);
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let mut figures = Figures::default();
    let mut subject = Subject::new(*mode, draws.next_u64());
    while figures.crashes < crashes {
        let damage = subject.live_and_die(&mut draws, &mut figures);
        match damage {
            Damage::Died => continue,
            Damage::Torn => figures.torn += 1,
            Damage::Corrupt => figures.corrupt += 1,
        }
        subject.retire(&mut figures);
        subject = Subject::new(*mode, draws.next_u64());
    }
    subject.disk.stop_observing();
    match subject.open().and_then(|connection| subject.verify(&connection, &mut figures)) {
        Ok(()) => {}
        Err(Damage::Torn) => figures.torn += 1,
        Err(Damage::Corrupt) => figures.corrupt += 1,
        Err(Damage::Died) => unreachable!("nothing kills it any more"),
    }
    subject.retire(&mut figures);
    figures
}

/// A database and what it has acknowledged.
struct Subject {
    mode: Mode,
    disk: Disk,
    seed: u64,
    acknowledged: i64,
}

impl Subject {
    /// A database with its schema, all of it durable.
    fn new(mode: Mode, seed: u64) -> Self {
        let subject = Subject { mode, disk: Disk::new(seed), seed, acknowledged: 0 };
        let safe = Subject { mode: Mode { synchronous: "EXTRA", ..mode }, disk: subject.disk.clone(), ..subject };
        let connection = safe.open().expect("an honest disk opens");
        connection
            .execute_batch(
                "CREATE TABLE entry (id INTEGER PRIMARY KEY, payload BLOB NOT NULL);
                 CREATE TABLE mirror (id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE);
                 CREATE TABLE head (only INTEGER PRIMARY KEY, id INTEGER NOT NULL);
                 INSERT INTO head VALUES (0, 0);",
            )
            .expect("an honest disk keeps a schema");
        drop(connection);
        subject
    }

    fn open(&self) -> Result<Connection, Damage> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags_and_vfs(PATH, flags, self.disk.vfs_name())?;
            // A small cache spills in the middle of a transaction; a small WAL is checkpointed often.
            connection.execute_batch(&format!(
                "PRAGMA page_size = 1024; PRAGMA cache_size = 8; PRAGMA journal_mode = {};
                 PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 20; PRAGMA temp_store = MEMORY;",
                self.mode.journal, self.mode.synchronous
            ))?;
            Ok(connection)
        };
        open().map_err(|_| self.damage())
    }

    /// What an error of SQLite's means.
    fn damage(&self) -> Damage {
        if self.disk.is_dead() { Damage::Died } else { Damage::Corrupt }
    }

    /// Opens the database, verifies it, and commits until the disk dies.
    fn live_and_die(&mut self, draws: &mut ChaCha8Rng, figures: &mut Figures) -> Damage {
        let (choice, at) = (draws.next_u64(), draws.next_u64());
        if choice.is_multiple_of(RECOVERING_ONE_IN) {
            self.die_in(1 + at % RECOVERING_MAX);
        } else {
            self.die_in(u64::MAX);
        }
        let verified = self.open().and_then(|connection| self.verify(&connection, figures).map(|()| connection));
        let recovering = verified.is_err();
        let damage = match verified {
            Err(damage) => damage,
            Ok(mut connection) => {
                self.die_in(1 + at % WORKING_MAX);
                loop {
                    match self.commit(&mut connection) {
                        Ok(()) => figures.commits += 1,
                        Err(_) => break self.damage(),
                    }
                }
            }
        };
        if matches!(damage, Damage::Died) {
            figures.crashes += 1;
            figures.in_recovery += u64::from(recovering);
            self.disk.revive();
        }
        damage
    }

    /// Lets the disk die at the `n`th operation from here.
    fn die_in(&self, n: u64) {
        let Mode { death, lying, .. } = self.mode;
        let at = self.disk.ordinal().saturating_add(n);
        self.disk.observe(Box::new(move |operation| match operation.kind {
            _ if operation.ordinal == at => Verdict::Die(death),
            OpKind::Sync | OpKind::SyncDirectory if lying => Verdict::Lie,
            _ => Verdict::Proceed,
        }));
    }

    /// Commits the next transaction.
    fn commit(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        let id = self.acknowledged + 1;
        let transaction = connection.transaction()?;
        let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| transaction.prepare_cached(sql)?.execute(values);
        execute("INSERT INTO entry VALUES (?, ?)", &[&id, &self.payload(id)])?;
        execute("INSERT INTO mirror VALUES (?, ?)", &[&id, &self.label(id)])?;
        execute("UPDATE head SET id = ?", &[&id])?;
        execute("DELETE FROM entry WHERE id <= ?", &[&(id - WINDOW)])?;
        execute("DELETE FROM mirror WHERE id <= ?", &[&(id - WINDOW)])?;
        transaction.commit()?;
        self.acknowledged = id;
        Ok(())
    }

    /// Checks that the database is sound and that each transaction is there as a whole, and counts what is missing. From
    /// then on what it holds is what counts: a transaction that was in flight may have been committed or not.
    fn verify(&mut self, connection: &Connection, figures: &mut Figures) -> Result<(), Damage> {
        let read = || -> rusqlite::Result<_> {
            let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            let head: i64 = connection.query_row("SELECT id FROM head", [], |row| row.get(0))?;
            let mut entries = connection.prepare("SELECT id, payload FROM entry ORDER BY id")?;
            let entries: Vec<(i64, Vec<u8>)> =
                entries.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            let mut mirror = connection.prepare("SELECT id, label FROM mirror ORDER BY id")?;
            let mirror: Vec<(i64, String)> =
                mirror.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            Ok((sound, head, entries, mirror))
        };
        let (sound, head, entries, mirror) = read().map_err(|_| self.damage())?;
        if sound != "ok" {
            return Err(Damage::Corrupt);
        }
        let ids = (head - WINDOW + 1).max(1)..=head;
        let whole = entries.into_iter().eq(ids.clone().map(|id| (id, self.payload(id))))
            && mirror.into_iter().eq(ids.map(|id| (id, self.label(id))));
        if !whole {
            return Err(Damage::Torn);
        }
        if head < self.acknowledged {
            figures.losing_crashes += 1;
            figures.lost += self.acknowledged.abs_diff(head);
        }
        self.acknowledged = head;
        Ok(())
    }

    /// What a transaction writes is a function of its id, so that it can be checked without a second copy.
    fn payload(&self, id: i64) -> Vec<u8> {
        let mut draws = ChaCha8Rng::seed_from_u64(self.seed ^ id.cast_unsigned());
        let mut payload = vec![0; (draws.next_u64() % PAYLOAD_MAX) as usize];
        draws.fill_bytes(&mut payload);
        payload
    }

    fn label(&self, id: i64) -> String {
        format!("{:x}-{id}", (self.seed ^ id.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn retire(&self, figures: &mut Figures) {
        figures.operations += self.disk.ordinal();
        figures.digest = figures.digest.rotate_left(7) ^ self.disk.digest();
    }
}
