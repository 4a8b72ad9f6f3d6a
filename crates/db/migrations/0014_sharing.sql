-- Backups that are shared with other projects. The content stays the owner's: a row here lets a
-- project read it, and goes with the backup.

CREATE TABLE backup_members (
    id              TEXT   NOT NULL PRIMARY KEY,
    backup_id       TEXT   NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    dest_project_id TEXT   NOT NULL,
    status          TEXT   NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
    -- The recipient's vault, which counts it.
    vault_id        TEXT   REFERENCES vaults (id),
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT,
    UNIQUE (backup_id, dest_project_id),
    CHECK ((status = 'accepted') = (vault_id IS NOT NULL))
);
CREATE INDEX backup_members_recipient ON backup_members (dest_project_id, backup_id);
CREATE INDEX backup_members_vault ON backup_members (vault_id) WHERE vault_id IS NOT NULL;

-- Disks that a project made and that are not the provider's project's. What is not listed is.
CREATE TABLE disk_owners (
    resource_id TEXT NOT NULL PRIMARY KEY,
    project_id  TEXT NOT NULL
);

-- How a resource was set up when it was backed up (contract C34). NULL: made before this was noted.
ALTER TABLE backups ADD COLUMN metadata TEXT;
ALTER TABLE trashed_backups ADD COLUMN metadata TEXT;
