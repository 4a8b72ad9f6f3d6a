-- Before which hour (since 1970) a project's metered hours are in somebody's books: those may be forgotten.
CREATE TABLE metering_exports (
    project_id     TEXT   NOT NULL PRIMARY KEY,
    exported_until BIGINT NOT NULL,
    noted_at       BIGINT NOT NULL
);
