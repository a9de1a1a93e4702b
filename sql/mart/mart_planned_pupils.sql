-- A row: one school of the plan.
-- Key: semel_mosad.
-- Stage: collect.
-- The register of the planned year tells how many pupils there are; until it comes a forecast of that year tells how many
-- are foreseen, and without one the last register stands. Forecasts of merged codes are added up.
WITH last_register AS (
    SELECT semel_mosad, school_year AS registered_year, pupils AS last_registered_pupils
    FROM core.core_school_year
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC) = 1
),
foreseen AS (
    SELECT
        codes.semel_mosad,
        CAST(sum(forecasts.forecast_pupils) AS INTEGER) AS forecast_pupils,
        max(forecasts.forecast_on) AS forecast_on
    FROM staging.stg_register__forecast AS forecasts
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = forecasts.semel_mosad
    JOIN core.core_city AS city ON city.planning_year = forecasts.school_year
    GROUP BY codes.semel_mosad
),
come AS (
    SELECT years.semel_mosad, years.pupils
    FROM core.core_school_year AS years
    JOIN core.core_city AS city ON city.planning_year <= years.school_year
    QUALIFY row_number() OVER (PARTITION BY years.semel_mosad ORDER BY years.school_year DESC) = 1
)
SELECT
    schools.semel_mosad,
    schools.school_name_he,
    schools.stream,
    city.planning_year,
    last_register.registered_year,
    last_register.last_registered_pupils,
    foreseen.forecast_pupils,
    foreseen.forecast_on,
    foreseen.forecast_pupils - last_register.last_registered_pupils AS forecast_change_pupils,
    CASE
        WHEN come.pupils IS NOT NULL THEN 'register'
        WHEN foreseen.forecast_pupils IS NOT NULL THEN 'forecast'
        ELSE 'last_register'
    END AS planned_by,
    coalesce(come.pupils, foreseen.forecast_pupils, last_register.last_registered_pupils) AS pupils
FROM core.core_school AS schools
CROSS JOIN core.core_city AS city
JOIN last_register ON last_register.semel_mosad = schools.semel_mosad
LEFT JOIN foreseen ON foreseen.semel_mosad = schools.semel_mosad
LEFT JOIN come ON come.semel_mosad = schools.semel_mosad
WHERE schools.is_in_plan AND last_register.last_registered_pupils > 0
