-- +goose Up
-- Answers grow when they are written as JSON: 50 questions with 500 characters each that need an escape are 150 kB, and TEXT
-- holds 64 KiB.
ALTER TABLE participants MODIFY answers MEDIUMTEXT NOT NULL;

-- +goose Down
ALTER TABLE participants MODIFY answers TEXT NOT NULL;
