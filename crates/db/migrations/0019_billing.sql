-- What vaults cost, who has paid, and what follows when nobody has.

-- Until when a prepaid vault is paid, and by what that is renewed. NULL for those ordered before there
-- were periods: they end never.
ALTER TABLE vaults ADD COLUMN paid_until BIGINT;
ALTER TABLE vaults ADD COLUMN renew_unit TEXT CHECK (renew_unit IN ('month', 'year'));

-- Orders have a state and cost something. The list of kinds is a constraint, so the table is made anew.
CREATE TABLE orders_with_states (
    id           TEXT   NOT NULL,
    vault_id     TEXT   NOT NULL,
    project_id   TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    kind         TEXT   NOT NULL CHECK (kind IN ('create', 'change', 'to_prepaid', 'renew')),
    size_gib     BIGINT NOT NULL CHECK (size_gib > 0),
    consistency  TEXT   NOT NULL,
    product      TEXT,
    period_unit  TEXT   CHECK (period_unit IN ('month', 'year')),
    period_count BIGINT,
    auto_renew   BIGINT NOT NULL CHECK (auto_renew IN (0, 1)),
    status       TEXT   NOT NULL CHECK (status IN ('unpaid', 'completed', 'cancelled')),
    amount       BIGINT NOT NULL CHECK (amount >= 0),
    begins_at    BIGINT,
    ends_at      BIGINT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (id, vault_id),
    CHECK ((period_unit IS NULL) = (period_count IS NULL)),
    CHECK ((begins_at IS NULL) = (ends_at IS NULL))
);
INSERT INTO orders_with_states
    SELECT id, vault_id, project_id, user_id, kind, size_gib, consistency, product, period_unit,
           period_count, auto_renew, 'completed', 0, NULL, NULL, created_at
    FROM orders;
DROP TABLE orders;
ALTER TABLE orders_with_states RENAME TO orders;
CREATE INDEX orders_by_vault ON orders (project_id, vault_id, created_at);

-- What a vault was from when on until when: written with every change of the vault, so that an hour
-- that is metered late is metered as it was. Outlives the vault.
CREATE TABLE vault_terms (
    vault_id    TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    project_id  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    consistency TEXT   NOT NULL,
    size_gib    BIGINT NOT NULL CHECK (size_gib > 0),
    -- Whether it is charged by use then: not while it is frozen or being deleted.
    by_use      BIGINT NOT NULL CHECK (by_use IN (0, 1)),
    from_at     BIGINT NOT NULL,
    -- NULL: so it is now.
    until_at    BIGINT,
    PRIMARY KEY (vault_id, number)
);
CREATE UNIQUE INDEX vault_terms_now ON vault_terms (vault_id) WHERE until_at IS NULL;
CREATE INDEX vault_terms_past ON vault_terms (until_at);
INSERT INTO vault_terms
    SELECT id, 1, project_id, kind, consistency, size_gib,
           CASE WHEN charging_mode = 'post_paid' AND status NOT IN ('frozen', 'deleting')
                THEN 1 ELSE 0 END,
           created_at, NULL
    FROM vaults;

-- One row for each vault and each hour in which it was charged by use: hours since 1970.
CREATE TABLE metering (
    vault_id    TEXT   NOT NULL,
    hour        BIGINT NOT NULL,
    project_id  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    consistency TEXT   NOT NULL,
    size_gib    BIGINT NOT NULL,
    -- Of one GB, and of all: millionths of a minor unit of the currency.
    price       BIGINT NOT NULL CHECK (price >= 0),
    amount      BIGINT NOT NULL CHECK (amount >= 0),
    currency    TEXT   NOT NULL,
    PRIMARY KEY (vault_id, hour)
);
CREATE INDEX metering_project ON metering (project_id, hour, vault_id);
CREATE INDEX metering_hour ON metering (hour);

-- What accounts have, in minor units; `carry`: millionths that were used and not charged yet.
CREATE TABLE balances (
    domain_id TEXT   NOT NULL PRIMARY KEY,
    whole     BIGINT NOT NULL,
    carry     BIGINT NOT NULL CHECK (carry BETWEEN 0 AND 999999)
);

-- Why a balance is what it is. One entry for each credit, order and metered hour, whoever tries again.
CREATE TABLE balance_entries (
    domain_id  TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('credit', 'order', 'usage')),
    reference  TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    balance    BIGINT NOT NULL,
    note       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (domain_id, number),
    UNIQUE (domain_id, kind, reference)
);

-- How far it has come with a vault that is not paid for, in observed time (ADR 0022).
CREATE TABLE billing_steps (
    vault_id   TEXT   NOT NULL PRIMARY KEY REFERENCES vaults (id) ON DELETE CASCADE,
    project_id TEXT   NOT NULL,
    step       TEXT   NOT NULL CHECK (step IN ('noticed', 'frozen', 'renewed')),
    scene      TEXT   NOT NULL,
    observed   BIGINT NOT NULL,
    at         BIGINT NOT NULL
);
