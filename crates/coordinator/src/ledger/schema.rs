//! The tables.

/// What makes an empty file into a ledger, one step for each version of the schema.
pub const MIGRATIONS: &[&str] = &["
    -- What the file as a whole is: its id, and how often a coordinator started on it.
    CREATE TABLE setting (
        name     TEXT PRIMARY KEY,
        value    TEXT NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- One row a transaction, from its intent on. The outcome is written once, together with
    -- the running time at which that was: age counts in it, and never in UTC.
    CREATE TABLE log (
        incarnation INTEGER NOT NULL,
        serial      INTEGER NOT NULL,
        key         TEXT NOT NULL UNIQUE,
        hash        TEXT NOT NULL,
        patch       TEXT NOT NULL,
        slots       TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('intended', 'committed', 'aborted')),
        reason      TEXT CHECK ((reason IS NOT NULL) = (state = 'aborted')),
        settled_ms  INTEGER CHECK ((settled_ms IS NOT NULL) = (state <> 'intended')),
        checksum    INTEGER NOT NULL,
        PRIMARY KEY (incarnation, serial)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX log_unresolved ON log (incarnation, serial) WHERE state = 'intended';

    CREATE TABLE entity (
        id         TEXT PRIMARY KEY,
        kind       TEXT NOT NULL,
        properties TEXT NOT NULL,
        version    INTEGER NOT NULL CHECK (version > 0),
        tx         TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE link (
        source     TEXT NOT NULL,
        kind       TEXT NOT NULL,
        target     TEXT NOT NULL,
        properties TEXT NOT NULL,
        tx         TEXT NOT NULL,
        PRIMARY KEY (source, kind, target)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX link_target ON link (target);

    CREATE TABLE event (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        resource TEXT NOT NULL,
        sequence INTEGER NOT NULL CHECK (sequence > 0),
        tx       TEXT NOT NULL,
        payload  TEXT NOT NULL,
        UNIQUE (resource, sequence)
    ) STRICT;

    CREATE TABLE audit (
        entry  INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms  INTEGER NOT NULL,
        tx     TEXT NOT NULL,
        action TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_tx ON audit (tx);
"];
