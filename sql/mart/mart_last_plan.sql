-- A row: one school in the last budgeted school year.
-- Key: semel_mosad.
-- Stage: decide.
-- What was planned for it then for the responses that the plan gives to schools, money counted twice left out (R90).
WITH decided AS (
    SELECT lines.semel_mosad, lines.school_year, lines.plan_agorot
    FROM core.core_budget_line AS lines
    JOIN core.core_response AS responses ON responses.response_id = lines.response_id
    WHERE responses.is_allocated AND NOT responses.is_city_service AND NOT lines.is_double_counted
)
SELECT semel_mosad, school_year, CAST(sum(plan_agorot) AS BIGINT) AS last_year_agorot
FROM decided
WHERE school_year = (SELECT max(school_year) FROM decided)
GROUP BY semel_mosad, school_year
