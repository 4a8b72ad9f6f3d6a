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
