-- A row: pupils by number of listed responses for one goal ("all" = whatever the goal); 3 stands for three or more.
-- Key: goal_id, responses_count.
-- Stage: decide.
-- Registered pupils of the plan's schools in the last year reported (R55). The number of pupils in need is known where a
-- gap is a need of the goal. Where one row is small the next smallest is hidden with it: rows add up to the pupils.
WITH last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
registered AS (
    SELECT pupils.pupil_hash, gaps.pupil_gap_sd >= TRY_CAST(bound.parameter_value AS DOUBLE) AS is_in_need
    FROM staging.stg_register__pupils AS pupils
    JOIN last_report ON last_report.school_year = pupils.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    JOIN core.core_school AS schools ON schools.semel_mosad = codes.semel_mosad AND schools.is_in_plan
    LEFT JOIN core.core_pupil_gap AS gaps ON gaps.pupil_hash = pupils.pupil_hash
    LEFT JOIN core.core_parameter AS bound ON bound.parameter_id = 'policy.response_map.in_need_below_sd'
),
lists AS (
    SELECT lists.pupil_hash, registry.goal_id
    FROM core.core_response_participant AS lists
    JOIN last_report ON last_report.school_year = lists.school_year
    JOIN core.core_registry AS registry ON registry.response_id = lists.response_id
),
loads AS (
    SELECT goals.goal_id, registered.pupil_hash, registered.is_in_need, least(count(lists.pupil_hash), 3) AS responses_count
    FROM registered
    CROSS JOIN (SELECT DISTINCT goal_id FROM lists UNION ALL SELECT 'all' WHERE EXISTS (SELECT 1 FROM lists)) AS goals
    LEFT JOIN lists
        ON lists.pupil_hash = registered.pupil_hash
        AND (lists.goal_id = goals.goal_id OR goals.goal_id = 'all')
    GROUP BY goals.goal_id, registered.pupil_hash, registered.is_in_need
),
counted AS (
    SELECT
        loads.goal_id,
        loads.responses_count,
        count(*) AS pupils,
        count(*) FILTER (WHERE loads.is_in_need) AS in_need_pupils,
        loads.goal_id = 'all' OR loads.goal_id IN (SELECT goal_id FROM core.core_need WHERE need_measure = 'gap' AND group_id = 'all')
            AS is_need_known
    FROM loads
    GROUP BY loads.goal_id, loads.responses_count
)
SELECT
    goal_id,
    CAST(responses_count AS INTEGER) AS responses_count,
    CAST(pupils AS INTEGER) AS load_pupils,
    CAST(CASE WHEN is_need_known THEN in_need_pupils END AS INTEGER) AS tested_in_need_pupils,
    CAST(least(
        pupils,
        CASE WHEN is_need_known THEN nullif(in_need_pupils, 0) END,
        CASE WHEN is_need_known THEN nullif(pupils - in_need_pupils, 0) END,
        CASE
            WHEN row_number() OVER (PARTITION BY goal_id ORDER BY pupils, responses_count) = 2
                THEN min(pupils) OVER (PARTITION BY goal_id)
        END
    ) AS INTEGER) AS cell_pupils
FROM counted
