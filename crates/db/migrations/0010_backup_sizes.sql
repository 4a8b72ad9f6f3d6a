-- What a disk's backup costs, counted from the repository and kept here so that a list needs no
-- reading there. It can be counted again at any time.

CREATE TABLE backup_sizes (
    backup_id     TEXT   NOT NULL PRIMARY KEY REFERENCES backups (id) ON DELETE CASCADE,
    -- Goes up with everything that changes what backups of the disk cost ...
    changes       BIGINT NOT NULL,
    -- ... and the numbers below are those of this one; another number: they are to be counted.
    counted       BIGINT NOT NULL,
    used_bytes    BIGINT,
    changed_bytes BIGINT,
    unique_bytes  BIGINT,
    shared_bytes  BIGINT
);
CREATE INDEX backup_sizes_due ON backup_sizes (backup_id) WHERE counted <> changes;
CREATE INDEX backups_resource ON backups (project_id, resource_id);

INSERT INTO backup_sizes (backup_id, changes, counted)
    SELECT id, 1, 0 FROM backups WHERE content IS NOT NULL;
