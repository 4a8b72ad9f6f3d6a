-- How many backups a project has of each day: a page far back in a list begins at its day, and does not walk
-- over all that is before it (contract C27, ADR 37). Without the disks of servers' backups. Days are whole ones
-- of 86 400 seconds since 1970.

CREATE TABLE backup_days (
    project_id TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    backups    BIGINT NOT NULL CHECK (backups >= 0),
    PRIMARY KEY (project_id, day)
);

INSERT INTO backup_days (project_id, day, backups)
    SELECT b.project_id, b.created_at / 86400000000, COUNT(*)
    FROM backups b WHERE b.parent_id IS NULL
    GROUP BY b.project_id, b.created_at / 86400000000;

-- As `backup_counts` is kept (ADR 35). Whose a backup is, of what, and when it was made never changes.

-- only sqlite
CREATE TRIGGER backup_days_insert AFTER INSERT ON backups WHEN NEW.parent_id IS NULL BEGIN
    INSERT INTO backup_days (project_id, day, backups)
    VALUES (NEW.project_id, NEW.created_at / 86400000000, 1)
    ON CONFLICT (project_id, day) DO UPDATE SET backups = backup_days.backups + 1;
END;
CREATE TRIGGER backup_days_delete AFTER DELETE ON backups WHEN OLD.parent_id IS NULL BEGIN
    UPDATE backup_days SET backups = backups - 1
    WHERE project_id = OLD.project_id AND day = OLD.created_at / 86400000000;
    DELETE FROM backup_days
    WHERE project_id = OLD.project_id AND day = OLD.created_at / 86400000000 AND backups = 0;
END;
CREATE TRIGGER backup_days_update BEFORE UPDATE OF project_id, parent_id, created_at ON backups
WHEN OLD.project_id <> NEW.project_id OR OLD.parent_id IS NOT NEW.parent_id OR OLD.created_at <> NEW.created_at
BEGIN
    SELECT RAISE(ABORT, 'whose a backup is, of what, and when it was made never changes');
END;
-- only postgresql
CREATE FUNCTION count_backup_day() RETURNS trigger LANGUAGE plpgsql AS $count$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'whose a backup is, of what, and when it was made never changes';
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO backup_days (project_id, day, backups)
        VALUES (NEW.project_id, NEW.created_at / 86400000000, 1)
        ON CONFLICT (project_id, day) DO UPDATE SET backups = backup_days.backups + 1;
    ELSE
        UPDATE backup_days d SET backups = d.backups - 1
        WHERE d.project_id = OLD.project_id AND d.day = OLD.created_at / 86400000000;
        DELETE FROM backup_days d
        WHERE d.project_id = OLD.project_id AND d.day = OLD.created_at / 86400000000 AND d.backups = 0;
    END IF;
    RETURN NULL;
END
$count$;
CREATE TRIGGER backup_days_insert AFTER INSERT ON backups
    FOR EACH ROW WHEN (NEW.parent_id IS NULL) EXECUTE FUNCTION count_backup_day();
CREATE TRIGGER backup_days_delete AFTER DELETE ON backups
    FOR EACH ROW WHEN (OLD.parent_id IS NULL) EXECUTE FUNCTION count_backup_day();
CREATE TRIGGER backup_days_update BEFORE UPDATE OF project_id, parent_id, created_at ON backups
    FOR EACH ROW
    WHEN (OLD.project_id <> NEW.project_id OR OLD.parent_id IS DISTINCT FROM NEW.parent_id
       OR OLD.created_at <> NEW.created_at)
    EXECUTE FUNCTION count_backup_day();

-- A part of a name is found by its trigrams, where the server has them: the extension is trusted and comes with
-- PostgreSQL, but some pack it apart. Without it every name is looked at; `cbr doctor` says so.
DO $names$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX backups_names ON backups USING gin (name gin_trgm_ops) WHERE parent_id IS NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'names of backups have no index: %', SQLERRM;
END
$names$;
-- only end
