-- Who may do what: groups, policies and their grants, agencies, temporary keys, second
-- factors, and enterprise projects.

ALTER TABLE users ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
-- Logins that failed since the last good one, or since failed_since.
ALTER TABLE users ADD COLUMN failed_logins BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_since BIGINT NOT NULL DEFAULT 0;
-- Until then no login succeeds.
ALTER TABLE users ADD COLUMN locked_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE access_keys ADD COLUMN last_used_at BIGINT;

CREATE TABLE user_groups (
    id          TEXT   NOT NULL PRIMARY KEY,
    domain_id   TEXT   NOT NULL REFERENCES domains (id),
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);

-- Policies that accounts made for themselves; those every account has are in the code.
CREATE TABLE custom_roles (
    id              TEXT   NOT NULL PRIMARY KEY,
    domain_id       TEXT   NOT NULL REFERENCES domains (id),
    name            TEXT   NOT NULL,
    description     TEXT   NOT NULL,
    description_cn  TEXT   NOT NULL,
    is_for_projects BIGINT NOT NULL CHECK (is_for_projects IN (0, 1)),
    document        TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE agencies (
    id          TEXT   NOT NULL PRIMARY KEY,
    domain_id   TEXT   NOT NULL REFERENCES domains (id),
    name        TEXT   NOT NULL,
    trusted_id  TEXT   NOT NULL REFERENCES domains (id),
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    -- NULL: never.
    expires_at  BIGINT,
    UNIQUE (domain_id, name)
);

-- scope: account, projects (all of them), or the id of one project.
CREATE TABLE group_grants (
    grantee_id TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    role_id    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    PRIMARY KEY (grantee_id, role_id, scope)
);

CREATE TABLE agency_grants (
    grantee_id TEXT NOT NULL REFERENCES agencies (id) ON DELETE CASCADE,
    role_id    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    PRIMARY KEY (grantee_id, role_id, scope)
);

-- How the holder of a token proved who it is, separated by commas.
ALTER TABLE tokens ADD COLUMN methods TEXT NOT NULL DEFAULT 'password';
-- Acts through this agency.
ALTER TABLE tokens ADD COLUMN agency_id TEXT REFERENCES agencies (id) ON DELETE CASCADE;
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE temporary_keys (
    ak            TEXT   NOT NULL PRIMARY KEY,
    user_id       TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agency_id     TEXT   REFERENCES agencies (id) ON DELETE CASCADE,
    project_id    TEXT   REFERENCES projects (id) ON DELETE CASCADE,
    sealed_secret BLOB   NOT NULL,
    -- SHA-256 of the security token in hexadecimal; the token itself is nowhere.
    token_digest  TEXT   NOT NULL,
    -- Narrows what its user may do; NULL: not at all.
    document      TEXT,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX temporary_keys_expiry ON temporary_keys (expires_at);
CREATE INDEX temporary_keys_user ON temporary_keys (user_id);

CREATE TABLE mfa_devices (
    user_id      TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    sealed_seed  BLOB   NOT NULL,
    -- Its user has shown two codes of it.
    is_bound     BIGINT NOT NULL CHECK (is_bound IN (0, 1)),
    -- Logins with a password need a code of it as well.
    is_required  BIGINT NOT NULL CHECK (is_required IN (0, 1)),
    -- The step of the last code that was taken: none is taken twice.
    last_step    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

-- The one called `default`, with the id 0, every account has without a row.
CREATE TABLE enterprise_projects (
    id          TEXT   NOT NULL PRIMARY KEY,
    domain_id   TEXT   NOT NULL REFERENCES domains (id),
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    enabled     BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);
