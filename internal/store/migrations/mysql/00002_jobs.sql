-- +goose Up
-- Whether next_at is the end of a lease (the job was sent to the queue in Redis) and not of a delay. It keeps a wiped Redis
-- apart from a provider's back-off: leases are then void at once, delays are not.
ALTER TABLE outbox ADD COLUMN leased TINYINT NOT NULL DEFAULT 0;

-- Why an attempt ended in an error. sends tells the attempts of one job apart, over retries by hand too.
CREATE TABLE job_errors (
    job_id  BIGINT NOT NULL,
    sends   INT NOT NULL,
    attempt INT NOT NULL,
    at      BIGINT NOT NULL,
    text    VARCHAR(500) NOT NULL,
    PRIMARY KEY (job_id, sends)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Jobs that cannot be done, until a person retries or discards them; discarded ones stay, with the reason.
CREATE TABLE dead_letters (
    id           BIGINT NOT NULL PRIMARY KEY, -- the job's id in the outbox, to which a retry returns it
    queue        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_id     INT NOT NULL,
    order_id     BINARY(16) NOT NULL,
    version      INT NOT NULL,
    arg          VARCHAR(255) NOT NULL,
    created_at   BIGINT NOT NULL,
    sends        INT NOT NULL,
    attempts     INT NOT NULL,
    died_at      BIGINT NOT NULL,
    discarded_at BIGINT NULL,
    reason       VARCHAR(500) NOT NULL DEFAULT '', -- why it was discarded
    KEY dead_letters_kind (kind, discarded_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE job_errors;
ALTER TABLE outbox DROP COLUMN leased;
