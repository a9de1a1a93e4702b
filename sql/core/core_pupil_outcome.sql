-- A row: one tested pupil in one subject and school year.
-- Key: pupil_hash, school_year, subject.
-- Stage: collect.
-- Internal tests only: they are given every year, so that a pupil has a past to be compared by.
SELECT
    scores.pupil_hash,
    scores.school_year,
    scores.subject,
    scores.grade,
    codes.semel_mosad,
    (scores.score - scales.reference_mean) / scales.reference_sd AS outcome_sd
FROM staging.stg_tests__pupil_scores AS scores
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
JOIN core.core_scale AS scales
    ON scales.scale_id = scores.scale_id
    AND scales.school_year = scores.school_year
    AND scales.grade = scores.grade
    AND scales.subject = scores.subject
WHERE scores.is_tested AND scores.test_source = 'internal'
