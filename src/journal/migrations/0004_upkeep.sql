-- One row: the newest proof that the journal can commit, for whoever watches the bot from outside.
CREATE TABLE beats (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
-- Old evidence is found without reading its bodies.
CREATE INDEX evidence_by_at ON evidence (at, incident);
