-- Accounts, projects, users, credentials and the installation's own settings.
-- Columns are BIGINT, TEXT or BLOB only; booleans are 0 and 1; times are
-- microseconds since 1970 (see docs/adr/0003-database.md).

CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE domains (
    id   TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE projects (
    id        TEXT   NOT NULL PRIMARY KEY,
    domain_id TEXT   NOT NULL REFERENCES domains (id),
    name      TEXT   NOT NULL,
    enabled   BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    UNIQUE (domain_id, name)
);

CREATE TABLE users (
    id        TEXT   NOT NULL PRIMARY KEY,
    domain_id TEXT   NOT NULL REFERENCES domains (id),
    name      TEXT   NOT NULL,
    enabled   BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    is_admin  BIGINT NOT NULL CHECK (is_admin IN (0, 1)),
    -- A PHC string (argon2); NULL: cannot log in with a password.
    password  TEXT,
    UNIQUE (domain_id, name)
);

CREATE TABLE access_keys (
    ak            TEXT   NOT NULL PRIMARY KEY,
    user_id       TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Sealed with the master key; never the secret itself.
    sealed_secret BLOB   NOT NULL,
    enabled       BIGINT NOT NULL CHECK (enabled IN (0, 1)),
    description   TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX access_keys_user ON access_keys (user_id);

CREATE TABLE tokens (
    -- SHA-256 of the token in hexadecimal; the token itself is nowhere.
    digest     TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id TEXT   REFERENCES projects (id) ON DELETE CASCADE,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tokens_expiry ON tokens (expires_at);
