-- A row: one registered pupil in one school year.
-- Key: pupil_hash, school_year.
-- Stage: collect.
-- A pupil who sat no test has no level; none is made up.
WITH levels AS (
    SELECT
        scores.pupil_hash,
        scores.school_year,
        avg((scores.score - scales.reference_mean) / scales.reference_sd) AS pupil_level_sd
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_scale AS scales
        ON scales.scale_id = scores.scale_id
        AND scales.school_year = scores.school_year
        AND scales.grade = scores.grade
        AND scales.subject = scores.subject
    WHERE scores.is_tested AND scores.test_source = 'internal'
    GROUP BY scores.pupil_hash, scores.school_year
)
SELECT
    pupils.pupil_hash,
    pupils.school_year,
    codes.semel_mosad,
    pupils.grade,
    levels.pupil_level_sd,
    pupils.nurture_decile,
    coalesce(pupils.years_in_israel <= 2, false) AS is_new_immigrant,
    pupils.is_sen_integration,
    pupils.has_home_internet,
    100.0 * days.absence_days / days.school_days AS absence_pct,
    -- A tenth of the days is the usual bound of chronic absence; empty where the pupil is not seen a year later.
    later.absence_days * 10 >= later.school_days AS is_chronic_next_year,
    pupils.is_gifted,
    pupils.is_amirim
FROM staging.stg_register__pupils AS pupils
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
LEFT JOIN levels ON levels.pupil_hash = pupils.pupil_hash AND levels.school_year = pupils.school_year
LEFT JOIN staging.stg_attendance__pupil_years AS days
    ON days.pupil_hash = pupils.pupil_hash AND days.school_year = pupils.school_year
LEFT JOIN staging.stg_attendance__pupil_years AS later
    ON later.pupil_hash = pupils.pupil_hash AND later.school_year = pupils.school_year + 1
