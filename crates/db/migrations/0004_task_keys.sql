-- Tasks of one key run in the order in which they were made: a claim looks for older ones.

CREATE INDEX tasks_key ON tasks (exclusive_key, created_at, id)
    WHERE status IN ('waiting', 'running');
