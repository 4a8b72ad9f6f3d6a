-- Tags that an account has defined beforehand, for its people to choose from.

CREATE TABLE predefined_tags (
    domain_id  TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (domain_id, key, value)
);
