-- The backups of one run and of one vault: without these the planner of SQLite takes the index of the
-- project, and reads all its backups for the few.
CREATE INDEX backups_of_run ON backups (project_id, checkpoint_id, created_at, id)
    WHERE parent_id IS NULL;
CREATE INDEX backups_of_vault ON backups (project_id, vault_id, created_at, id)
    WHERE parent_id IS NULL;
