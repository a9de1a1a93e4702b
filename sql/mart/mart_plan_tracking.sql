-- A row: one response × school year × funding channel, plan beside actual.
-- Key: response_id, school_year, funding_channel.
-- Stage: review.
SELECT
    response_id,
    school_year,
    funding_channel,
    CAST(sum(plan_agorot) AS BIGINT) AS plan_agorot,
    CAST(sum(actual_agorot) AS BIGINT) AS actual_agorot,
    CAST(sum(actual_agorot) - sum(plan_agorot) AS BIGINT) AS deviation_agorot,
    100.0 * (sum(actual_agorot) - sum(plan_agorot)) / nullif(sum(plan_agorot), 0) AS deviation_pct
FROM core.core_budget_line
GROUP BY response_id, school_year, funding_channel
