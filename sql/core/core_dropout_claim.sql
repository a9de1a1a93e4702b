-- A row: overt dropout as one school's exits claim it.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- A pupil who left to nowhere known but sits in another school of the city moved, and did not drop out (R11).
SELECT
    codes.semel_mosad,
    exits.school_year,
    CAST(count(*) AS INTEGER) AS unknown_exits,
    CAST(
        count(*) FILTER (
            WHERE EXISTS (
                SELECT 1
                FROM staging.stg_register__pupils AS pupils
                JOIN core.core_city_code AS elsewhere ON elsewhere.semel_mosad_old = pupils.semel_mosad
                WHERE pupils.pupil_hash = exits.pupil_hash
                    AND pupils.school_year IN (exits.school_year, exits.school_year + 1)
                    AND elsewhere.semel_mosad <> codes.semel_mosad
            )
        ) AS INTEGER
    ) AS found_elsewhere
FROM staging.stg_attendance__exits AS exits
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = exits.semel_mosad
WHERE exits.destination = 'unknown'
GROUP BY codes.semel_mosad, exits.school_year
