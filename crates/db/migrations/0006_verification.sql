-- What is known about the soundness of what is stored. All of it can be found out again by reading
-- the repository; nothing here is needed to restore.

-- When an object of the repository was last read and found sound, and how closely.
CREATE TABLE scrubbed_objects (
    object      TEXT   NOT NULL PRIMARY KEY,
    level       TEXT   NOT NULL CHECK (level IN ('structure', 'sample', 'full')),
    verified_at BIGINT NOT NULL
);

-- Damage that is known and not healed. The next backup of the domain does not build on it.
CREATE TABLE damaged_spots (
    domain   TEXT   NOT NULL,
    spot     TEXT   NOT NULL,
    object   TEXT   NOT NULL,
    what     TEXT   NOT NULL,
    found_at BIGINT NOT NULL,
    PRIMARY KEY (domain, spot)
);

-- Of a disk's backup. No row: nobody has looked yet.
CREATE TABLE backup_integrity (
    backup_id   TEXT   NOT NULL PRIMARY KEY REFERENCES backups (id) ON DELETE CASCADE,
    state       TEXT   NOT NULL CHECK (state IN ('ok', 'damaged', 'unknown')),
    verified_at BIGINT,
    lost        TEXT   NOT NULL
);
