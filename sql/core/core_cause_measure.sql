-- A row: one measure of a possible cause in one school, over the window's years; larger = worse.
-- Key: semel_mosad, cause_measure.
-- Stage: diagnose.
-- What is not measured in a school has no row; it is never taken for "no problem" (R47, R48).
WITH city AS (SELECT window_first_year, window_last_year FROM core.core_city),
register AS (
    SELECT codes.semel_mosad, pupils.has_home_internet, pupils.years_in_israel
    FROM staging.stg_register__pupils AS pupils
    CROSS JOIN city
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    WHERE pupils.school_year BETWEEN city.window_first_year AND city.window_last_year
),
climate AS (
    SELECT core_climate.*
    FROM core.core_climate
    CROSS JOIN city
    WHERE school_year BETWEEN city.window_first_year AND city.window_last_year
),
-- How much wider the gap is at the start of school than at its end, against the same grades of the city.
by_stage AS (
    SELECT
        cells.semel_mosad,
        cells.subject,
        cells.grade <= 3 AS is_start,
        cells.tested_pupils,
        cells.gap_raw_sd - sum(cells.gap_raw_sd * cells.tested_pupils) OVER (
            PARTITION BY cells.subject, cells.grade, cells.school_year, cells.scale_id
        ) / sum(cells.tested_pupils) OVER (PARTITION BY cells.subject, cells.grade, cells.school_year, cells.scale_id) AS departure
    FROM core.core_gap_cell AS cells
    CROSS JOIN city
    WHERE cells.group_id = 'all'
        AND cells.is_measured
        AND cells.school_year BETWEEN city.window_first_year AND city.window_last_year
        AND (cells.grade <= 3 OR cells.grade >= 5)
),
-- Only subjects tested at both stages: otherwise a school weak in science would look like one that caught up.
subjects AS (
    SELECT
        semel_mosad,
        subject,
        sum(departure * tested_pupils) FILTER (WHERE is_start) / sum(tested_pupils) FILTER (WHERE is_start)
        - sum(departure * tested_pupils) FILTER (WHERE NOT is_start) / sum(tested_pupils) FILTER (WHERE NOT is_start) AS wider_at_start,
        sum(tested_pupils) AS tested_pupils
    FROM by_stage
    GROUP BY semel_mosad, subject
),
stages AS (
    SELECT semel_mosad, avg(wider_at_start) AS measure_value, CAST(sum(tested_pupils) AS INTEGER) AS measure_pupils
    FROM subjects
    WHERE wider_at_start IS NOT NULL
    GROUP BY semel_mosad
),
measures AS (
    -- Background moves slowly: where the window has no index, the last known one stands in.
    SELECT
        years.semel_mosad,
        'nurture_index' AS cause_measure,
        coalesce(
            avg(years.nurture_index) FILTER (WHERE years.school_year BETWEEN city.window_first_year AND city.window_last_year),
            arg_max(years.nurture_index, years.school_year)
        ) AS measure_value,
        CAST(arg_max(years.pupils, years.school_year) AS INTEGER) AS measure_pupils
    FROM core.core_school_year AS years
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = years.semel_mosad
    CROSS JOIN city
    WHERE years.nurture_index IS NOT NULL AND years.school_year <= city.window_last_year
    GROUP BY years.semel_mosad
    UNION ALL
    SELECT semel_mosad, 'no_home_internet_pct', 100.0 * avg(CAST(NOT has_home_internet AS INTEGER)), CAST(count(has_home_internet) AS INTEGER)
    FROM register
    GROUP BY semel_mosad
    UNION ALL
    SELECT semel_mosad, 'new_immigrants_pct', 100.0 * avg(CAST(coalesce(years_in_israel <= 2, false) AS INTEGER)), CAST(count(*) AS INTEGER)
    FROM register
    GROUP BY semel_mosad
    UNION ALL
    SELECT codes.semel_mosad, 'absence_days', avg(days.absence_days), CAST(count(*) AS INTEGER)
    FROM staging.stg_attendance__pupil_years AS days
    CROSS JOIN city
    JOIN staging.stg_register__pupils AS pupils
        ON pupils.pupil_hash = days.pupil_hash AND pupils.school_year = days.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    WHERE days.school_year BETWEEN city.window_first_year AND city.window_last_year
    GROUP BY codes.semel_mosad
    UNION ALL
    SELECT semel_mosad, 'poor_teaching_pct', 100 - sum(agree_pct * respondents) / sum(respondents), CAST(sum(respondents) AS INTEGER)
    FROM climate
    WHERE facet = 'teaching'
    GROUP BY semel_mosad
    UNION ALL
    SELECT semel_mosad, 'poor_climate_pct', 100 - sum(agree_pct * respondents) / sum(respondents), CAST(max(respondents) AS INTEGER)
    FROM climate
    WHERE facet <> 'teaching'
    GROUP BY semel_mosad
    UNION ALL
    SELECT semel_mosad, 'late_start_sd', measure_value, measure_pupils
    FROM stages
)
SELECT semel_mosad, cause_measure, measure_value, measure_pupils
FROM measures
WHERE measure_value IS NOT NULL AND measure_pupils > 0
