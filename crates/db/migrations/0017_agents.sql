-- Agents of hosts whose files are to be backed up, as they register themselves, and the directories
-- that are to be backed up there.

CREATE TABLE agents (
    id             TEXT   NOT NULL PRIMARY KEY,
    project_id     TEXT   NOT NULL,
    kind           TEXT   NOT NULL CHECK (kind IN ('native', 'cloud')),
    version        TEXT,
    host_ip        TEXT   NOT NULL,
    host_name      TEXT   NOT NULL,
    host_nickname  TEXT   NOT NULL,
    host_os        TEXT   NOT NULL,
    uninstalled    BIGINT NOT NULL CHECK (uninstalled IN (0, 1)),
    created_at     BIGINT NOT NULL,
    last_active_at BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX agents_project ON agents (project_id, created_at, id);

CREATE TABLE agent_paths (
    id       TEXT   NOT NULL PRIMARY KEY,
    agent_id TEXT   NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    path     TEXT   NOT NULL,
    exclude  TEXT   NOT NULL,
    position BIGINT NOT NULL,
    UNIQUE (agent_id, path)
);
