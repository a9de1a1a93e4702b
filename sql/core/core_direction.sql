-- A row: one background column against what it must go with, in one school year.
-- Key: indicator_id, school_year.
-- Stage: collect.
-- Needier schools and pupils score lower and lie in weaker areas, and a higher band is a better one; a clearly opposite correlation means that a column lies the
-- wrong way round (R13): beyond .4 over a city's few schools, beyond .1 over its pupils, whose correlation is usually
-- -.2 to -.3 (Sirin 2005) and known to .02; and beyond what chance does to so few once in two hundred years (Fisher's z).
WITH achievement AS (
    SELECT cells.semel_mosad, cells.school_year, avg((cells.score_mean - scales.reference_mean) / scales.reference_sd) AS level_sd
    FROM core.core_school_subject_year AS cells
    JOIN core.core_scale AS scales
        ON scales.scale_id = cells.scale_id
        AND scales.school_year = cells.school_year
        AND scales.grade = cells.grade
        AND scales.subject = cells.subject
    WHERE cells.is_measured AND cells.group_id = 'all'
    GROUP BY cells.semel_mosad, cells.school_year
),
areas AS (
    -- Statistical areas are numbered within a locality; a city's own file holds one locality.
    SELECT stat_area, avg(ses_cluster_cbs) AS ses_cluster_cbs
    FROM staging.stg_context__stat_areas
    GROUP BY stat_area
    HAVING count(DISTINCT locality_name) = 1
),
pairs AS (
    SELECT 'nurture_index' AS indicator_id, years.school_year, -1 AS expected_sign, years.nurture_index AS background, achievement.level_sd AS outcome, years.semel_mosad
    FROM core.core_school_year AS years
    JOIN achievement ON achievement.semel_mosad = years.semel_mosad AND achievement.school_year = years.school_year
    UNION ALL
    SELECT 'nurture_vs_area_cluster', years.school_year, -1, years.nurture_index, areas.ses_cluster_cbs, years.semel_mosad
    FROM core.core_school_year AS years
    JOIN core.core_school AS schools ON schools.semel_mosad = years.semel_mosad AND schools.is_in_plan
    JOIN areas ON areas.stat_area = schools.stat_area
    UNION ALL
    SELECT 'ses_category', achievement.school_year, -1, schools.ses_category, achievement.level_sd, achievement.semel_mosad
    FROM achievement
    JOIN core.core_school AS schools ON schools.semel_mosad = achievement.semel_mosad
    UNION ALL
    SELECT 'nurture_decile', school_year, -1, nurture_decile, pupil_level_sd, semel_mosad
    FROM core.core_pupil_level
    UNION ALL
    -- A higher band is a better one. Of few schools with both, chance alone may say the opposite.
    SELECT
        'band' AS indicator_id,
        banded.school_year,
        1 AS expected_sign,
        banded.band AS background,
        achievement.level_sd AS outcome,
        banded.semel_mosad
    FROM (
        SELECT codes.semel_mosad, bands.school_year, avg(bands.band) AS band
        FROM staging.stg_tests__school_bands AS bands
        JOIN core.core_school_code AS codes ON codes.semel_mosad_old = bands.semel_mosad
        GROUP BY codes.semel_mosad, bands.school_year
    ) AS banded
    JOIN achievement ON achievement.semel_mosad = banded.semel_mosad AND achievement.school_year = banded.school_year
    QUALIFY count(*) OVER (PARTITION BY banded.school_year) >= 10
)
SELECT
    indicator_id,
    school_year,
    CAST(any_value(expected_sign) AS INTEGER) AS expected_sign,
    CASE WHEN isfinite(corr(background, outcome)) THEN corr(background, outcome) END AS correlation,
    CASE WHEN isfinite(corr(background, outcome)) THEN corr(background, outcome) * any_value(expected_sign) END AS signed_correlation,
    least(
        CASE indicator_id WHEN 'nurture_decile' THEN -0.1 ELSE -0.4 END,
        CASE WHEN regr_count(background, outcome) > 3 THEN -tanh(2.575829 / sqrt(regr_count(background, outcome) - 3)) ELSE -1 END
    ) AS least_correlation,
    CAST(count(DISTINCT semel_mosad) FILTER (WHERE background IS NOT NULL AND outcome IS NOT NULL) AS INTEGER) AS schools
FROM pairs
GROUP BY indicator_id, school_year
