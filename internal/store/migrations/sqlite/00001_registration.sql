-- +goose Up
-- Times are milliseconds since 1970 in UTC; money is whole rupiah; ids are 16 raw bytes. Identifiers, e-mail addresses and
-- phone numbers are compared byte by byte.

CREATE TABLE events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    slug       TEXT NOT NULL,
    code       TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT events_slug UNIQUE (slug),
    CONSTRAINT events_code UNIQUE (code)
);

-- The row that every registration of an event locks first. It is apart from events so that the hot row stays small.
CREATE TABLE event_state (
    event_id INTEGER NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    touched  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE counters (
    event_id INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    ref      TEXT NOT NULL,
    size     INTEGER NULL,
    taken    INTEGER NOT NULL DEFAULT 0,
    held     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (event_id, kind, ref),
    CONSTRAINT counters_not_oversold CHECK (size IS NULL OR taken <= size),
    CONSTRAINT counters_not_negative CHECK (taken >= 0 AND held >= 0)
) WITHOUT ROWID;

CREATE TABLE orders (
    id            BLOB NOT NULL PRIMARY KEY,
    event_id      INTEGER NOT NULL,
    seq           INTEGER NOT NULL,
    number        TEXT NOT NULL,
    status        TEXT NOT NULL,
    version       INTEGER NOT NULL,
    total         INTEGER NOT NULL,
    contact_name  TEXT NOT NULL,
    contact_email TEXT NOT NULL,
    contact_phone TEXT NOT NULL,
    locale        TEXT NOT NULL,
    idem_key      BLOB NOT NULL,
    fingerprint   BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NULL,
    hold_until    INTEGER NULL,
    CONSTRAINT orders_idem_key UNIQUE (idem_key),
    CONSTRAINT orders_event_seq UNIQUE (event_id, seq)
) WITHOUT ROWID;
CREATE INDEX orders_hold_until ON orders (hold_until) WHERE hold_until IS NOT NULL;

CREATE TABLE participants (
    order_id   BLOB NOT NULL,
    position   INTEGER NOT NULL,
    category   TEXT NOT NULL,
    name       TEXT NOT NULL,
    email      TEXT NOT NULL,
    phone      TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    gender     TEXT NOT NULL,
    answers    TEXT NOT NULL,
    tier       INTEGER NOT NULL,
    price      INTEGER NOT NULL,
    PRIMARY KEY (order_id, position)
) WITHOUT ROWID;

-- What one person can hold once per event, as keyed hashes. The primary key is the last word on "one person, one place".
CREATE TABLE claims (
    event_id INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    order_id BLOB NOT NULL,
    PRIMARY KEY (event_id, hash)
) WITHOUT ROWID;

-- What is still to be done: the truth behind the queue in Redis. Rows are deleted when their effect is in the database.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    queue      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    event_id   INTEGER NOT NULL,
    order_id   BLOB NOT NULL,
    version    INTEGER NOT NULL,
    arg        TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL DEFAULT 0, -- when it may be sent (again): the end of its lease or of its back-off
    sends      INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_next ON outbox (queue, next_at);

-- Keys that must outlive APP_KEY, sealed with it.
CREATE TABLE secrets (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
);

-- +goose Down
DROP TABLE secrets;
DROP TABLE outbox;
DROP TABLE claims;
DROP TABLE participants;
DROP TABLE orders;
DROP TABLE counters;
DROP TABLE event_state;
DROP TABLE events;
