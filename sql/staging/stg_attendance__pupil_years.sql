-- A row: one pupil in one school year, as its source gives it, typed.
-- Key: pupil_hash, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    CAST(school_days AS INTEGER) AS school_days,
    CAST(absence_days AS INTEGER) AS absence_days,
    CAST(absence_days_justified AS INTEGER) AS absence_days_justified
FROM raw.raw_attendance__pupil_years
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'attendance__pupil_years') AS set_aside
    USING (file_name, file_row)
