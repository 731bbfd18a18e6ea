-- +goose Up
CREATE TABLE tickets (
    order_id  BINARY(16) NOT NULL,
    position  SMALLINT NOT NULL,
    event_id  INT NOT NULL,
    serial    INT NOT NULL,
    issued_at BIGINT NOT NULL,
    void      TINYINT NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, position)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last invoice number of each seller and year: the row that numbering locks.
CREATE TABLE invoice_numbers (
    organiser VARCHAR(160) NOT NULL,
    year      INT NOT NULL,
    last      INT NOT NULL,
    PRIMARY KEY (organiser, year)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE invoices (
    organiser VARCHAR(160) NOT NULL,
    year      INT NOT NULL,
    number    INT NOT NULL,
    order_id  BINARY(16) NOT NULL,
    issued_at BIGINT NOT NULL,
    PRIMARY KEY (organiser, year, number),
    UNIQUE KEY invoices_order (order_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE documents (
    order_id BINARY(16) NOT NULL,
    kind     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version  INT NOT NULL,
    name     VARCHAR(120) NOT NULL,
    content  MEDIUMBLOB NOT NULL,
    PRIMARY KEY (order_id, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How every message ended, by its Message-ID, which repeats when a job does.
CREATE TABLE mail_deliveries (
    message_id VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    kind       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    outcome    VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    detail     VARCHAR(255) NOT NULL,
    ended_at   BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE mail_suppressions (
    email    VARCHAR(254) NOT NULL PRIMARY KEY,
    reason   VARCHAR(255) NOT NULL,
    since    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE mail_suppressions;
DROP TABLE mail_deliveries;
DROP TABLE documents;
DROP TABLE invoices;
DROP TABLE invoice_numbers;
DROP TABLE tickets;
