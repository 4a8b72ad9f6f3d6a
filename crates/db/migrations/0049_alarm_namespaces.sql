-- What a record of an alarm is about: vaults, or what the project publishes itself.
ALTER TABLE alarm_records ADD COLUMN namespace TEXT NOT NULL DEFAULT 'SYS.CBR';
