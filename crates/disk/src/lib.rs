//! A simulated disk for real SQLite.
//!
//! A [`Disk`] is one host's disk. It registers itself with SQLite as a VFS, so that a connection opened with
//! [`Disk::vfs_name`] runs on it unmodified: pager, rollback journal, WAL, locks and recovery are the real ones, and only
//! the system calls below them are ours. The disk knows for each file what the medium holds and what merely sits in the
//! operating system's cache, and so it can lose power at any operation and keep exactly what a disk may keep.
//!
//! Three things happen to it:
//!
//! - an [observer](Disk::observe) sees every [`Operation`] before it is carried out and answers with a [`Verdict`]: go
//!   on, fail, lie, or die here;
//! - the world lets it [die](Disk::die) and [revives](Disk::revive) it;
//! - faults at rest: a [flipped bit](Disk::corrupt), a [lost tail](Disk::truncate_file), an [older
//!   image](Disk::restore), a [smaller disk](Disk::set_capacity).
//!
//! Nothing here draws from a shared generator. Every draw is a function of the seed, its purpose and the operation it
//! belongs to, so a fault added at one place leaves every other draw as it was.
//!
//! ```
//! use disk::{Death, Disk, Unsynced};
//! use rusqlite::{Connection, OpenFlags};
//!
//! let disk = Disk::new(7);
//! let open = || Connection::open_with_flags_and_vfs("/data/ledger.db", OpenFlags::default(), disk.vfs_name());
//!
//! let connection = open()?;
//! connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE entry (n);")?;
//! connection.execute("INSERT INTO entry VALUES (1)", [])?;
//! disk.die(Death::PowerCut(Unsynced::LoseAll));
//! drop(connection);
//!
//! disk.revive();
//! let count: u32 = open()?.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?;
//! assert_eq!(count, 1);
//! # Ok::<(), rusqlite::Error>(())
//! ```

mod digest;
mod directory;
mod disk;
mod draws;
mod fault;
mod image;
mod locks;
mod open_file;
mod prng;
mod shm;
mod state;
mod stats;
mod vfs;

pub use crate::disk::{Disk, Image, NotThere};
pub use crate::fault::{Death, IoFault, OpKind, Operation, Unsynced, Verdict};
pub use crate::prng::seed_sqlite_prng;
pub use crate::state::Latency;
pub use crate::stats::{Sectors, Stats};
