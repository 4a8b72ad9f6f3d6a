-- What a rebuild found is kept until somebody leaves it to its policies again: what had kept it was in the
-- database that was lost (ADR 34). The list of kinds is a constraint, so the table is made anew.
CREATE TABLE holds_of_all_kinds (
    backup_id TEXT   NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    kind      TEXT   NOT NULL CHECK (kind IN ('person', 'taken_back', 'image', 'rebuilt')),
    note      TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (backup_id, kind)
);
INSERT INTO holds_of_all_kinds SELECT backup_id, kind, note, since FROM backup_holds;
DROP TABLE backup_holds;
ALTER TABLE holds_of_all_kinds RENAME TO backup_holds;
CREATE INDEX backup_holds_rebuilt ON backup_holds (backup_id) WHERE kind = 'rebuilt';
