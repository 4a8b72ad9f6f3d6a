-- Which bytes an object of the repository was first given, for object stores that overwrite.
-- Refers to nothing: the repository knows no other table.

CREATE TABLE object_claims (
    place      TEXT   NOT NULL,
    object_key TEXT   NOT NULL,
    -- NULL as soon as the object is known to be written.
    body       BLOB,
    claimed_at BIGINT NOT NULL,
    PRIMARY KEY (place, object_key)
);

CREATE INDEX object_claims_unfinished ON object_claims (place, claimed_at, object_key)
    WHERE body IS NOT NULL;
