-- +goose Up
CREATE INDEX tickets_event ON tickets (event_id);

-- A mailing to the participants of an event: position is how far it is planned.
CREATE TABLE broadcasts (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_id   INT NOT NULL,
    subject_id VARCHAR(200) NOT NULL,
    subject_en VARCHAR(200) NOT NULL,
    body_id    MEDIUMTEXT NOT NULL,
    body_en    MEDIUMTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    chunks     INT NOT NULL DEFAULT 0,
    planned    INT NOT NULL DEFAULT 0,
    position   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    sent       INT NOT NULL DEFAULT 0,
    skipped    INT NOT NULL DEFAULT 0,
    bounced    INT NOT NULL DEFAULT 0,
    failed     INT NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE broadcast_chunks (
    broadcast_id BIGINT NOT NULL,
    n            INT NOT NULL,
    after_cursor VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    last_cursor  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    recipients   INT NOT NULL,
    done_at      BIGINT NULL,
    PRIMARY KEY (broadcast_id, n)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who wants no more mailings about an event; mails about their own order go on.
CREATE TABLE mail_optouts (
    event_id INT NOT NULL,
    email    VARCHAR(254) NOT NULL,
    since    BIGINT NOT NULL,
    PRIMARY KEY (event_id, email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE mail_optouts;
DROP TABLE broadcast_chunks;
DROP TABLE broadcasts;
DROP INDEX tickets_event ON tickets;
