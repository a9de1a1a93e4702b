-- A row: one published school mean, as its source gives it, typed.
-- Key: semel_mosad, school_year, grade, subject, scale_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(grade AS INTEGER) AS grade,
    subject,
    scale_id,
    CAST(score_mean AS DOUBLE) AS score_mean,
    CAST(score_sd AS DOUBLE) AS score_sd,
    CAST(tested_pupils AS INTEGER) AS tested_pupils,
    link_id
FROM raw.raw_tests__school_means
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'tests__school_means') AS set_aside
    USING (file_name, file_row)
