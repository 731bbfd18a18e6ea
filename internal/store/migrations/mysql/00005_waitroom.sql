-- +goose Up
-- Waiting rooms. A draw number is 16 bytes that tell nothing about who drew; no person is named in these tables.

-- The row that everything about a room locks first.
CREATE TABLE waitroom_rooms (
    event_id    INT NOT NULL PRIMARY KEY,
    sealed      VARBINARY(255) NOT NULL, -- the draw's seed, encrypted
    commitment  BINARY(32) NOT NULL,
    drawn       BIGINT NOT NULL,
    late        BIGINT NOT NULL,
    operator    TEXT NOT NULL,
    phase       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    root        BINARY(32) NOT NULL, -- zeros until the closed list has been hashed
    list_hash   BINARY(32) NOT NULL,
    closed_at   BIGINT NULL,
    opened_at   BIGINT NULL,
    served      BIGINT NOT NULL,
    let_in      BIGINT NOT NULL,
    stock       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    admission   TEXT NOT NULL,
    updated_at  BIGINT NULL,
    holder      VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    lease_until BIGINT NOT NULL,
    fence       BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE waitroom_draws (
    event_id INT NOT NULL,
    number   BINARY(16) NOT NULL,
    PRIMARY KEY (event_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Places behind those who drew; of persons only, others are counted.
CREATE TABLE waitroom_places (
    event_id INT NOT NULL,
    number   BINARY(16) NOT NULL,
    place    BIGINT NOT NULL,
    PRIMARY KEY (event_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE waitroom_passes (
    event_id   INT NOT NULL,
    number     BINARY(16) NOT NULL,
    place      BIGINT NOT NULL,
    key_hash   BINARY(16) NOT NULL, -- zeros until the pass is bound to an idempotency key
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (event_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE waitroom_passes;
DROP TABLE waitroom_places;
DROP TABLE waitroom_draws;
DROP TABLE waitroom_rooms;
