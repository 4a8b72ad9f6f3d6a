-- Backups of disks that their owners encrypt. What was backed up before this was looked at is not known to be.

ALTER TABLE backups ADD COLUMN encrypted BIGINT NOT NULL DEFAULT 0 CHECK (encrypted IN (0, 1));
ALTER TABLE trashed_backups ADD COLUMN encrypted BIGINT NOT NULL DEFAULT 0 CHECK (encrypted IN (0, 1));
