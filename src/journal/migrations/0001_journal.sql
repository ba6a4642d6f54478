-- Moments are microseconds since 1970 (UTC). Hashes and digests are SHA-256.

CREATE TABLE incidents (
    id        INTEGER PRIMARY KEY,
    key       TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    life      TEXT    NOT NULL CHECK (life IN ('open', 'clearing', 'closed')),
    quiet     INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    -- When the source last said that it fires: a column and no event, since it changes all the time.
    last_seen INTEGER NOT NULL,
    -- The state as its events made it, so that it need not be replayed for each request.
    state     TEXT    NOT NULL
);
CREATE INDEX incidents_by_key ON incidents (key, id);
-- Two Alertmanagers that send the same new group at once open one incident, not two.
CREATE UNIQUE INDEX incidents_live_key ON incidents (key) WHERE life <> 'closed';

CREATE TABLE events (
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    type     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    previous BLOB    NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (incident, seq)
) WITHOUT ROWID;

CREATE TABLE effects (
    id            INTEGER PRIMARY KEY,
    incident      INTEGER NOT NULL,
    key           TEXT    NOT NULL,
    slot          TEXT,
    room          TEXT    NOT NULL,
    priority      INTEGER NOT NULL,
    due           INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('due', 'claimed', 'done', 'dead')),
    claimed_until INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT,
    version       INTEGER NOT NULL,
    work          TEXT    NOT NULL,
    UNIQUE (incident, key)
);
CREATE INDEX effects_to_do ON effects (room, priority, due) WHERE state = 'due';
CREATE INDEX effects_by_due ON effects (due) WHERE state IN ('due', 'claimed');
CREATE INDEX effects_by_slot ON effects (incident, slot) WHERE state IN ('due', 'claimed');

CREATE TABLE deliveries (
    incident INTEGER NOT NULL,
    face     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    slot     TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (incident, face, channel, slot)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_message ON deliveries (channel, message);

-- Answers by the platform's own key of a request, so that a repeat gets the first answer again.
CREATE TABLE requests (
    key    TEXT    PRIMARY KEY,
    at     INTEGER NOT NULL,
    answer TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE evidence (
    digest   TEXT    PRIMARY KEY,
    incident INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB    NOT NULL
) WITHOUT ROWID;

-- Objects of the cluster that a started step holds, across incidents.
CREATE TABLE locks (
    name     TEXT    PRIMARY KEY,
    incident INTEGER NOT NULL,
    fix      INTEGER NOT NULL
) WITHOUT ROWID;

-- Which incidents were seen in which group of Alertmanager, for groups whose body was cut.
CREATE TABLE groups (
    group_key TEXT    NOT NULL,
    incident  INTEGER NOT NULL,
    PRIMARY KEY (group_key, incident)
) WITHOUT ROWID;
