-- A row: one school in one school year.
-- Key: semel_mosad, school_year.
-- Stage: collect.
WITH present AS (
    SELECT
        codes.semel_mosad,
        days.school_year,
        CAST(count(*) AS INTEGER) AS attendance_pupils,
        -- Chronic absence: a tenth of the school days or more.
        CAST(count(*) FILTER (WHERE days.absence_days * 10 >= days.school_days) AS INTEGER) AS chronic_absence_pupils
    FROM staging.stg_attendance__pupil_years AS days
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = days.semel_mosad
    GROUP BY codes.semel_mosad, days.school_year
),
gone AS (
    SELECT
        codes.semel_mosad,
        exits.school_year,
        -- Transfers to a known destination are not dropout.
        CAST(count(*) FILTER (WHERE exits.destination = 'unknown') AS INTEGER) AS overt_dropout_pupils,
        CAST(count(*) FILTER (WHERE exits.destination <> 'unknown') AS INTEGER) AS transferred_pupils
    FROM staging.stg_attendance__exits AS exits
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = exits.semel_mosad
    GROUP BY codes.semel_mosad, exits.school_year
),
reported AS (SELECT DISTINCT school_year FROM staging.stg_attendance__exits)
SELECT
    present.semel_mosad,
    present.school_year,
    present.attendance_pupils,
    present.chronic_absence_pupils,
    -- A school without exits in a year that was reported has none; in a year without a report nothing is known.
    CASE WHEN reported.school_year IS NOT NULL THEN coalesce(gone.overt_dropout_pupils, 0) END AS overt_dropout_pupils,
    CASE WHEN reported.school_year IS NOT NULL THEN coalesce(gone.transferred_pupils, 0) END AS transferred_pupils
FROM present
LEFT JOIN gone ON gone.semel_mosad = present.semel_mosad AND gone.school_year = present.school_year
LEFT JOIN reported ON reported.school_year = present.school_year
