-- What each incremental backup changed: by this the next ones are compared, also when it is deleted.
CREATE TABLE backup_figures (
    backup_id     TEXT   NOT NULL PRIMARY KEY,
    chain_id      TEXT   NOT NULL,
    made_at       BIGINT NOT NULL,
    disk_bytes    BIGINT NOT NULL,
    changed_bytes BIGINT NOT NULL,
    added_bytes   BIGINT NOT NULL
);
CREATE INDEX backup_figures_chain ON backup_figures (chain_id, made_at);

-- Backups that look unlike those before them. Refers to nothing: what was found stays to be seen.
CREATE TABLE anomalies (
    backup_id       TEXT   NOT NULL PRIMARY KEY,
    project_id      TEXT   NOT NULL,
    vault_id        TEXT   NOT NULL,
    resource_id     TEXT   NOT NULL,
    -- The last one that looked as usual.
    clean_backup_id TEXT,
    what            TEXT   NOT NULL,
    found_at        BIGINT NOT NULL,
    -- Until then nothing of the resource expires.
    confirmed_at    BIGINT
);
CREATE INDEX anomalies_open ON anomalies (vault_id, resource_id) WHERE confirmed_at IS NULL;
CREATE INDEX anomalies_project ON anomalies (project_id, found_at);
