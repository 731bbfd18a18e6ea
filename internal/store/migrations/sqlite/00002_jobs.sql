-- +goose Up
-- Whether next_at is the end of a lease (the job was sent to the queue in Redis) and not of a delay. It keeps a wiped Redis
-- apart from a provider's back-off: leases are then void at once, delays are not.
ALTER TABLE outbox ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;

-- Why an attempt ended in an error. sends tells the attempts of one job apart, over retries by hand too.
CREATE TABLE job_errors (
    job_id  INTEGER NOT NULL,
    sends   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (job_id, sends)
) WITHOUT ROWID;

-- Jobs that cannot be done, until a person retries or discards them; discarded ones stay, with the reason.
CREATE TABLE dead_letters (
    id           INTEGER NOT NULL PRIMARY KEY, -- the job's id in the outbox, to which a retry returns it
    queue        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    event_id     INTEGER NOT NULL,
    order_id     BLOB NOT NULL,
    version      INTEGER NOT NULL,
    arg          TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    sends        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    died_at      INTEGER NOT NULL,
    discarded_at INTEGER NULL,
    reason       TEXT NOT NULL DEFAULT '' -- why it was discarded
);
CREATE INDEX dead_letters_kind ON dead_letters (kind, discarded_at);

-- +goose Down
DROP TABLE dead_letters;
DROP TABLE job_errors;
ALTER TABLE outbox DROP COLUMN leased;
