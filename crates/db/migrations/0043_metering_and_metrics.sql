-- Before which hour (since 1970) a project's metered hours are in somebody's books: those may be forgotten.
CREATE TABLE metering_exports (
    project_id     TEXT   NOT NULL PRIMARY KEY,
    exported_until BIGINT NOT NULL,
    noted_at       BIGINT NOT NULL
);

-- Images are charged for like vaults (BIL-07), by what their backups hold, in started GB; from the first hour on
-- that is not metered yet.
INSERT INTO vault_terms (vault_id, number, project_id, kind, consistency, size_gib, by_use, from_at, until_at)
    SELECT i.id, 1, i.project_id, 'image', 'object_storage',
           1 + (SELECT CAST(COALESCE(SUM(x.logical_bytes), 0) AS BIGINT) - 1 FROM backups x
                WHERE x.id = b.id OR x.parent_id = b.id) / 1073741824, 1, i.created_at, NULL
    FROM images i JOIN backups b ON b.id = i.backup_id
    WHERE b.status IN ('available', 'restoring');

-- Metrics that users publish themselves (contract F.6).
CREATE TABLE custom_metrics (
    id         TEXT   NOT NULL PRIMARY KEY,
    project_id TEXT   NOT NULL,
    namespace  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    -- Names and values, as JSON.
    dimensions TEXT   NOT NULL,
    unit       TEXT   NOT NULL
);
CREATE INDEX custom_metrics_project ON custom_metrics (project_id, namespace, name, id);

CREATE TABLE custom_points (
    metric_id  TEXT   NOT NULL REFERENCES custom_metrics (id) ON DELETE CASCADE,
    -- When it was collected; the same again replaces it.
    at         BIGINT NOT NULL,
    -- A number, as JSON.
    value      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (metric_id, at)
);
CREATE INDEX custom_points_age ON custom_points (expires_at);
