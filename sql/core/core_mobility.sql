-- A row: one school in one school year.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- Mobility is not dropout: pupils who join and pupils who leave, wherever they go (R11).
WITH registered AS (
    SELECT codes.semel_mosad, pupils.school_year, CAST(count(*) AS INTEGER) AS registered_pupils
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    GROUP BY codes.semel_mosad, pupils.school_year
),
joined AS (
    SELECT codes.semel_mosad, entries.school_year, CAST(count(*) AS INTEGER) AS joined_pupils
    FROM staging.stg_attendance__entries AS entries
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = entries.semel_mosad
    GROUP BY codes.semel_mosad, entries.school_year
),
gone AS (
    SELECT codes.semel_mosad, exits.school_year, CAST(count(*) AS INTEGER) AS left_pupils
    FROM staging.stg_attendance__exits AS exits
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = exits.semel_mosad
    GROUP BY codes.semel_mosad, exits.school_year
),
counted AS (
    SELECT
        registered.semel_mosad,
        registered.school_year,
        registered.registered_pupils,
        -- A school without a row in the year's file is not measured, which is not zero.
        joined.joined_pupils,
        gone.left_pupils
    FROM registered
    LEFT JOIN joined ON joined.semel_mosad = registered.semel_mosad AND joined.school_year = registered.school_year
    LEFT JOIN gone ON gone.semel_mosad = registered.semel_mosad AND gone.school_year = registered.school_year
)
SELECT
    semel_mosad,
    school_year,
    registered_pupils,
    joined_pupils,
    left_pupils,
    100.0 * (joined_pupils + left_pupils) / registered_pupils AS mobility_pct
FROM counted
