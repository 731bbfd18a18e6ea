-- +goose Up
CREATE TABLE payment_attempts (
    order_id       BLOB NOT NULL,
    n              INTEGER NOT NULL,
    provider_id    TEXT NOT NULL,
    amount         INTEGER NOT NULL,
    state          TEXT NOT NULL,
    token          TEXT NOT NULL,
    redirect_url   TEXT NOT NULL,
    started_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    provider       TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    channel        TEXT NOT NULL,
    on_us          INTEGER NOT NULL,
    paid_at        INTEGER NULL,
    received       INTEGER NOT NULL,
    reversed       INTEGER NOT NULL,
    refunded       INTEGER NOT NULL,
    by_hand        INTEGER NOT NULL,
    charged_back   INTEGER NOT NULL,
    asked_at       INTEGER NULL,
    asks           INTEGER NOT NULL,
    ask_at         INTEGER NULL,
    PRIMARY KEY (order_id, n),
    CONSTRAINT payment_attempts_provider_id UNIQUE (provider_id)
) WITHOUT ROWID;
CREATE INDEX payment_attempts_ask_at ON payment_attempts (ask_at);

CREATE TABLE payment_refunds (
    order_id   BLOB NOT NULL,
    n          INTEGER NOT NULL,
    refund_key TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    state      TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    note       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    send_at    INTEGER NULL, -- not_before while it is to be sent
    PRIMARY KEY (order_id, n)
) WITHOUT ROWID;
CREATE INDEX payment_refunds_send_at ON payment_refunds (send_at);

-- The ledger: rows are only ever added.
CREATE TABLE payment_entries (
    order_id     BLOB NOT NULL,
    n            INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    from_account TEXT NOT NULL,
    to_account   TEXT NOT NULL,
    amount       INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    booked_at    INTEGER NOT NULL,
    PRIMARY KEY (order_id, n)
) WITHOUT ROWID;

-- What a person must look at; without personal data.
CREATE TABLE payment_alerts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id    BLOB NOT NULL,
    kind        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    amount      INTEGER NOT NULL,
    detail      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
);

-- Paid orders that wait for a place, in the order in which they will get one.
CREATE TABLE payment_unplaced (
    event_id INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    PRIMARY KEY (event_id, since, order_id),
    CONSTRAINT payment_unplaced_order UNIQUE (order_id)
) WITHOUT ROWID;

CREATE TABLE payment_notifications (
    hash        TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL,
    body        TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    verdict     TEXT NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE payment_notifications;
DROP TABLE payment_unplaced;
DROP TABLE payment_alerts;
DROP TABLE payment_entries;
DROP TABLE payment_refunds;
DROP TABLE payment_attempts;
