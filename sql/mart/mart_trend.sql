-- A row: one school × subject × grade × scale against the year before.
-- Key: semel_mosad, subject, grade, scale_id, school_year.
-- Stage: diagnose.
-- Across a scale break without a link the change is empty: it would compare two rulers (R9).
WITH cells AS (
    SELECT
        means.semel_mosad,
        means.subject,
        means.grade,
        means.scale_id,
        means.school_year,
        means.is_measured,
        (means.score_mean - scales.reference_mean) / scales.reference_sd AS level_sd
    FROM core.core_school_subject_year AS means
    JOIN core.core_scale AS scales
        ON scales.scale_id = means.scale_id
        AND scales.school_year = means.school_year
        AND scales.grade = means.grade
        AND scales.subject = means.subject
    WHERE means.group_id = 'all'
)
SELECT
    now.semel_mosad,
    now.subject,
    now.grade,
    now.scale_id,
    now.school_year,
    bool_or(before.scale_id = now.scale_id OR (own.link_id IS NOT NULL AND own.link_id = other.link_id)) AS is_comparable,
    max(now.level_sd - before.level_sd)
        FILTER (WHERE before.scale_id = now.scale_id OR (own.link_id IS NOT NULL AND own.link_id = other.link_id)) AS change_sd
FROM cells AS now
JOIN cells AS before
    ON before.semel_mosad = now.semel_mosad
    AND before.subject = now.subject
    AND before.grade = now.grade
    AND before.school_year = now.school_year - 1
LEFT JOIN (SELECT DISTINCT scale_id, school_year, link_id FROM core.core_scale_year) AS own
    ON own.scale_id = now.scale_id AND own.school_year = now.school_year
LEFT JOIN (SELECT DISTINCT scale_id, school_year, link_id FROM core.core_scale_year) AS other
    ON other.scale_id = before.scale_id AND other.school_year = before.school_year
WHERE now.is_measured AND before.is_measured
GROUP BY now.semel_mosad, now.subject, now.grade, now.scale_id, now.school_year
