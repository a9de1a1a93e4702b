-- A row: one school in the last budgeted school year.
-- Key: semel_mosad.
-- Stage: decide.
-- What was decided for it then for the responses that the plan gives to schools; where no decision on that year is
-- kept, what was planned for it in the budget, money counted twice left out (R90).
WITH kept AS (
    SELECT
        coalesce(codes.semel_mosad, lines.semel_mosad) AS semel_mosad,
        lines.planning_year AS school_year,
        lines.cost_agorot AS plan_agorot
    FROM core.core_decided_line AS lines
    LEFT JOIN core.core_school_code AS codes ON codes.semel_mosad_old = lines.semel_mosad
    JOIN core.core_decided AS decisions USING (planning_year, decision_version)
    JOIN core.core_city AS city ON city.planning_year = lines.planning_year + 1
    WHERE decisions.is_in_force AND lines.semel_mosad IS NOT NULL
),
budgeted AS (
    SELECT lines.semel_mosad, lines.school_year, lines.plan_agorot
    FROM core.core_budget_line AS lines
    JOIN core.core_response AS responses ON responses.response_id = lines.response_id
    WHERE responses.is_allocated AND NOT responses.is_city_service AND NOT lines.is_double_counted
),
decided AS (
    SELECT semel_mosad, school_year, plan_agorot FROM kept
    UNION ALL
    SELECT semel_mosad, school_year, plan_agorot FROM budgeted WHERE NOT EXISTS (SELECT 1 FROM kept)
)
SELECT semel_mosad, school_year, CAST(sum(plan_agorot) AS BIGINT) AS last_year_agorot
FROM decided
WHERE school_year = (SELECT max(school_year) FROM decided)
GROUP BY semel_mosad, school_year
