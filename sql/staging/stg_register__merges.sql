-- A row: one institution code merged into another, as its source gives it, typed.
-- Key: semel_mosad_old.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad_old,
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year
FROM raw.raw_register__merges
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'register__merges') AS set_aside
    USING (file_name, file_row)
