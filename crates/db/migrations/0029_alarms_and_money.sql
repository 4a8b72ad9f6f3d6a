-- How many an alarm's record was told to: whether something was told lately is asked of it.
ALTER TABLE alarm_records ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
CREATE INDEX alarm_records_told ON alarm_records (alarm_id, created_at)
    WHERE on_event = 1 AND told > 0;

-- Whom a request for agreement reaches, however the address is written.
ALTER TABLE deliveries ADD COLUMN asked TEXT NOT NULL DEFAULT '';
CREATE INDEX deliveries_asked ON deliveries (asked, created_at) WHERE is_confirmation = 1;
DROP INDEX deliveries_endpoint;
-- What was asked before counts as well, as nearly as its address was written then.
UPDATE deliveries SET asked = endpoint WHERE is_confirmation = 1;

-- Orders that nobody has paid are given up after a while.
CREATE INDEX orders_unpaid ON orders (created_at, id, vault_id) WHERE status = 'unpaid';
