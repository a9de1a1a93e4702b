-- A row: one school in one school year against the year before, over its internal tests.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- A school whose whole level jumps within a year is looked at before it is believed.
WITH levels AS (
    SELECT
        codes.semel_mosad,
        scores.school_year,
        CAST(count(scores.score) AS INTEGER) AS tested_pupils,
        avg((scores.score - scales.reference_mean) / scales.reference_sd) AS level_sd
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    JOIN core.core_scale AS scales
        ON scales.scale_id = scores.scale_id
        AND scales.school_year = scores.school_year
        AND scales.grade = scores.grade
        AND scales.subject = scores.subject
    WHERE scores.is_tested AND scores.test_source = 'internal' AND scores.score IS NOT NULL
    GROUP BY codes.semel_mosad, scores.school_year
)
SELECT
    now.semel_mosad,
    now.school_year,
    now.tested_pupils,
    now.level_sd,
    before.level_sd AS previous_level_sd,
    now.level_sd - before.level_sd AS change_sd
FROM levels AS now
LEFT JOIN levels AS before ON before.semel_mosad = now.semel_mosad AND before.school_year = now.school_year - 1
