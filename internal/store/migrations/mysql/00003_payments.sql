-- +goose Up
CREATE TABLE payment_attempts (
    order_id       BINARY(16) NOT NULL,
    n              INT NOT NULL,
    provider_id    VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount         BIGINT NOT NULL,
    state          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token          VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    redirect_url   VARCHAR(500) NOT NULL,
    started_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    provider       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    transaction_id VARCHAR(64) NOT NULL,
    channel        VARCHAR(32) NOT NULL,
    on_us          TINYINT NOT NULL,
    paid_at        BIGINT NULL,
    received       BIGINT NOT NULL,
    reversed       BIGINT NOT NULL,
    refunded       BIGINT NOT NULL,
    by_hand        BIGINT NOT NULL,
    charged_back   BIGINT NOT NULL,
    asked_at       BIGINT NULL,
    asks           INT NOT NULL,
    ask_at         BIGINT NULL,
    PRIMARY KEY (order_id, n),
    UNIQUE KEY payment_attempts_provider_id (provider_id),
    KEY payment_attempts_ask_at (ask_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE payment_refunds (
    order_id   BINARY(16) NOT NULL,
    n          INT NOT NULL,
    refund_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt    INT NOT NULL,
    amount     BIGINT NOT NULL,
    reason     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    asked_by   VARCHAR(254) NOT NULL,
    note       VARCHAR(500) NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    tries      INT NOT NULL,
    send_at    BIGINT NULL, -- not_before while it is to be sent
    PRIMARY KEY (order_id, n),
    KEY payment_refunds_send_at (send_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The ledger: rows are only ever added.
CREATE TABLE payment_entries (
    order_id     BINARY(16) NOT NULL,
    n            INT NOT NULL,
    attempt      INT NOT NULL,
    from_account VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    to_account   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount       BIGINT NOT NULL,
    reason       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    booked_at    BIGINT NOT NULL,
    PRIMARY KEY (order_id, n)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What a person must look at; without personal data.
CREATE TABLE payment_alerts (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id    BINARY(16) NOT NULL,
    kind        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt     INT NOT NULL,
    amount      BIGINT NOT NULL,
    detail      VARCHAR(500) NOT NULL,
    created_at  BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Paid orders that wait for a place, in the order in which they will get one.
CREATE TABLE payment_unplaced (
    event_id INT NOT NULL,
    since    BIGINT NOT NULL,
    order_id BINARY(16) NOT NULL,
    PRIMARY KEY (event_id, since, order_id),
    UNIQUE KEY payment_unplaced_order (order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE payment_notifications (
    hash        CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    provider_id VARCHAR(64) NOT NULL,
    body        TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    verdict     VARCHAR(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE payment_notifications;
DROP TABLE payment_unplaced;
DROP TABLE payment_alerts;
DROP TABLE payment_entries;
DROP TABLE payment_refunds;
DROP TABLE payment_attempts;
