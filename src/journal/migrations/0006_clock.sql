-- One row: what the clock showed when it was last looked at, so that the next process sees whether it was set meanwhile.
CREATE TABLE clock (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT    NOT NULL
);
