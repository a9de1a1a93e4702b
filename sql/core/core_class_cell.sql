-- A row: one class in one test: school × subject × grade × school year × scale.
-- Key: semel_mosad, subject, grade, school_year, scale_id, class_id.
-- Stage: collect.
-- Classes differ by more than chance; a school mean of few classes carries that (R33).
SELECT
    codes.semel_mosad,
    scores.subject,
    scores.grade,
    scores.school_year,
    scores.scale_id,
    pupils.class_id,
    CAST(count(scores.score) AS INTEGER) AS class_pupils,
    avg(scores.score) AS class_mean,
    var_samp(scores.score) AS class_variance
FROM staging.stg_tests__pupil_scores AS scores
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
JOIN staging.stg_register__pupils AS pupils
    ON pupils.pupil_hash = scores.pupil_hash AND pupils.school_year = scores.school_year
WHERE scores.is_tested AND scores.score IS NOT NULL
GROUP BY codes.semel_mosad, scores.subject, scores.grade, scores.school_year, scores.scale_id, pupils.class_id
