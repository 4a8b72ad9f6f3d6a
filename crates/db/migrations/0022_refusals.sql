-- Records of what was refused (AUD-01): status of the answer; NULL: it was done.

ALTER TABLE traces ADD COLUMN refused BIGINT;
