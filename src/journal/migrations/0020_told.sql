-- What the channel was told once and is not told again, by name.
CREATE TABLE told (
    what TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL
) STRICT;
