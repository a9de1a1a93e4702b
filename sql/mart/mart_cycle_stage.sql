-- A row: one of the six stages of the cycle that is planned.
-- Key: stage_id.
-- Stage: review.
-- A stage is closed by a decision, and only if the tables that prove it have rows and every stage before it is closed;
-- to go back is always allowed (R108).
WITH proven AS (
    SELECT 1 AS stage_order, 'aim' AS stage_id, (SELECT count(*) FROM core.core_target) AS stage_rows
    UNION ALL SELECT 2, 'collect', (SELECT count(*) FROM core.core_school_subject_year)
    UNION ALL SELECT 3, 'diagnose', (SELECT count(*) FROM mart.mart_gap_school WHERE is_measured)
    UNION ALL SELECT 4, 'decide', (SELECT count(*) FROM mart.mart_plan_line WHERE is_decided)
    UNION ALL SELECT 5, 'act', (SELECT count(*) FROM mart.mart_work_plan WHERE is_decided)
    UNION ALL SELECT
        6,
        'review',
        (
            SELECT count(*)
            FROM mart.mart_plan_tracking AS tracked
            JOIN core.core_city AS city ON city.planning_year = tracked.school_year
            WHERE tracked.actual_agorot > 0
        )
),
closing AS (
    SELECT decisions.decision_object AS stage_id, max(decisions.decided_on) AS decided_on
    FROM core.core_decision AS decisions
    JOIN core.core_city AS city ON city.planning_year = decisions.planning_year
    WHERE decisions.decision_kind = 'stage' AND decisions.is_in_force AND decisions.decision_value = 'closed'
    GROUP BY decisions.decision_object
),
held AS (
    SELECT
        proven.stage_id,
        proven.stage_order,
        proven.stage_rows,
        closing.decided_on,
        closing.stage_id IS NOT NULL AND proven.stage_rows > 0 AS holds
    FROM proven
    LEFT JOIN closing USING (stage_id)
)
SELECT
    stage_id,
    stage_order,
    CAST(stage_rows AS INTEGER) AS stage_rows,
    decided_on,
    CASE
        WHEN decided_on IS NULL THEN 'open'
        WHEN bool_and(holds) OVER (ORDER BY stage_order) THEN 'closed'
        ELSE 'not_proven'
    END AS stage_state
FROM held
