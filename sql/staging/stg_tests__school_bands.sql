-- A row: one published band of a school relative to similar schools, as its source gives it, typed.
-- Key: semel_mosad, school_year, grade, subject.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(grade AS INTEGER) AS grade,
    subject,
    CAST(band AS INTEGER) AS band
FROM raw.raw_tests__school_bands
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'tests__school_bands') AS set_aside
    USING (file_name, file_row)
