use env::{Env, Production};
use rusqlite::ffi;
use tempfile::TempDir;

use super::*;

const SCHEMA: Schema = Schema {
    application_id: 0x5155,
    migrations: &["CREATE TABLE a (x INTEGER) STRICT;", "CREATE TABLE b (y INTEGER) STRICT;"],
};

fn production() -> Env {
    Env::new(Production)
}

fn write(folder: &TempDir, schema: &Schema) -> Result<Connection, OpenError> {
    open(&production(), &folder.path().join("db"), Role::Writer(Check::Full), schema)
}

fn read(folder: &TempDir, schema: &Schema) -> Result<Connection, OpenError> {
    open(&production(), &folder.path().join("db"), Role::Reader, schema)
}

#[test]
fn opens_migrates_and_reopens() {
    let folder = TempDir::new().unwrap();
    let first = Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA };
    let writer = write(&folder, &first).unwrap();
    writer.execute("INSERT INTO a VALUES (1)", ()).unwrap();
    assert!(writer.execute("INSERT INTO b VALUES (1)", ()).is_err(), "the second migration has not run");
    drop(writer);

    let writer = write(&folder, &SCHEMA).unwrap();
    writer.execute("INSERT INTO b VALUES (1)", ()).unwrap();
    let count: i64 = writer.query_row("SELECT count(*) FROM a", (), |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "the first migration ran once and kept its rows");
}

#[test]
fn a_reader_sees_commits_and_cannot_write() {
    let folder = TempDir::new().unwrap();
    let writer = write(&folder, &SCHEMA).unwrap();
    let reader = read(&folder, &SCHEMA).unwrap();
    writer.execute("INSERT INTO a VALUES (7)", ()).unwrap();
    assert_eq!(reader.query_row("SELECT x FROM a", (), |row| row.get::<_, i64>(0)).unwrap(), 7);
    assert!(reader.execute("INSERT INTO a VALUES (8)", ()).is_err());
}

#[test]
fn a_reader_does_not_come_first() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(read(&folder, &SCHEMA), Err(OpenError::Sqlite { .. })), "there is no file");
    drop(write(&folder, &Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA }).unwrap());
    assert!(matches!(read(&folder, &SCHEMA), Err(OpenError::NotMigrated { found: 1, known: 2 })));
}

#[test]
fn refuses_what_a_later_release_wrote() {
    let folder = TempDir::new().unwrap();
    drop(write(&folder, &SCHEMA).unwrap());
    let older = Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA };
    assert!(matches!(write(&folder, &older), Err(OpenError::TooNew { found: 2, known: 1 })));
}

#[test]
fn refuses_another_programs_file() {
    let folder = TempDir::new().unwrap();
    Connection::open(folder.path().join("db")).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(write(&folder, &SCHEMA), Err(OpenError::Foreign { actual: 0, .. })));

    let folder = TempDir::new().unwrap();
    drop(write(&folder, &SCHEMA).unwrap());
    let other = Schema { application_id: 1, ..SCHEMA };
    assert!(matches!(write(&folder, &other), Err(OpenError::Foreign { expected: 1, actual: 0x5155 })));
}

#[test]
fn a_failed_migration_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let broken = Schema { migrations: &["CREATE TABLE a (x);", "CREATE TABLE a (x);"], ..SCHEMA };
    assert!(matches!(write(&folder, &broken), Err(OpenError::Sqlite { action: "migrate the schema", .. })));
    write(&folder, &SCHEMA).unwrap();
}

/// WAL needs a file: this is what refusing to switch looks like.
#[test]
fn refuses_a_database_that_cannot_have_a_log() {
    let refused = open(&production(), Path::new(":memory:"), Role::Writer(Check::Skip), &SCHEMA);
    assert!(
        matches!(&refused, Err(OpenError::Setting { setting: "journal_mode", actual, .. }) if actual == "memory"),
        "{refused:?}"
    );
}

