-- The processes that share this database, and what they must agree on.

-- When a node last said that it is there. Only people conclude something from it: a node that is
-- frozen looks like one that is gone.
CREATE TABLE nodes (
    name    TEXT   NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- Signatures of changing requests that were used, whichever node got them (P27).
CREATE TABLE used_signatures (
    digest     TEXT   NOT NULL PRIMARY KEY,
    -- From when on the date of the request alone refuses it.
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_signatures_expires ON used_signatures (expires_at);
