-- Who changed what (AUD-01), one chain of records for each account.

CREATE TABLE traces (
    id            TEXT   NOT NULL PRIMARY KEY,
    domain_id     TEXT   NOT NULL,
    -- Place in the account's chain, from 1 on without gaps.
    number        BIGINT NOT NULL CHECK (number > 0),
    -- NULL: it concerns the account, not one of its projects.
    project_id    TEXT,
    user_id       TEXT   NOT NULL,
    user_name     TEXT   NOT NULL,
    service       TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    resource_type TEXT   NOT NULL,
    resource_id   TEXT   NOT NULL,
    resource_name TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    -- What was recorded, as JSON; the digest is over this text.
    record        TEXT   NOT NULL,
    -- SHA-256 of the digest before and the record, in hexadecimal.
    digest        TEXT   NOT NULL,
    UNIQUE (domain_id, number)
);
CREATE INDEX traces_project ON traces (project_id, created_at, id);

CREATE TABLE trackers (
    project_id TEXT   NOT NULL PRIMARY KEY,
    enabled    BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    changed_at BIGINT NOT NULL
);
