//! The tables.

/// What makes an empty file into a ledger, one step for each version of the schema.
pub const MIGRATIONS: &[&str] = &[
    "
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

    -- The history of entities and links.
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
",
    "
    -- What the outside world calls an entity: one of each kind has it at most.
    ALTER TABLE entity ADD COLUMN key TEXT;
    CREATE UNIQUE INDEX entity_key ON entity (kind, key) WHERE key IS NOT NULL;
",
    "
    -- The streams of events, which never expire. The body is the event as it is sent. Positions are
    -- given in the order of commits, and by a transaction of SQLite that ends in one: there is no gap.
    CREATE TABLE stored_event (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id       TEXT NOT NULL UNIQUE,
        resource TEXT NOT NULL,
        sequence INTEGER NOT NULL CHECK (sequence > 0),
        hash     TEXT NOT NULL,
        body     TEXT NOT NULL,
        tx       TEXT,
        checksum INTEGER NOT NULL,
        UNIQUE (resource, sequence)
    ) STRICT;
",
];

/// The table of the records of the log that are damaged. It is made with the first of them.
pub(super) const ISOLATED: &str = "
    -- Records of the log whose checksums do not match, with what is known of their transactions.
    -- What became of it, its fields as they were found, and how a person has dealt with it are JSON.
    CREATE TABLE IF NOT EXISTS isolated (
        incarnation INTEGER NOT NULL,
        serial      INTEGER NOT NULL,
        key         TEXT NOT NULL,
        why         TEXT NOT NULL,
        fate        TEXT NOT NULL,
        fields      TEXT NOT NULL,
        found_ms    INTEGER NOT NULL,
        ending      TEXT,
        PRIMARY KEY (incarnation, serial)
    ) STRICT, WITHOUT ROWID;
";

/// The table of the cases that a person has to decide. It is made with the first case: hardly
/// any ledger ever has one, and none is written to for having started with this release.
pub(super) const CASES: &str = "
    -- Differences between the stores that a person has to decide about. The subject, what was
    -- found and how it ended are JSON; one that has not ended is open, and there is one at most
    -- for each subject.
    CREATE TABLE IF NOT EXISTS operator_case (
        number   INTEGER PRIMARY KEY AUTOINCREMENT,
        subject  TEXT NOT NULL,
        evidence TEXT NOT NULL,
        reason   TEXT NOT NULL,
        found_ms INTEGER NOT NULL,
        ending   TEXT
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS operator_case_open ON operator_case (subject) WHERE ending IS NULL;
";
