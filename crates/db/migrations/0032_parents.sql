-- What a credential was made with. It ends with that, however it ends (P27).

-- SHA-256 of the token in hexadecimal; NULL: not made with a token.
ALTER TABLE tokens ADD COLUMN parent_token TEXT;
-- Public half of the access key; NULL: not made with one.
ALTER TABLE tokens ADD COLUMN parent_key TEXT;
CREATE INDEX tokens_parent ON tokens (parent_token) WHERE parent_token IS NOT NULL;
CREATE INDEX tokens_parent_key ON tokens (parent_key) WHERE parent_key IS NOT NULL;

ALTER TABLE temporary_keys ADD COLUMN parent_token TEXT;
ALTER TABLE temporary_keys ADD COLUMN parent_key TEXT;
CREATE INDEX temporary_keys_parent ON temporary_keys (parent_token)
    WHERE parent_token IS NOT NULL;
CREATE INDEX temporary_keys_parent_key ON temporary_keys (parent_key)
    WHERE parent_key IS NOT NULL;
