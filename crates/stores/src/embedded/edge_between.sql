-- The edges between two nodes, of which either may have very many others. What is read by source is
-- read from this one as well.
CREATE INDEX edge_between ON edge (source, kind, target);
DROP INDEX edge_by_source;
