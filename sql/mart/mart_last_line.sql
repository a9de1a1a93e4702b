-- A row: one response in the last budgeted school year, by who paid.
-- Key: response_id, funding_channel.
-- Stage: decide.
-- What was planned for it then over all schools, money counted twice left out; the committee's amount of a
-- response that no measure judges, until one is decided (R122).
WITH decided AS (
    SELECT lines.response_id, lines.funding_channel, lines.school_year, lines.plan_agorot
    FROM core.core_budget_line AS lines
    JOIN core.core_response AS responses ON responses.response_id = lines.response_id
    WHERE responses.is_allocated AND NOT lines.is_double_counted
)
SELECT response_id, funding_channel, school_year, CAST(sum(plan_agorot) AS BIGINT) AS last_year_agorot
FROM decided
WHERE school_year = (SELECT max(school_year) FROM decided)
GROUP BY response_id, funding_channel, school_year
