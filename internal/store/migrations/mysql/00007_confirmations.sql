-- +goose Up
-- Codes that were mailed to those who want a number in a waiting room where one person has one. Neither a code nor an address
-- can be read here: the code follows from a key that is not in the database, and the address is encrypted. Rows go an hour
-- after their code has lapsed.
CREATE TABLE waitroom_confirmations (
    id         BINARY(16) NOT NULL PRIMARY KEY,
    event_id   INT NOT NULL,
    sealed     VARBINARY(400) NOT NULL,
    locale     VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    round      INT NOT NULL,
    sends      INT NOT NULL,
    sent_at    BIGINT NOT NULL,
    attempts   INT NOT NULL,
    expires_at BIGINT NOT NULL,
    KEY confirmations_expiry (event_id, expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE waitroom_confirmations;
