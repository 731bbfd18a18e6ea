-- +goose Up
-- Waiting rooms. A draw number is 16 bytes that tell nothing about who drew; no person is named in these tables.

-- The row that everything about a room locks first.
CREATE TABLE waitroom_rooms (
    event_id    INTEGER NOT NULL PRIMARY KEY,
    sealed      BLOB NOT NULL, -- the draw's seed, encrypted
    commitment  BLOB NOT NULL,
    drawn       INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    operator    TEXT NOT NULL,
    phase       TEXT NOT NULL,
    root        BLOB NOT NULL, -- zeros until the closed list has been hashed
    list_hash   BLOB NOT NULL,
    closed_at   INTEGER NULL,
    opened_at   INTEGER NULL,
    served      INTEGER NOT NULL,
    let_in      INTEGER NOT NULL,
    stock       TEXT NOT NULL,
    admission   TEXT NOT NULL,
    updated_at  INTEGER NULL,
    holder      TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    fence       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE waitroom_draws (
    event_id INTEGER NOT NULL,
    number   BLOB NOT NULL,
    PRIMARY KEY (event_id, number)
) WITHOUT ROWID;

-- Places behind those who drew; of persons only, others are counted.
CREATE TABLE waitroom_places (
    event_id INTEGER NOT NULL,
    number   BLOB NOT NULL,
    place    INTEGER NOT NULL,
    PRIMARY KEY (event_id, number)
) WITHOUT ROWID;

CREATE TABLE waitroom_passes (
    event_id   INTEGER NOT NULL,
    number     BLOB NOT NULL,
    place      INTEGER NOT NULL,
    key_hash   BLOB NOT NULL, -- zeros until the pass is bound to an idempotency key
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (event_id, number)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE waitroom_passes;
DROP TABLE waitroom_places;
DROP TABLE waitroom_draws;
DROP TABLE waitroom_rooms;
