//! Equal seeds give equal runs, to the byte.
//!
//! A test binary of its own with one test: SQLite's generator is one for the process, so another test on another thread
//! would draw from it in between.

#[path = "../examples/torture/cycle.rs"]
mod cycle;

use cycle::{MODES, torture};
use disk::{Disk, seed_sqlite_prng};
use rusqlite::{Connection, OpenFlags};

fn random() -> Vec<i64> {
    let disk = Disk::new(1);
    let connection = Connection::open_with_flags_and_vfs("/r", OpenFlags::default(), disk.vfs_name()).unwrap();
    (0..3).map(|_| connection.query_row("SELECT random()", [], |row| row.get(0)).unwrap()).collect()
}

/// The digest of a disk after the same operations with other data.
fn digest_with(text: &str) -> u64 {
    seed_sqlite_prng(1);
    let disk = Disk::new(1);
    let connection = Connection::open_with_flags_and_vfs("/t", OpenFlags::default(), disk.vfs_name()).unwrap();
    connection.execute_batch("CREATE TABLE t (text)").unwrap();
    connection.execute("INSERT INTO t VALUES (?)", [text]).unwrap();
    disk.digest()
}

#[test]
fn equal_seeds_give_equal_runs_whatever_ran_before() {
    for mode in MODES {
        let first = torture(mode, 7, 60);
        assert!(torture(mode, 8, 20).digest != first.digest);
        assert_eq!(torture(mode, 7, 60), first, "{}", mode.name);
        assert!(first.is_clean() || !mode.is_safe, "{}", mode.name);
    }

    assert_eq!(digest_with("one"), digest_with("one"));
    assert_ne!(digest_with("one"), digest_with("two"));

    let drawn = [7, 7, 8, 7 << 32, 0].map(|seed| {
        seed_sqlite_prng(seed);
        random()
    });
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[4], random(), "the generator goes on");
    let different: std::collections::BTreeSet<_> = drawn[1..].iter().collect();
    assert_eq!(different.len(), 4, "{drawn:?}");
}
