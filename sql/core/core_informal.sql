-- A row: informal activity in one school and school year.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- A pupil with two activities is one participant (R12).
WITH registered AS (
    SELECT codes.semel_mosad, pupils.school_year, CAST(count(*) AS INTEGER) AS registered_pupils
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    GROUP BY codes.semel_mosad, pupils.school_year
),
active AS (
    SELECT codes.semel_mosad, pupils.school_year, CAST(count(DISTINCT pupils.pupil_hash) AS INTEGER) AS informal_pupils
    FROM staging.stg_register__pupils AS pupils
    JOIN staging.stg_informal__participation AS activities
        ON activities.pupil_hash = pupils.pupil_hash AND activities.school_year = pupils.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    GROUP BY codes.semel_mosad, pupils.school_year
),
-- A school without a row in a year's files is not measured: whether nobody took part is unknown.
reported AS (
    SELECT DISTINCT codes.semel_mosad, activities.school_year
    FROM staging.stg_informal__participation AS activities
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = activities.semel_mosad
),
counted AS (
    SELECT
        registered.semel_mosad,
        registered.school_year,
        registered.registered_pupils,
        CASE WHEN reported.semel_mosad IS NOT NULL THEN coalesce(active.informal_pupils, 0) ELSE active.informal_pupils END AS informal_pupils
    FROM registered
    LEFT JOIN active ON active.semel_mosad = registered.semel_mosad AND active.school_year = registered.school_year
    LEFT JOIN reported ON reported.semel_mosad = registered.semel_mosad AND reported.school_year = registered.school_year
)
SELECT
    semel_mosad,
    school_year,
    registered_pupils,
    informal_pupils,
    100.0 * informal_pupils / registered_pupils AS informal_pct
FROM counted
-- A year in which nobody reported activities says nothing about any school.
WHERE school_year IN (SELECT school_year FROM staging.stg_informal__participation)
