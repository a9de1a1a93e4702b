-- A row: one pupil who left a school in a school year, as its source gives it, typed.
-- Key: pupil_hash, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    CAST(grade AS INTEGER) AS grade,
    destination
FROM raw.raw_attendance__exits
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'attendance__exits') AS set_aside
    USING (file_name, file_row)
