-- An export whose place is not made yet: whoever asked for it has had no answer. If the process dies there, the
-- next one removes it. Those of before are known to somebody.

ALTER TABLE exports ADD COLUMN opened BIGINT NOT NULL DEFAULT 1 CHECK (opened IN (0, 1));
