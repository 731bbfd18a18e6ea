-- +goose Up
-- Codes that were mailed to those who want a number in a waiting room where one person has one. Neither a code nor an address
-- can be read here: the code follows from a key that is not in the database, and the address is encrypted. Rows go an hour
-- after their code has lapsed.
CREATE TABLE waitroom_confirmations (
    id         BLOB NOT NULL PRIMARY KEY,
    event_id   INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    locale     TEXT NOT NULL,
    round      INTEGER NOT NULL,
    sends      INTEGER NOT NULL,
    sent_at    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX confirmations_expiry ON waitroom_confirmations (event_id, expires_at);

-- +goose Down
DROP TABLE waitroom_confirmations;
