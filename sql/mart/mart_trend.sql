-- A row: one school × subject × grade × scale against the year before.
-- Key: semel_mosad, subject, grade, scale_id, school_year.
-- Stage: diagnose.
-- Where the ruler changed, the change is empty: it would compare two rulers (R9). So it is in the year of a merger, and
-- into and out of an emergency (R46).
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
),
breaks AS (
    SELECT semel_mosad, school_year, break_kind FROM core.core_trend_break
    UNION
    SELECT semel_mosad, school_year + 1, break_kind FROM core.core_trend_break WHERE break_kind = 'emergency'
),
pairs AS (
    SELECT
        now.*,
        CASE WHEN before.ruler <> now.ruler THEN 'scale' ELSE breaks.break_kind END AS break_kind,
        now.level_sd - before.level_sd AS change_sd
    FROM cells AS now
    JOIN cells AS before
        ON before.semel_mosad = now.semel_mosad
        AND before.subject = now.subject
        AND before.grade = now.grade
        AND before.school_year = now.school_year - 1
    LEFT JOIN breaks ON breaks.semel_mosad = now.semel_mosad AND breaks.school_year = now.school_year
    WHERE now.is_measured AND before.is_measured
)
SELECT
    semel_mosad,
    subject,
    grade,
    scale_id,
    school_year,
    bool_or(break_kind IS NULL) AS is_comparable,
    -- Of several scales the year before, one by the same ruler is enough.
    CASE WHEN NOT bool_or(break_kind IS NULL) THEN coalesce(min(break_kind) FILTER (WHERE break_kind <> 'scale'), 'scale') END
        AS break_kind,
    max(change_sd) FILTER (WHERE break_kind IS NULL) AS change_sd
FROM pairs
GROUP BY semel_mosad, subject, grade, scale_id, school_year
