//! A connection that outlives its disk. It is alone in its process, since the next disk takes the slot of the one that is
//! gone, and the connection would find that one.

use disk::Disk;
use rusqlite::{Connection, OpenFlags};

#[test]
fn a_connection_without_files_finds_no_freed_memory_when_its_disk_is_gone() {
    let orphan = {
        let disk = Disk::new(1);
        Connection::open_with_flags_and_vfs(":memory:", OpenFlags::default(), disk.vfs_name()).unwrap()
    };
    let _ = orphan.query_row("SELECT strftime('%s', 'now')", [], |row| row.get::<_, Option<String>>(0));
    assert!(orphan.execute_batch("ATTACH '/data/other.db' AS other; CREATE TABLE other.t (n)").is_err());
}
