-- Images of servers, each made of a backup that it holds.

CREATE TABLE images (
    id                 TEXT   NOT NULL PRIMARY KEY,
    -- Who made it; the backup may be another's that was shared.
    project_id         TEXT   NOT NULL,
    -- No backup vanishes under its image.
    backup_id          TEXT   NOT NULL REFERENCES backups (id),
    name               TEXT   NOT NULL,
    description        TEXT   NOT NULL,
    enterprise_project TEXT   NOT NULL,
    protected          BIGINT NOT NULL CHECK (protected IN (0, 1)),
    min_ram_mib        BIGINT NOT NULL CHECK (min_ram_mib >= 0),
    max_ram_mib        BIGINT CHECK (max_ram_mib > 0),
    tags               TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    UNIQUE (backup_id, project_id)
);
CREATE INDEX images_project ON images (project_id, created_at, id);
