-- A row: the money of one line of the plan in force from one funding channel.
-- Key: plan_row_id, funding_channel.
-- Stage: decide.
WITH decided AS (
    SELECT money.plan_row_id, money.semel_mosad, money.response_id, money.funding_channel, money.amount_agorot
    FROM core.core_decided_money AS money
    JOIN core.core_decided AS decisions USING (planning_year, decision_version)
    JOIN core.core_city AS city ON city.planning_year = money.planning_year
    WHERE decisions.is_in_force
),
money AS (
    SELECT plan_row_id, semel_mosad, response_id, funding_channel, amount_agorot FROM decided
    UNION ALL
    SELECT concat(semel_mosad, '/', response_id) AS plan_row_id, semel_mosad, response_id, funding_channel, amount_agorot
    FROM mart.mart_allocation_money
    WHERE NOT EXISTS (SELECT 1 FROM decided)
    UNION ALL
    SELECT concat('city/', response_id), NULL, response_id, funding_channel, amount_agorot
    FROM mart.mart_city_service_money
    WHERE NOT EXISTS (SELECT 1 FROM decided)
)
SELECT plan_row_id, semel_mosad, response_id, funding_channel, amount_agorot FROM money
