-- The kill switch of writes: every move of it, hash-chained like the events of an incident. The last row is in force.
CREATE TABLE switches (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    previous BLOB    NOT NULL,
    hash     BLOB    NOT NULL
);
