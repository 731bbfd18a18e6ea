-- +goose Up
-- Times are milliseconds since 1970 in UTC; money is whole rupiah; ids are 16 raw bytes. Identifiers, e-mail addresses and
-- phone numbers are compared byte by byte, as SQLite does: a case-insensitive collation would make two people one.

CREATE TABLE events (
    id         INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    slug       VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code       VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    definition LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE KEY events_slug (slug),
    UNIQUE KEY events_code (code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The row that every registration of an event locks first. It is apart from events so that the hot row stays small.
CREATE TABLE event_state (
    event_id INT NOT NULL PRIMARY KEY,
    revision INT NOT NULL,
    last_seq BIGINT NOT NULL,
    touched  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE counters (
    event_id INT NOT NULL,
    kind     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    ref      VARCHAR(160) NOT NULL,
    size     INT NULL,
    taken    INT NOT NULL DEFAULT 0,
    held     INT NOT NULL DEFAULT 0,
    PRIMARY KEY (event_id, kind, ref),
    CONSTRAINT counters_not_oversold CHECK (size IS NULL OR taken <= size),
    CONSTRAINT counters_not_negative CHECK (taken >= 0 AND held >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE orders (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    event_id      INT NOT NULL,
    seq           BIGINT NOT NULL,
    number        VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version       INT NOT NULL,
    total         BIGINT NOT NULL,
    contact_name  VARCHAR(160) NOT NULL,
    contact_email VARCHAR(254) NOT NULL,
    contact_phone VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    locale        CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idem_key      BINARY(16) NOT NULL,
    fingerprint   BINARY(16) NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NULL,
    hold_until    BIGINT NULL,
    UNIQUE KEY orders_idem_key (idem_key),
    UNIQUE KEY orders_event_seq (event_id, seq),
    KEY orders_hold_until (hold_until)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE participants (
    order_id   BINARY(16) NOT NULL,
    position   SMALLINT NOT NULL,
    category   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name       VARCHAR(160) NOT NULL,
    email      VARCHAR(254) NOT NULL,
    phone      VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    birth_date CHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    gender     VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    answers    TEXT NOT NULL,
    tier       SMALLINT NOT NULL,
    price      BIGINT NOT NULL,
    PRIMARY KEY (order_id, position)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What one person can hold once per event, as keyed hashes. The primary key is the last word on "one person, one place".
CREATE TABLE claims (
    event_id INT NOT NULL,
    hash     BINARY(16) NOT NULL,
    order_id BINARY(16) NOT NULL,
    PRIMARY KEY (event_id, hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What is still to be done: the truth behind the queue in Redis. Rows are deleted when their effect is in the database.
CREATE TABLE outbox (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    queue      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_id   INT NOT NULL,
    order_id   BINARY(16) NOT NULL,
    version    INT NOT NULL,
    arg        VARCHAR(255) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL DEFAULT 0, -- when it may be sent (again): the end of its lease or of its back-off
    sends      INT NOT NULL DEFAULT 0,
    attempts   INT NOT NULL DEFAULT 0,
    KEY outbox_next (queue, next_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Keys that must outlive APP_KEY, sealed with it.
CREATE TABLE secrets (
    name   VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    sealed VARBINARY(255) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE secrets;
DROP TABLE outbox;
DROP TABLE claims;
DROP TABLE participants;
DROP TABLE orders;
DROP TABLE counters;
DROP TABLE event_state;
DROP TABLE events;
