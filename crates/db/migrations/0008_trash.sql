-- Backups that were deleted and can be taken back. What they need stays in the repository, which
-- knows of the trash itself: `cbr repo rebuild` fills these tables again.
-- Rows are as they were in `backups` and `checkpoints`; they refer to nothing, because the vault may
-- be gone.

CREATE TABLE trashed_backups (
    id                TEXT   NOT NULL PRIMARY KEY,
    project_id        TEXT   NOT NULL,
    vault_id          TEXT   NOT NULL,
    checkpoint_id     TEXT   NOT NULL,
    parent_id         TEXT   REFERENCES trashed_backups (id) ON DELETE CASCADE,
    position          BIGINT NOT NULL,
    root_resource_id  TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    description       TEXT   NOT NULL,
    resource_id       TEXT   NOT NULL,
    resource_name     TEXT   NOT NULL,
    resource_kind     TEXT   NOT NULL,
    resource_size_gib BIGINT NOT NULL CHECK (resource_size_gib >= 0),
    resource_az       TEXT   NOT NULL,
    content           TEXT   NOT NULL,
    logical_bytes     BIGINT NOT NULL CHECK (logical_bytes >= 0),
    incremental       BIGINT NOT NULL CHECK (incremental IN (0, 1)),
    auto_trigger      BIGINT NOT NULL CHECK (auto_trigger IN (0, 1)),
    system_disk       BIGINT NOT NULL CHECK (system_disk IN (0, 1)),
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    protected_at      BIGINT,
    expired_at        BIGINT,
    -- When it was deleted; after a loss of the database, when that was noticed.
    trashed_at        BIGINT NOT NULL
);
CREATE INDEX trashed_backups_project ON trashed_backups (project_id, trashed_at, id)
    WHERE parent_id IS NULL;
CREATE INDEX trashed_backups_due ON trashed_backups (trashed_at, id) WHERE parent_id IS NULL;
CREATE INDEX trashed_backups_checkpoint ON trashed_backups (checkpoint_id);
CREATE INDEX trashed_backups_parent ON trashed_backups (parent_id);

-- The runs they were made in.
CREATE TABLE trashed_checkpoints (
    id             TEXT   NOT NULL PRIMARY KEY,
    project_id     TEXT   NOT NULL,
    vault_id       TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    description    TEXT   NOT NULL,
    retention_days BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    skipped        TEXT   NOT NULL
);
