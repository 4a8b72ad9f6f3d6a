-- Vaults, what is bound to them, checkpoints and backups.
-- Rebuilt from the store when lost (P8), so nothing here refers to identity.

CREATE TABLE vaults (
    id                 TEXT   NOT NULL PRIMARY KEY,
    project_id         TEXT   NOT NULL,
    user_id            TEXT   NOT NULL,
    name               TEXT   NOT NULL,
    description        TEXT,
    kind               TEXT   NOT NULL,
    consistency        TEXT   NOT NULL,
    size_gib           BIGINT NOT NULL CHECK (size_gib > 0),
    status             TEXT   NOT NULL
        CHECK (status IN ('available', 'lock', 'deleting', 'frozen', 'error')),
    enterprise_project TEXT   NOT NULL,
    auto_bind          BIGINT NOT NULL CHECK (auto_bind IN (0, 1)),
    bind_rules         TEXT   NOT NULL,
    auto_expand        BIGINT NOT NULL CHECK (auto_expand IN (0, 1)),
    smn_notify         BIGINT NOT NULL CHECK (smn_notify IN (0, 1)),
    threshold          BIGINT NOT NULL CHECK (threshold BETWEEN 1 AND 100),
    locked             BIGINT NOT NULL CHECK (locked IN (0, 1)),
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL
);
CREATE INDEX vaults_project ON vaults (project_id, created_at, id);

CREATE TABLE vault_tags (
    vault_id TEXT   NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
    key      TEXT   NOT NULL,
    value    TEXT   NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (vault_id, key)
);

CREATE TABLE vault_resources (
    -- A resource is in at most one vault (RES-02).
    resource_id     TEXT   NOT NULL PRIMARY KEY,
    vault_id        TEXT   NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
    position        BIGINT NOT NULL,
    kind            TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    size_gib        BIGINT NOT NULL CHECK (size_gib >= 0),
    protect_status  TEXT   NOT NULL
        CHECK (protect_status IN ('available', 'error', 'protecting', 'restoring', 'removing')),
    exclude_volumes TEXT   NOT NULL,
    auto_protect    BIGINT NOT NULL CHECK (auto_protect IN (0, 1)),
    chain_id        TEXT   NOT NULL,
    epoch           BIGINT NOT NULL CHECK (epoch >= 0),
    UNIQUE (vault_id, position)
);

CREATE TABLE checkpoints (
    id             TEXT   NOT NULL PRIMARY KEY,
    project_id     TEXT   NOT NULL,
    vault_id       TEXT   NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
    name           TEXT   NOT NULL,
    description    TEXT   NOT NULL,
    retention_days BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    skipped        TEXT   NOT NULL
);
CREATE INDEX checkpoints_vault ON checkpoints (vault_id);

CREATE TABLE backups (
    id                TEXT   NOT NULL PRIMARY KEY,
    project_id        TEXT   NOT NULL,
    -- A vault with backups cannot vanish.
    vault_id          TEXT   NOT NULL REFERENCES vaults (id),
    checkpoint_id     TEXT   NOT NULL REFERENCES checkpoints (id),
    parent_id         TEXT   REFERENCES backups (id) ON DELETE CASCADE,
    -- Place among the disks of the parent.
    position          BIGINT NOT NULL,
    -- The resource that was bound: the server, for the backup of one of its disks.
    root_resource_id  TEXT   NOT NULL,
    name              TEXT   NOT NULL,
    description       TEXT   NOT NULL,
    resource_id       TEXT   NOT NULL,
    resource_name     TEXT   NOT NULL,
    resource_kind     TEXT   NOT NULL,
    resource_size_gib BIGINT NOT NULL CHECK (resource_size_gib >= 0),
    resource_az       TEXT   NOT NULL,
    status            TEXT   NOT NULL
        CHECK (status IN ('protecting', 'available', 'restoring', 'deleting', 'error')),
    content           TEXT,
    error             TEXT,
    -- Of the content; what the tenant is shown and pays (BAK-31).
    logical_bytes     BIGINT NOT NULL CHECK (logical_bytes >= 0),
    incremental       BIGINT NOT NULL CHECK (incremental IN (0, 1)),
    auto_trigger      BIGINT NOT NULL CHECK (auto_trigger IN (0, 1)),
    system_disk       BIGINT NOT NULL CHECK (system_disk IN (0, 1)),
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    protected_at      BIGINT,
    expired_at        BIGINT,
    CHECK (status NOT IN ('available', 'restoring') OR content IS NOT NULL),
    CHECK (status <> 'protecting' OR content IS NULL),
    CHECK ((status = 'error') = (error IS NOT NULL)),
    CHECK (content IS NOT NULL OR logical_bytes = 0)
);
CREATE INDEX backups_project ON backups (project_id, created_at, id) WHERE parent_id IS NULL;
CREATE INDEX backups_vault ON backups (vault_id, root_resource_id);
CREATE INDEX backups_checkpoint ON backups (checkpoint_id);
CREATE INDEX backups_parent ON backups (parent_id);
