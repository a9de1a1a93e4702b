-- A row: one pupil who joined a school in a school year, other than by starting grade 1, as its source gives it, typed.
-- Key: pupil_hash, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    CAST(grade AS INTEGER) AS grade,
    origin
FROM raw.raw_attendance__entries
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'attendance__entries') AS set_aside
    USING (file_name, file_row)
