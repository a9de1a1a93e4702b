-- A row: one line that was decided, or that today's data would give, on the plan that is decided.
-- Key: plan_row_id.
-- Stage: decide.
-- What today's data would give is information only: it changes nothing that was decided.
WITH decided AS (
    SELECT plan_row_id, semel_mosad, response_id, participants, cost_agorot
    FROM mart.mart_plan_line
    WHERE is_decided
),
today AS (
    SELECT
        concat(semel_mosad, '/', response_id) AS plan_row_id,
        semel_mosad,
        response_id,
        cost_agorot
    FROM mart.mart_allocation
    UNION ALL
    SELECT concat('city/', response_id), NULL, response_id, cost_agorot
    FROM mart.mart_city_service
    WHERE places > 0
)
SELECT
    plan_row_id,
    coalesce(decided.semel_mosad, today.semel_mosad) AS semel_mosad,
    coalesce(decided.response_id, today.response_id) AS response_id,
    decided.participants AS decided_participants,
    decided.cost_agorot AS decided_agorot,
    today.cost_agorot AS today_agorot,
    CASE
        WHEN today.plan_row_id IS NULL THEN 'decided_only'
        WHEN decided.plan_row_id IS NULL THEN 'today_only'
        WHEN decided.cost_agorot = today.cost_agorot THEN 'same'
        ELSE 'other_amount'
    END AS since_decision
FROM decided
FULL JOIN today USING (plan_row_id)
WHERE EXISTS (SELECT 1 FROM decided)
