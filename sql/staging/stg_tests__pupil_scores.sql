-- A row: one pupil in one test, as its source gives it, typed.
-- Key: pupil_hash, school_year, subject, grade, scale_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    CAST(grade AS INTEGER) AS grade,
    subject,
    test_source,
    scale_id,
    CAST(test_date AS DATE) AS test_date,
    CAST(is_tested AS BOOLEAN) AS is_tested,
    CAST(score AS DOUBLE) AS score,
    CAST(is_adapted AS BOOLEAN) AS is_adapted,
    test_form,
    link_id
FROM raw.raw_tests__pupil_scores
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'tests__pupil_scores') AS set_aside
    USING (file_name, file_row)
