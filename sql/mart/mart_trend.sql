-- A row: one school × subject × grade × scale against the year before.
-- Key: semel_mosad, subject, grade, scale_id, school_year.
-- Stage: diagnose.
-- Where the ruler changed, the change is empty: it would compare two rulers (R9).
WITH cells AS (
    SELECT
        means.semel_mosad,
        means.subject,
        means.grade,
        means.scale_id,
        means.school_year,
        means.is_measured,
        links.ruler,
        (means.score_mean - scales.reference_mean) / scales.reference_sd AS level_sd
    FROM core.core_school_subject_year AS means
    JOIN core.core_scale AS scales
        ON scales.scale_id = means.scale_id
        AND scales.school_year = means.school_year
        AND scales.grade = means.grade
        AND scales.subject = means.subject
    JOIN core.core_scale_link AS links ON links.scale_id = means.scale_id AND links.school_year = means.school_year
    WHERE means.group_id = 'all'
)
SELECT
    now.semel_mosad,
    now.subject,
    now.grade,
    now.scale_id,
    now.school_year,
    bool_or(before.ruler = now.ruler) AS is_comparable,
    max(now.level_sd - before.level_sd) FILTER (WHERE before.ruler = now.ruler) AS change_sd
FROM cells AS now
JOIN cells AS before
    ON before.semel_mosad = now.semel_mosad
    AND before.subject = now.subject
    AND before.grade = now.grade
    AND before.school_year = now.school_year - 1
WHERE now.is_measured AND before.is_measured
GROUP BY now.semel_mosad, now.subject, now.grade, now.scale_id, now.school_year
