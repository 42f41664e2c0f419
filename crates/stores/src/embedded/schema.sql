-- Ids grow and are never used twice: a handle of something deleted names nothing.
CREATE TABLE node (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    properties TEXT NOT NULL -- a JSON object without nulls
) STRICT;

CREATE TABLE label (
    label TEXT NOT NULL,
    node INTEGER NOT NULL REFERENCES node (id),
    PRIMARY KEY (label, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_by_node ON label (node);

CREATE TABLE edge (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL REFERENCES node (id),
    kind TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES node (id),
    properties TEXT NOT NULL -- a JSON object without nulls
) STRICT;
CREATE INDEX edge_by_source ON edge (source, kind);
CREATE INDEX edge_by_target ON edge (target, kind);

CREATE TABLE uniqueness (
    label TEXT NOT NULL,
    property TEXT NOT NULL,
    PRIMARY KEY (label, property)
) STRICT, WITHOUT ROWID;

-- Who holds each value that is under a constraint: the primary key is the constraint.
CREATE TABLE unique_value (
    label TEXT NOT NULL,
    property TEXT NOT NULL,
    value TEXT NOT NULL, -- JSON, the same for equal values
    node INTEGER NOT NULL REFERENCES node (id),
    PRIMARY KEY (label, property, value),
    FOREIGN KEY (label, property) REFERENCES uniqueness (label, property)
) STRICT, WITHOUT ROWID;
CREATE INDEX unique_value_by_node ON unique_value (node);
