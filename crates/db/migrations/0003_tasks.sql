-- Durable tasks. A row with an operation is also an operation log (contract C51).
-- Refers to nothing: the log of a deleted vault stays.

CREATE TABLE tasks (
    id               TEXT   NOT NULL PRIMARY KEY,
    kind             TEXT   NOT NULL,
    stage            TEXT   NOT NULL,
    project_id       TEXT   NOT NULL,
    operation        TEXT,
    vault_id         TEXT,
    vault_name       TEXT,
    resource_id      TEXT,
    resource_name    TEXT,
    resource_kind    TEXT,
    checkpoint_id    TEXT,
    policy_id        TEXT,
    backup_id        TEXT,
    request_id       TEXT   NOT NULL,
    details          TEXT   NOT NULL,
    status           TEXT   NOT NULL
        CHECK (status IN ('waiting', 'running', 'success', 'failed', 'timeout', 'skipped')),
    progress         BIGINT NOT NULL CHECK (progress BETWEEN 0 AND 100),
    error_code       TEXT,
    error_message    TEXT,
    cancel_requested BIGINT NOT NULL CHECK (cancel_requested IN (0, 1)),
    exclusive_key    TEXT,
    node             TEXT,
    run_at           BIGINT NOT NULL,
    lease_until      BIGINT NOT NULL,
    -- The node of the last claim: after a restart it need not wait for its own leases.
    claimed_by       TEXT,
    -- Raised by each claim; a save with an older number changes nothing (P14).
    fencing          BIGINT NOT NULL,
    -- Claims since the stage last changed.
    attempts         BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    started_at       BIGINT,
    updated_at       BIGINT NOT NULL,
    ended_at         BIGINT,
    CHECK ((error_code IS NULL) = (error_message IS NULL)),
    CHECK ((status IN ('waiting', 'running')) = (ended_at IS NULL))
);
CREATE INDEX tasks_due ON tasks (run_at, created_at, id) WHERE status IN ('waiting', 'running');
-- At most one task of a key is at work.
CREATE UNIQUE INDEX tasks_exclusive ON tasks (exclusive_key) WHERE status = 'running';
CREATE INDEX tasks_log ON tasks (project_id, created_at, id) WHERE operation IS NOT NULL;
CREATE INDEX tasks_backup ON tasks (backup_id);
