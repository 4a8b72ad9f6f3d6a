-- What the contract knows of a vault beyond its capacity; orders; limits that administrators set.

ALTER TABLE vaults ADD COLUMN charging_mode TEXT NOT NULL DEFAULT 'post_paid'
    CHECK (charging_mode IN ('post_paid', 'pre_paid'));
ALTER TABLE vaults ADD COLUMN order_id TEXT;
ALTER TABLE vaults ADD COLUMN demand_billing BIGINT NOT NULL DEFAULT 0
    CHECK (demand_billing IN (0, 1));
ALTER TABLE vaults ADD COLUMN frozen_scene TEXT;
ALTER TABLE vaults ADD COLUMN availability_zone TEXT;
ALTER TABLE vaults ADD COLUMN backup_name_prefix TEXT NOT NULL DEFAULT '';
ALTER TABLE vaults ADD COLUMN lock_source TEXT NOT NULL DEFAULT '';
ALTER TABLE vault_resources ADD COLUMN include_volumes TEXT NOT NULL DEFAULT '[]';

-- One row for each vault of an order. Refers to nothing: the order of a deleted vault stays.
CREATE TABLE orders (
    id           TEXT   NOT NULL,
    vault_id     TEXT   NOT NULL,
    project_id   TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    kind         TEXT   NOT NULL CHECK (kind IN ('create', 'change', 'to_prepaid')),
    size_gib     BIGINT NOT NULL CHECK (size_gib > 0),
    consistency  TEXT   NOT NULL,
    product      TEXT,
    period_unit  TEXT   CHECK (period_unit IN ('month', 'year')),
    period_count BIGINT,
    auto_renew   BIGINT NOT NULL CHECK (auto_renew IN (0, 1)),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (id, vault_id),
    CHECK ((period_unit IS NULL) = (period_count IS NULL))
);
CREATE INDEX orders_vault ON orders (project_id, vault_id, created_at);

-- No row: the limit that holds for everybody.
CREATE TABLE quotas (
    project_id TEXT   NOT NULL,
    quota      TEXT   NOT NULL,
    limit_set  BIGINT NOT NULL CHECK (limit_set >= 0),
    PRIMARY KEY (project_id, quota)
);
