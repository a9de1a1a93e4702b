-- A row: one share of pupils in one place ("city" or a school of the plan) and group in one school year.
-- Key: share_id, place, group_id, school_year.
-- Stage: diagnose.
-- Overt dropout, transfers, mobility, chronic absence and informal activity, each apart (R11, R12): who left to a known
-- destination moved and did not drop out. Schools are shown over all their pupils, groups over the whole plan. What a
-- school did not report is not measured, never zero.
WITH registered AS (
    SELECT pupils.pupil_hash, pupils.school_year, codes.semel_mosad
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
),
gone AS (
    SELECT
        pupil_hash,
        school_year,
        bool_or(destination = 'unknown') AS is_dropout,
        bool_or(destination <> 'unknown') AS is_transfer
    FROM staging.stg_attendance__exits
    GROUP BY pupil_hash, school_year
),
come AS (SELECT DISTINCT pupil_hash, school_year FROM staging.stg_attendance__entries),
active AS (SELECT DISTINCT pupil_hash, school_year FROM staging.stg_informal__participation),
pupils AS (
    SELECT
        registered.*,
        days.absence_days * 10 >= days.school_days AS is_chronic,
        coalesce(gone.is_dropout, false) AS is_dropout,
        coalesce(gone.is_transfer, false) AS is_transfer,
        gone.pupil_hash IS NOT NULL OR come.pupil_hash IS NOT NULL AS is_mobile,
        active.pupil_hash IS NOT NULL AS is_active,
        -- Few leave a school, so that a school without exits may have none: it reports if it reports absence.
        count(days.pupil_hash) OVER of_school > 0 AS has_absence,
        count(active.pupil_hash) OVER of_school > 0 AS has_activity,
        count(gone.pupil_hash) OVER of_year > 0 AS has_exits,
        count(come.pupil_hash) OVER of_year > 0 AS has_entries
    FROM registered
    LEFT JOIN staging.stg_attendance__pupil_years AS days
        ON days.pupil_hash = registered.pupil_hash AND days.school_year = registered.school_year
    LEFT JOIN gone ON gone.pupil_hash = registered.pupil_hash AND gone.school_year = registered.school_year
    LEFT JOIN come ON come.pupil_hash = registered.pupil_hash AND come.school_year = registered.school_year
    LEFT JOIN active ON active.pupil_hash = registered.pupil_hash AND active.school_year = registered.school_year
    WINDOW
        of_school AS (PARTITION BY registered.semel_mosad, registered.school_year),
        of_year AS (PARTITION BY registered.school_year)
),
-- Empty where the school did not report it.
said AS (
    SELECT 'overt_dropout' AS share_id, pupil_hash, school_year, semel_mosad,
        CASE WHEN has_absence AND has_exits THEN is_dropout END AS is_case
    FROM pupils
    UNION ALL
    SELECT 'transfer', pupil_hash, school_year, semel_mosad, CASE WHEN has_absence AND has_exits THEN is_transfer END
    FROM pupils
    UNION ALL
    SELECT 'mobility', pupil_hash, school_year, semel_mosad,
        CASE WHEN has_absence AND has_exits AND has_entries THEN is_mobile END
    FROM pupils
    UNION ALL
    SELECT 'chronic_absence', pupil_hash, school_year, semel_mosad, is_chronic
    FROM pupils
    UNION ALL
    SELECT 'informal', pupil_hash, school_year, semel_mosad, CASE WHEN has_activity THEN is_active END
    FROM pupils
),
counted AS (
    SELECT share_id, semel_mosad AS place, 'all' AS group_id, school_year, count(is_case) AS pupils,
        count(*) FILTER (WHERE is_case) AS case_pupils
    FROM said
    GROUP BY share_id, semel_mosad, school_year
    UNION ALL
    SELECT share_id, 'city', 'all', school_year, count(is_case), count(*) FILTER (WHERE is_case)
    FROM said
    GROUP BY share_id, school_year
    UNION ALL
    SELECT said.share_id, 'city', members.group_id, said.school_year,
        count(said.is_case), count(*) FILTER (WHERE said.is_case)
    FROM said
    JOIN core.core_pupil_group AS members
        ON members.pupil_hash = said.pupil_hash AND members.school_year = said.school_year
    GROUP BY said.share_id, members.group_id, said.school_year
),
shared AS (SELECT *, CAST(case_pupils AS DOUBLE) / nullif(pupils, 0) AS share FROM counted),
bounded AS (
    SELECT
        *,
        (share + 2.705543 / (2 * n)) / (1 + 2.705543 / n) AS middle,
        1.644854 * sqrt(share * (1 - share) / n + 2.705543 / (4 * n * n)) / (1 + 2.705543 / n) AS half
    FROM (SELECT *, nullif(pupils, 0) AS n FROM shared) AS whole
)
SELECT
    share_id,
    place,
    group_id,
    school_year,
    pupils > 0 AS is_measured,
    CAST(CASE WHEN pupils > 0 THEN pupils END AS INTEGER) AS pupils,
    CAST(CASE WHEN pupils > 0 THEN case_pupils END AS INTEGER) AS case_pupils,
    100 * share AS share_pct,
    -- Wilson's interval at 90 % (z = 1.644854); greatest() and least() pass over nulls.
    CASE WHEN pupils > 0 THEN 100 * greatest(0.0, middle - half) END AS share_lo_pct,
    CASE WHEN pupils > 0 THEN 100 * least(1.0, middle + half) END AS share_hi_pct
FROM bounded
