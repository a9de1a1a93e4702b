-- A row: one tested pupil in one school year.
-- Key: pupil_hash, school_year.
-- Stage: diagnose.
-- gap = target - score in pupil SDs of the scale, mean over the pupil's tests of the year; positive means below target.
SELECT
    scores.pupil_hash,
    scores.school_year,
    round(avg((targets.desired_value - scores.score) / scales.reference_sd), 9) AS pupil_gap_sd
FROM staging.stg_tests__pupil_scores AS scores
JOIN core.core_scale AS scales
    ON scales.scale_id = scores.scale_id
    AND scales.school_year = scores.school_year
    AND scales.grade = scores.grade
    AND scales.subject = scores.subject
JOIN core.core_target AS targets
    ON targets.scale_id = scores.scale_id
    AND targets.school_year = scores.school_year
    AND targets.grade = scores.grade
    AND targets.subject = scores.subject
WHERE scores.is_tested AND scores.school_year = (SELECT max(school_year) FROM core.core_participation)
GROUP BY scores.pupil_hash, scores.school_year
