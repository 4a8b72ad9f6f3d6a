-- Lists over very many backups are answered out of indices: what is counted and added up is in them, and a
-- row is fetched only to be shown.

-- What the backups of vaults and their resources take, added up anew each time (P17).
DROP INDEX backups_vault;
CREATE INDEX backups_vault ON backups (vault_id, root_resource_id, logical_bytes, parent_id);

-- Pages of a project's backups, newest first; how many there are, of a status, or with a text in the name.
DROP INDEX backups_project;
CREATE INDEX backups_project ON backups (project_id, created_at, id, status, name)
    WHERE parent_id IS NULL;
