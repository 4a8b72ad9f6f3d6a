-- What came of the wish for an application-consistent backup of a server (VLT-09, BAK-57): 1: it is one; 0: it is the
-- ordinary backup that was made because the other failed, and why; NULL: nobody had the wish.

ALTER TABLE backups ADD COLUMN app_consistent BIGINT CHECK (app_consistent IN (0, 1));
ALTER TABLE backups ADD COLUMN app_consistency_code TEXT;
ALTER TABLE backups ADD COLUMN app_consistency_message TEXT;
ALTER TABLE trashed_backups ADD COLUMN app_consistent BIGINT CHECK (app_consistent IN (0, 1));
ALTER TABLE trashed_backups ADD COLUMN app_consistency_code TEXT;
ALTER TABLE trashed_backups ADD COLUMN app_consistency_message TEXT;
