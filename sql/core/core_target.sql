-- A row: one dated target of a scale, subject and grade.
-- Key: scale_id, school_year, grade, subject.
-- Stage: aim.
-- The target that held on the last day of the school year: a target set today leaves earlier gaps unchanged (R32).
SELECT
    scales.scale_id,
    scales.school_year,
    scales.grade,
    scales.subject,
    targets.target_type,
    targets.valid_from,
    coalesce(targets.desired_value, scales.reference_mean) AS desired_value,
    targets.source
FROM core.core_scale AS scales
JOIN core.core_policy_target AS targets
    ON targets.scale_id = scales.scale_id
    AND targets.subject = scales.subject
    AND targets.valid_from <= make_date(scales.school_year, 8, 31)
QUALIFY row_number() OVER (
    PARTITION BY scales.scale_id, scales.school_year, scales.grade, scales.subject
    ORDER BY targets.valid_from DESC
) = 1
