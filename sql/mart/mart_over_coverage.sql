-- A row: one school of the plan × goal that listed responses serve.
-- Key: semel_mosad, goal_id.
-- Stage: decide.
-- Pupils in several responses for one goal, beside pupils in need who are in none (R55). Responses for the whole school
-- are left out: they choose nobody. Without lists of participants nothing is measured, and every goal says so. Who is in
-- need is known of the goals that a gap is a need of, from pupils' tests of the year. cell_pupils is the smallest part:
-- a small part hides all, and with one school its next smallest, so that the city's total does not tell it.
WITH last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
listed AS (
    SELECT lists.pupil_hash, registry.goal_id, CAST(count(*) AS INTEGER) AS responses_count
    FROM core.core_response_participant AS lists
    JOIN last_report ON last_report.school_year = lists.school_year
    JOIN core.core_registry AS registry ON registry.response_id = lists.response_id
    GROUP BY lists.pupil_hash, registry.goal_id
),
in_need AS (
    SELECT gaps.pupil_hash
    FROM core.core_pupil_gap AS gaps
    JOIN core.core_parameter AS bound ON bound.parameter_id = 'policy.response_map.in_need_below_sd'
    WHERE gaps.pupil_gap_sd >= TRY_CAST(bound.parameter_value AS DOUBLE)
),
gap_goals AS (
    SELECT DISTINCT goal_id
    FROM core.core_need
    WHERE need_measure = 'gap' AND group_id = 'all'
),
goals AS (
    SELECT DISTINCT goal_id FROM listed
    UNION
    SELECT goal_id FROM core.core_registry WHERE NOT EXISTS (SELECT 1 FROM listed)
),
registered AS (
    SELECT codes.semel_mosad, pupils.pupil_hash
    FROM staging.stg_register__pupils AS pupils
    JOIN last_report ON last_report.school_year = pupils.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    WHERE EXISTS (SELECT 1 FROM listed)
),
counted AS (
    SELECT
        schools.semel_mosad,
        goals.goal_id,
        any_value(last_report.school_year) AS school_year,
        count(registered.pupil_hash) > 0 AS is_measured,
        any_value(gap_goals.goal_id) IS NOT NULL AND count(gaps.pupil_hash) > 0 AS is_need_known,
        count(registered.pupil_hash) FILTER (WHERE listed.responses_count IS NULL) AS none_pupils,
        count(*) FILTER (WHERE listed.responses_count = 1) AS one_pupils,
        count(*) FILTER (WHERE listed.responses_count >= 2) AS several_pupils,
        count(in_need.pupil_hash) FILTER (WHERE listed.responses_count IS NULL) AS in_need_none_pupils
    FROM core.core_school AS schools
    CROSS JOIN goals
    CROSS JOIN last_report
    LEFT JOIN registered ON registered.semel_mosad = schools.semel_mosad
    LEFT JOIN listed ON listed.pupil_hash = registered.pupil_hash AND listed.goal_id = goals.goal_id
    LEFT JOIN gap_goals ON gap_goals.goal_id = goals.goal_id
    LEFT JOIN core.core_pupil_gap AS gaps ON gaps.pupil_hash = registered.pupil_hash
    LEFT JOIN in_need ON in_need.pupil_hash = registered.pupil_hash
    WHERE schools.is_in_plan
    GROUP BY schools.semel_mosad, goals.goal_id
),
parts AS (
    SELECT
        *,
        least(
            nullif(none_pupils, 0),
            nullif(one_pupils, 0),
            nullif(several_pupils, 0),
            CASE WHEN is_need_known THEN nullif(in_need_none_pupils, 0) END
        ) AS smallest_part
    FROM counted
    WHERE NOT is_measured OR one_pupils + several_pupils > 0
)
SELECT
    semel_mosad,
    goal_id,
    school_year,
    is_measured,
    CAST(CASE WHEN is_measured THEN none_pupils END AS INTEGER) AS none_pupils,
    CAST(CASE WHEN is_measured THEN one_pupils END AS INTEGER) AS one_pupils,
    CAST(CASE WHEN is_measured THEN several_pupils END AS INTEGER) AS several_pupils,
    CAST(CASE WHEN is_need_known THEN in_need_none_pupils END AS INTEGER) AS in_need_none_pupils,
    CASE WHEN is_need_known THEN several_pupils > 0 AND in_need_none_pupils > 0 END AS is_over_covered,
    CAST(CASE
        WHEN row_number() OVER (PARTITION BY goal_id ORDER BY smallest_part, semel_mosad) = 2
            THEN min(smallest_part) OVER (PARTITION BY goal_id)
        ELSE smallest_part
    END AS INTEGER) AS cell_pupils
FROM parts
