-- That an account asked to be moved from the services that came before this one (contract C70).
CREATE TABLE domain_migrations (
    domain_id           TEXT   NOT NULL PRIMARY KEY,
    user_id             TEXT   NOT NULL,
    all_regions         BIGINT NOT NULL CHECK (all_regions IN (0, 1)),
    -- Spare capacity that was asked for, in millionths of what would be moved.
    reservation_millionths BIGINT NOT NULL CHECK (reservation_millionths BETWEEN 0 AND 1000000),
    asked_at            BIGINT NOT NULL
);
