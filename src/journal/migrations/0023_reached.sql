-- One row: how often something was stored that was answered, and when last; the mark beside the journal says the same
-- (journal/reached). And the name by which the journal was opened last: SQLite names the WAL after it.
CREATE TABLE reached (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    name  TEXT
);
INSERT INTO reached (id, count, at) VALUES (1, 0, 0);
