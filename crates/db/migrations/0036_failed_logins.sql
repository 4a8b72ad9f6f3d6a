-- Logins that failed, by where they came from: a stranger locks nobody out but itself.

CREATE TABLE failed_logins (
    user_id      TEXT   NOT NULL,
    network      TEXT   NOT NULL,
    failures     BIGINT NOT NULL,
    failed_since BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
);
CREATE INDEX failed_logins_since ON failed_logins (failed_since);
