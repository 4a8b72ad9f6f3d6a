-- When vaults are backed up and how long their backups are kept; policies of whole accounts.

CREATE TABLE organization_policies (
    id                   TEXT   NOT NULL PRIMARY KEY,
    domain_id            TEXT   NOT NULL REFERENCES domains (id),
    name                 TEXT   NOT NULL,
    description          TEXT,
    effective_scope      TEXT,
    operation            TEXT   NOT NULL CHECK (operation IN ('backup', 'replication')),
    policy_enabled       BIGINT NOT NULL CHECK (policy_enabled IN (0, 1)),
    policy_name          TEXT   NOT NULL,
    patterns             TEXT   NOT NULL,
    start_window_minutes BIGINT CHECK (start_window_minutes > 0),
    definition           TEXT   NOT NULL,
    status               TEXT   NOT NULL CHECK (status IN ('syncing', 'available')),
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);
CREATE INDEX organization_policies_domain ON organization_policies (domain_id, created_at, id);

CREATE TABLE policies (
    id                     TEXT   NOT NULL PRIMARY KEY,
    project_id             TEXT   NOT NULL,
    name                   TEXT   NOT NULL,
    enabled                BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    operation              TEXT   NOT NULL CHECK (operation IN ('backup', 'replication')),
    origin                 TEXT   NOT NULL,
    -- Of which organization policy it is a copy.
    organization_policy_id TEXT   REFERENCES organization_policies (id),
    trigger_id             TEXT   NOT NULL,
    -- As they were sent, byte for byte.
    patterns               TEXT   NOT NULL,
    start_window_minutes   BIGINT CHECK (start_window_minutes > 0),
    definition             TEXT   NOT NULL,
    created_at             BIGINT NOT NULL,
    updated_at             BIGINT NOT NULL,
    UNIQUE (id, operation),
    CHECK ((origin = 'organization_policy_v1') = (organization_policy_id IS NOT NULL))
);
CREATE INDEX policies_project ON policies (project_id, created_at, id);
CREATE INDEX policies_organization ON policies (organization_policy_id);

CREATE TABLE vault_policies (
    vault_id             TEXT   NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
    policy_id            TEXT   NOT NULL,
    operation            TEXT   NOT NULL,
    -- Where the replicas go.
    destination_vault_id TEXT,
    bound_at             BIGINT NOT NULL,
    -- One of each operation (POL-02, REP-07).
    PRIMARY KEY (vault_id, operation),
    FOREIGN KEY (policy_id, operation) REFERENCES policies (id, operation) ON DELETE CASCADE
);
CREATE INDEX vault_policies_policy ON vault_policies (policy_id, operation);
