-- Backups that are given out as disks over NBD.

CREATE TABLE exports (
    id         TEXT   NOT NULL PRIMARY KEY,
    project_id TEXT   NOT NULL,
    -- A backup that is read cannot vanish.
    backup_id  TEXT   NOT NULL REFERENCES backups (id),
    node       TEXT   NOT NULL,
    writable   BIGINT NOT NULL CHECK (writable IN (0, 1)),
    closing    BIGINT NOT NULL CHECK (closing IN (0, 1)),
    created_at BIGINT NOT NULL
);
CREATE INDEX exports_backup ON exports (backup_id);
CREATE INDEX exports_node ON exports (node);
