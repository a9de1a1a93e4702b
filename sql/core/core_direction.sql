-- A row: one background column against achievement.
-- Key: indicator_id.
-- Stage: collect.
-- Needier schools score lower; a clearly positive correlation means that a column lies the wrong way round (R13).
WITH achievement AS (
    SELECT cells.semel_mosad, avg((cells.score_mean - scales.reference_mean) / scales.reference_sd) AS level_sd
    FROM core.core_school_subject_year AS cells
    JOIN core.core_scale AS scales
        ON scales.scale_id = cells.scale_id
        AND scales.school_year = cells.school_year
        AND scales.grade = cells.grade
        AND scales.subject = cells.subject
    WHERE cells.is_measured
    GROUP BY cells.semel_mosad
),
background AS (
    SELECT semel_mosad, avg(nurture_index) AS nurture_index
    FROM core.core_school_year
    GROUP BY semel_mosad
),
correlations AS (
    SELECT
        'nurture_index' AS indicator_id,
        -1 AS expected_sign,
        corr(background.nurture_index, achievement.level_sd) AS correlation,
        count(background.nurture_index) AS schools
    FROM achievement
    JOIN background ON background.semel_mosad = achievement.semel_mosad
    UNION ALL
    SELECT
        'ses_category' AS indicator_id,
        -1 AS expected_sign,
        corr(schools.ses_category, achievement.level_sd) AS correlation,
        count(schools.ses_category) AS schools
    FROM achievement
    JOIN core.core_school AS schools ON schools.semel_mosad = achievement.semel_mosad
)
SELECT
    indicator_id,
    CAST(expected_sign AS INTEGER) AS expected_sign,
    correlation,
    correlation * expected_sign AS signed_correlation,
    CAST(schools AS INTEGER) AS schools
FROM correlations
