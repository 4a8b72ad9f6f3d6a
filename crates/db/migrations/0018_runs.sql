-- When policies are next due and what became of each occurrence; which backups are at the end of
-- their time; what keeps a backup longer.

-- The times of a policy are told in this zone of the tz database.
ALTER TABLE policies ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE organization_policies ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';

-- The first occurrence nothing has been decided about. 0: to be planned.
ALTER TABLE vault_policies ADD COLUMN next_run_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX vault_policies_due ON vault_policies (operation, next_run_at, vault_id);

-- Refers to nothing: what a deleted policy did stays to be seen.
CREATE TABLE policy_runs (
    id            TEXT   NOT NULL PRIMARY KEY,
    policy_id     TEXT   NOT NULL,
    vault_id      TEXT   NOT NULL,
    occurrence    BIGINT NOT NULL,
    project_id    TEXT   NOT NULL,
    policy_name   TEXT   NOT NULL,
    vault_name    TEXT   NOT NULL,
    state         TEXT   NOT NULL
        CHECK (state IN ('waiting', 'started', 'skipped', 'refused', 'missed')),
    reason        TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    checkpoint_id TEXT,
    started       BIGINT NOT NULL CHECK (started >= 0),
    skipped       BIGINT NOT NULL CHECK (skipped >= 0),
    full_backups  BIGINT NOT NULL CHECK (full_backups >= 0),
    decided_at    BIGINT NOT NULL,
    -- Whatever nodes, restarts and clocks do (P16).
    UNIQUE (policy_id, vault_id, occurrence),
    CHECK ((state = 'started') = (checkpoint_id IS NOT NULL))
);
CREATE INDEX policy_runs_project ON policy_runs (project_id, occurrence, id);
CREATE INDEX policy_runs_old ON policy_runs (occurrence);

-- What decides whether the next backup of a resource is a full one (POL-18, POL-19).
CREATE TABLE full_backups (
    chain_id   TEXT   NOT NULL PRIMARY KEY,
    -- Of the last full one; a policy's by its plan, not by when it got to it.
    full_at    BIGINT NOT NULL,
    -- Incremental ones that policies have made since.
    since_full BIGINT NOT NULL CHECK (since_full >= 0)
);

-- Backups that retention has decided about when another one was complete (RET-17, RET-18).
CREATE TABLE expired_backups (
    backup_id TEXT   NOT NULL PRIMARY KEY REFERENCES backups (id) ON DELETE CASCADE,
    rule      TEXT   NOT NULL,
    since     BIGINT NOT NULL
);
CREATE INDEX backups_expiry ON backups (expired_at, id) WHERE parent_id IS NULL;
CREATE INDEX backups_failed ON backups (created_at, id)
    WHERE parent_id IS NULL AND status = 'error' AND auto_trigger = 1;

-- What keeps a backup whatever its policy says.
CREATE TABLE backup_holds (
    backup_id TEXT   NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    kind      TEXT   NOT NULL CHECK (kind IN ('person', 'taken_back', 'image')),
    note      TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (backup_id, kind)
);
