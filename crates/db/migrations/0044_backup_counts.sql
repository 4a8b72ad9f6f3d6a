-- How many backups there are and what they take, per vault, resource and status: a list over a million backups
-- says how many match without looking at each of them (contract C3, C27, C64).

CREATE TABLE backup_counts (
    vault_id    TEXT   NOT NULL,
    -- The resource that was bound: the server, for the backups of its disks.
    resource_id TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    project_id  TEXT   NOT NULL,
    -- What the resource is.
    kind        TEXT   NOT NULL,
    -- Backups, without the disks of servers' backups.
    backups     BIGINT NOT NULL CHECK (backups >= 0),
    -- With them.
    entries     BIGINT NOT NULL CHECK (entries >= backups),
    bytes       BIGINT NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (vault_id, resource_id, status)
);
CREATE INDEX backup_counts_project ON backup_counts (project_id, status, backups, bytes);
CREATE INDEX backup_counts_resource ON backup_counts (project_id, resource_id);

INSERT INTO backup_counts (vault_id, resource_id, status, project_id, kind, backups, entries, bytes)
    SELECT b.vault_id, b.root_resource_id, b.status, b.project_id,
           COALESCE(MAX(CASE WHEN b.parent_id IS NULL THEN b.resource_kind END),
                    (SELECT MAX(p.resource_kind) FROM backups p
                     WHERE p.resource_id = b.root_resource_id AND p.parent_id IS NULL),
                    MAX(b.resource_kind)),
           CAST(SUM(CASE WHEN b.parent_id IS NULL THEN 1 ELSE 0 END) AS BIGINT), COUNT(*),
           CAST(SUM(b.logical_bytes) AS BIGINT)
    FROM backups b
    GROUP BY b.vault_id, b.root_resource_id, b.status, b.project_id;

-- What the index summed up is counted now; it finds the newest backup of a resource instead.
DROP INDEX backups_vault;
CREATE INDEX backups_vault ON backups (vault_id, root_resource_id, created_at, id);

-- Nearly every backup has no parent: an index that finds all of those is chosen where it is the worst of all.
DROP INDEX backups_parent;
CREATE INDEX backups_parent ON backups (parent_id) WHERE parent_id IS NOT NULL;

-- The database itself counts, in the transaction that changes a backup: no statement can forget it, and what
-- goes with its parent is counted too (P17). A count that would become negative fails the change.

-- only sqlite
CREATE TRIGGER backup_counts_insert AFTER INSERT ON backups BEGIN
    INSERT INTO backup_counts (vault_id, resource_id, status, project_id, kind, backups, entries, bytes)
    VALUES (NEW.vault_id, NEW.root_resource_id, NEW.status, NEW.project_id,
            COALESCE((SELECT p.resource_kind FROM backups p WHERE p.id = NEW.parent_id), NEW.resource_kind),
            NEW.parent_id IS NULL, 1, NEW.logical_bytes)
    ON CONFLICT (vault_id, resource_id, status) DO UPDATE SET
        backups = backup_counts.backups + excluded.backups,
        entries = backup_counts.entries + 1,
        bytes = backup_counts.bytes + excluded.bytes;
END;
CREATE TRIGGER backup_counts_delete AFTER DELETE ON backups BEGIN
    UPDATE backup_counts SET
        backups = backups - (OLD.parent_id IS NULL), entries = entries - 1, bytes = bytes - OLD.logical_bytes
    WHERE vault_id = OLD.vault_id AND resource_id = OLD.root_resource_id AND status = OLD.status;
    DELETE FROM backup_counts
    WHERE vault_id = OLD.vault_id AND resource_id = OLD.root_resource_id AND status = OLD.status AND entries = 0;
END;
CREATE TRIGGER backup_counts_update
AFTER UPDATE OF vault_id, root_resource_id, status, logical_bytes ON backups
WHEN OLD.vault_id <> NEW.vault_id OR OLD.root_resource_id <> NEW.root_resource_id
  OR OLD.status <> NEW.status OR OLD.logical_bytes <> NEW.logical_bytes
BEGIN
    UPDATE backup_counts SET
        backups = backups - (OLD.parent_id IS NULL), entries = entries - 1, bytes = bytes - OLD.logical_bytes
    WHERE vault_id = OLD.vault_id AND resource_id = OLD.root_resource_id AND status = OLD.status;
    INSERT INTO backup_counts (vault_id, resource_id, status, project_id, kind, backups, entries, bytes)
    VALUES (NEW.vault_id, NEW.root_resource_id, NEW.status, NEW.project_id,
            COALESCE((SELECT p.resource_kind FROM backups p WHERE p.id = NEW.parent_id), NEW.resource_kind),
            NEW.parent_id IS NULL, 1, NEW.logical_bytes)
    ON CONFLICT (vault_id, resource_id, status) DO UPDATE SET
        backups = backup_counts.backups + excluded.backups,
        entries = backup_counts.entries + 1,
        bytes = backup_counts.bytes + excluded.bytes;
    DELETE FROM backup_counts
    WHERE vault_id = OLD.vault_id AND resource_id = OLD.root_resource_id AND status = OLD.status AND entries = 0;
END;
-- only postgresql
CREATE FUNCTION count_backup() RETURNS trigger LANGUAGE plpgsql AS $count$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE backup_counts c SET
            backups = c.backups - CASE WHEN OLD.parent_id IS NULL THEN 1 ELSE 0 END,
            entries = c.entries - 1, bytes = c.bytes - OLD.logical_bytes
        WHERE c.vault_id = OLD.vault_id AND c.resource_id = OLD.root_resource_id AND c.status = OLD.status;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO backup_counts (vault_id, resource_id, status, project_id, kind, backups, entries, bytes)
        VALUES (NEW.vault_id, NEW.root_resource_id, NEW.status, NEW.project_id,
                COALESCE((SELECT p.resource_kind FROM backups p WHERE p.id = NEW.parent_id), NEW.resource_kind),
                CASE WHEN NEW.parent_id IS NULL THEN 1 ELSE 0 END, 1, NEW.logical_bytes)
        ON CONFLICT (vault_id, resource_id, status) DO UPDATE SET
            backups = backup_counts.backups + excluded.backups,
            entries = backup_counts.entries + 1,
            bytes = backup_counts.bytes + excluded.bytes;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM backup_counts c
        WHERE c.vault_id = OLD.vault_id AND c.resource_id = OLD.root_resource_id AND c.status = OLD.status
          AND c.entries = 0;
    END IF;
    RETURN NULL;
END
$count$;
CREATE TRIGGER backup_counts_insert_delete AFTER INSERT OR DELETE ON backups
    FOR EACH ROW EXECUTE FUNCTION count_backup();
CREATE TRIGGER backup_counts_update AFTER UPDATE OF vault_id, root_resource_id, status, logical_bytes ON backups
    FOR EACH ROW
    WHEN (OLD.vault_id <> NEW.vault_id OR OLD.root_resource_id <> NEW.root_resource_id
       OR OLD.status <> NEW.status OR OLD.logical_bytes <> NEW.logical_bytes)
    EXECUTE FUNCTION count_backup();
-- only end
