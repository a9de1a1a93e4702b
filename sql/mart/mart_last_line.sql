-- A row: one response in the last budgeted school year, by who paid.
-- Key: response_id, funding_channel.
-- Stage: decide.
-- What was decided for it then over all schools; where no decision on that year is kept, what was planned in the
-- budget, money counted twice left out. The committee's amount of a response that no measure judges, until one is
-- decided (R122).
WITH kept AS (
    SELECT money.response_id, money.funding_channel, money.planning_year AS school_year, money.amount_agorot AS plan_agorot
    FROM core.core_decided_money AS money
    JOIN core.core_decided AS decisions USING (planning_year, decision_version)
    JOIN core.core_city AS city ON city.planning_year = money.planning_year + 1
    WHERE decisions.is_in_force
),
budgeted AS (
    SELECT lines.response_id, lines.funding_channel, lines.school_year, lines.plan_agorot
    FROM core.core_budget_line AS lines
    JOIN core.core_response AS responses ON responses.response_id = lines.response_id
    WHERE responses.is_allocated AND NOT lines.is_double_counted
),
decided AS (
    SELECT response_id, funding_channel, school_year, plan_agorot FROM kept
    UNION ALL
    SELECT response_id, funding_channel, school_year, plan_agorot FROM budgeted WHERE NOT EXISTS (SELECT 1 FROM kept)
)
SELECT response_id, funding_channel, school_year, CAST(sum(plan_agorot) AS BIGINT) AS last_year_agorot
FROM decided
WHERE school_year = (SELECT max(school_year) FROM decided)
GROUP BY response_id, funding_channel, school_year
