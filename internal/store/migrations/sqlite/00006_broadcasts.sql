-- +goose Up
CREATE INDEX tickets_event ON tickets (event_id);

-- A mailing to the participants of an event: position is how far it is planned.
CREATE TABLE broadcasts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   INTEGER NOT NULL,
    subject_id TEXT NOT NULL,
    subject_en TEXT NOT NULL,
    body_id    TEXT NOT NULL,
    body_en    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    chunks     INTEGER NOT NULL DEFAULT 0,
    planned    INTEGER NOT NULL DEFAULT 0,
    position   TEXT NOT NULL DEFAULT '',
    sent       INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    bounced    INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE broadcast_chunks (
    broadcast_id INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    after_cursor TEXT NOT NULL,
    last_cursor  TEXT NOT NULL,
    recipients   INTEGER NOT NULL,
    done_at      INTEGER NULL,
    PRIMARY KEY (broadcast_id, n)
) WITHOUT ROWID;

-- Who wants no more mailings about an event; mails about their own order go on.
CREATE TABLE mail_optouts (
    event_id INTEGER NOT NULL,
    email    TEXT NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (event_id, email)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE mail_optouts;
DROP TABLE broadcast_chunks;
DROP TABLE broadcasts;
DROP INDEX tickets_event;
