-- A row: one class in one test: school × subject × grade × school year × scale.
-- Key: semel_mosad, subject, grade, school_year, scale_id, class_id.
-- Stage: collect.
-- Classes differ by more than chance; a school mean of few classes carries that (R33).
-- Sums: exact (scores in millionths of a point), so that the order of pupils decides nothing.
SELECT
    semel_mosad,
    subject,
    grade,
    school_year,
    scale_id,
    class_id,
    CAST(count(*) AS INTEGER) AS class_pupils,
    CAST(sum(millionths) AS DOUBLE) / (CAST(1000000 AS DOUBLE) * count(*)) AS class_mean,
    CAST(count(*) * sum(millionths * millionths) - sum(millionths) * sum(millionths) AS DOUBLE)
    / nullif(count(*) * (count(*) - 1), 0) / CAST(1000000000000 AS DOUBLE) AS class_variance
FROM (
    SELECT
        codes.semel_mosad,
        scores.subject,
        scores.grade,
        scores.school_year,
        scores.scale_id,
        pupils.class_id,
        CAST(round(scores.score * 1000000) AS DECIMAL(18, 0)) AS millionths
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    JOIN staging.stg_register__pupils AS pupils
        ON pupils.pupil_hash = scores.pupil_hash AND pupils.school_year = scores.school_year
    WHERE scores.is_tested AND scores.score IS NOT NULL
) AS sat
GROUP BY semel_mosad, subject, grade, school_year, scale_id, class_id
