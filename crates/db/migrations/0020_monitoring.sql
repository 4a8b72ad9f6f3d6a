-- How full vaults are over time, what happened, alarms, and who is told.

CREATE TABLE vault_points (
    vault_id   TEXT   NOT NULL,
    project_id TEXT   NOT NULL,
    -- Seconds that the row sums up, and its number since 1970.
    width      BIGINT NOT NULL CHECK (width IN (900, 3600, 86400)),
    slot       BIGINT NOT NULL,
    -- Of each metric: count, smallest, largest, mean and spread, as JSON.
    summary    TEXT   NOT NULL,
    -- One row for each vault and slot, whoever measured (MON-02).
    PRIMARY KEY (vault_id, width, slot)
);
CREATE INDEX vault_points_age ON vault_points (width, slot);

-- Whether a vault was above its threshold, and above its capacity, when it was last looked at:
-- a crossing is told once (MON-10).
CREATE TABLE vault_levels (
    vault_id       TEXT   NOT NULL PRIMARY KEY,
    over_threshold BIGINT NOT NULL CHECK (over_threshold IN (0, 1)),
    over_capacity  BIGINT NOT NULL CHECK (over_capacity IN (0, 1))
);

-- What happened. Written in the transaction in which it happened; refers to nothing.
CREATE TABLE events (
    id            TEXT   NOT NULL PRIMARY KEY,
    project_id    TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    vault_id      TEXT,
    resource_id   TEXT,
    resource_name TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    -- Whether alarms and notices were made of it.
    handled       BIGINT NOT NULL CHECK (handled IN (0, 1))
);
CREATE INDEX events_project ON events (project_id, created_at, id);
CREATE INDEX events_open ON events (created_at, id) WHERE handled = 0;

CREATE TABLE alarm_rules (
    id         TEXT   NOT NULL PRIMARY KEY,
    project_id TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    namespace  TEXT   NOT NULL,
    enabled    BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    on_events  BIGINT NOT NULL CHECK (on_events IN (0, 1)),
    definition TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX alarm_rules_project ON alarm_rules (project_id, created_at, id);

-- One row for each condition of a rule and each thing it watches.
CREATE TABLE alarm_states (
    alarm_id    TEXT   NOT NULL REFERENCES alarm_rules (id) ON DELETE CASCADE,
    condition   BIGINT NOT NULL,
    resource_id TEXT   NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('ok', 'alarm', 'insufficient_data')),
    -- The slot it was last decided for: each is decided once.
    slot        BIGINT NOT NULL,
    -- The slot of the last message about it.
    told_slot   BIGINT,
    PRIMARY KEY (alarm_id, condition, resource_id)
);

-- Changes of state. Refers to nothing: the history of a deleted rule stays.
CREATE TABLE alarm_records (
    id          TEXT   NOT NULL PRIMARY KEY,
    project_id  TEXT   NOT NULL,
    alarm_id    TEXT   NOT NULL,
    alarm_name  TEXT   NOT NULL,
    condition   BIGINT NOT NULL,
    resource_id TEXT   NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('ok', 'alarm', 'insufficient_data')),
    level       BIGINT NOT NULL CHECK (level BETWEEN 1 AND 4),
    on_event    BIGINT NOT NULL CHECK (on_event IN (0, 1)),
    detail      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    -- When an alarm was over.
    ended_at    BIGINT
);
CREATE INDEX alarm_records_project ON alarm_records (project_id, created_at, id);
CREATE INDEX alarm_records_open ON alarm_records (alarm_id, condition, resource_id)
    WHERE status = 'alarm' AND ended_at IS NULL;

CREATE TABLE alarm_templates (
    id          TEXT   NOT NULL PRIMARY KEY,
    project_id  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    conditions  TEXT   NOT NULL,
    on_events   BIGINT NOT NULL CHECK (on_events IN (0, 1)),
    created_at  BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE topics (
    id           TEXT   NOT NULL PRIMARY KEY,
    project_id   TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    display_name TEXT   NOT NULL,
    -- Notices about the project's vaults go here (MON-10).
    takes_notices BIGINT NOT NULL CHECK (takes_notices IN (0, 1)),
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE subscriptions (
    id           TEXT   NOT NULL PRIMARY KEY,
    project_id   TEXT   NOT NULL,
    topic_id     TEXT   NOT NULL REFERENCES topics (id) ON DELETE CASCADE,
    protocol     TEXT   NOT NULL CHECK (protocol IN ('email', 'http', 'https', 'sms')),
    endpoint     TEXT   NOT NULL,
    remark       TEXT   NOT NULL,
    -- What its signatures and its confirmation are made of, sealed.
    sealed_root  BLOB   NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT,
    UNIQUE (topic_id, protocol, endpoint)
);
CREATE INDEX subscriptions_project ON subscriptions (project_id, created_at, id);

-- One message to one subscription. Refers to nothing: what was sent to whom stays known.
CREATE TABLE deliveries (
    id              TEXT   NOT NULL PRIMARY KEY,
    project_id      TEXT   NOT NULL,
    topic_name      TEXT   NOT NULL,
    subscription_id TEXT   NOT NULL,
    protocol        TEXT   NOT NULL,
    endpoint        TEXT   NOT NULL,
    message         TEXT   NOT NULL,
    is_confirmation BIGINT NOT NULL CHECK (is_confirmation IN (0, 1)),
    status          TEXT   NOT NULL CHECK (status IN ('waiting', 'sent', 'dead')),
    attempts        BIGINT NOT NULL,
    error           TEXT,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT
);
CREATE INDEX deliveries_project ON deliveries (project_id, created_at, id);
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, created_at) WHERE is_confirmation = 1;
CREATE INDEX deliveries_age ON deliveries (created_at);
