-- +goose Up
CREATE TABLE tickets (
    order_id  BLOB NOT NULL,
    position  INTEGER NOT NULL,
    event_id  INTEGER NOT NULL,
    serial    INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    void      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, position)
) WITHOUT ROWID;

-- The last invoice number of each seller and year: the row that numbering locks.
CREATE TABLE invoice_numbers (
    organiser TEXT NOT NULL,
    year      INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    PRIMARY KEY (organiser, year)
) WITHOUT ROWID;

CREATE TABLE invoices (
    organiser TEXT NOT NULL,
    year      INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    order_id  BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    PRIMARY KEY (organiser, year, number),
    CONSTRAINT invoices_order UNIQUE (order_id)
) WITHOUT ROWID;

CREATE TABLE documents (
    order_id BLOB NOT NULL,
    kind     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    name     TEXT NOT NULL,
    content  BLOB NOT NULL,
    PRIMARY KEY (order_id, kind)
) WITHOUT ROWID;

-- How every message ended, by its Message-ID, which repeats when a job does.
CREATE TABLE mail_deliveries (
    message_id TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    detail     TEXT NOT NULL,
    ended_at   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE mail_suppressions (
    email    TEXT NOT NULL PRIMARY KEY,
    reason   TEXT NOT NULL,
    since    INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE mail_suppressions;
DROP TABLE mail_deliveries;
DROP TABLE documents;
DROP TABLE invoices;
DROP TABLE invoice_numbers;
DROP TABLE tickets;
