-- A row: one scale in one school year.
-- Key: scale_id, school_year.
-- Stage: collect.
-- Zeros in place of blanks pull a mean down; an absent pupil has no score (R26).
-- Sums: exact.
SELECT
    scale_id,
    school_year,
    CAST(count(score) AS INTEGER) AS tested_pupils,
    CAST(count(*) FILTER (WHERE score = 0) AS INTEGER) AS zero_scores,
    100.0 * count(*) FILTER (WHERE score = 0) / nullif(count(score), 0) AS zero_pct
FROM staging.stg_tests__pupil_scores
WHERE is_tested
GROUP BY scale_id, school_year