/// Each setting in turn is made to read differently from what it has to be.
#[test]
fn every_read_back_is_compared() {
    let wrong = [
        ("busy_timeout", "1"),
        ("synchronous", "NORMAL"),
        ("fullfsync", "OFF"),
        ("checkpoint_fullfsync", "OFF"),
        ("foreign_keys", "OFF"),
        ("trusted_schema", "ON"),
        ("cell_size_check", "OFF"),
        ("temp_store", "FILE"),
        ("locking_mode", "EXCLUSIVE"),
        ("query_only", "OFF"),
        ("journal_mode", "DELETE"),
    ];
    let named: Vec<_> = settings(Role::Reader).chain([&JOURNAL_MODE]).map(|setting| setting.name).collect();
    assert_eq!(wrong.map(|(name, _)| name).as_slice(), named, "a setting is not tested");

    for (name, value) in wrong {
        let folder = TempDir::new().unwrap();
        drop(write(&folder, &SCHEMA).unwrap());
        let connection = read(&folder, &SCHEMA).unwrap();
        verify(&connection, Role::Reader).unwrap();
        connection.execute_batch(&format!("PRAGMA {name} = {value}")).unwrap();
        let refused = verify(&connection, Role::Reader);
        assert!(
            matches!(refused, Err(OpenError::Setting { setting, .. }) if setting == name),
            "{name} = {value}: {refused:?}"
        );
    }
    for &(name, option, value) in OPTIONS {
        let folder = TempDir::new().unwrap();
        let connection = write(&folder, &SCHEMA).unwrap();
        connection.set_db_config(option, !value).unwrap();
        let refused = verify(&connection, Role::Writer(Check::Skip));
        assert!(matches!(refused, Err(OpenError::Setting { setting, .. }) if setting == name), "{name}: {refused:?}");
    }
}

#[test]
fn a_full_check_finds_damage_that_a_skipped_one_does_not() {
    let folder = TempDir::new().unwrap();
    let schema = Schema { migrations: &["CREATE TABLE a (x INTEGER); CREATE INDEX i ON a (x);"], ..SCHEMA };
    let path = folder.path().join("db");
    let writer = write(&folder, &schema).unwrap();
    writer.execute("INSERT INTO a VALUES (1)", ()).unwrap();
    let page: i64 =
        writer.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'i'", (), |row| row.get(0)).unwrap();
    drop(writer);

    // The number of cells of the index's root page, which is big-endian, becomes zero.
    let mut bytes = std::fs::read(&path).unwrap();
    let header = usize::try_from(page - 1).unwrap() * 4096;
    assert_eq!(bytes[header + 3..header + 5], [0, 1]);
    bytes[header + 4] = 0;
    std::fs::write(&path, bytes).unwrap();

    let examined = open(&production(), &path, Role::Writer(Check::Full), &schema);
    assert!(matches!(examined, Err(OpenError::Damaged { .. })), "{examined:?}");
    open(&production(), &path, Role::Writer(Check::Skip), &schema).unwrap();
}

#[test]
fn only_a_commit_can_have_an_unknown_outcome() {
    let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    let certain = [
        (ffi::SQLITE_BUSY, false),
        (ffi::SQLITE_BUSY_SNAPSHOT, false),
        (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, false),
        (ffi::SQLITE_FULL, true),
    ];
    for (code, is_full) in certain {
        for classify in [SqlFailure::before_commit, SqlFailure::at_commit] {
            let actual = classify(&failure(code));
            assert!(matches!(actual, SqlFailure::NotDone { full, .. } if full == is_full), "{code}: {actual}");
        }
    }
    let doubtful = [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_ERROR,
    ];
    for code in doubtful {
        assert!(!SqlFailure::before_commit(&failure(code)).is_unknown(), "{code}");
        assert!(SqlFailure::at_commit(&failure(code)).is_unknown(), "{code}");
    }
}
