-- A row: the plan's money of one funding channel in one state of confirmation.
-- Key: funding_channel, confirmation.
-- Stage: decide.
-- Other people's money is theirs (R83): source and reason are those of the policy for the channel, and stand where the
-- state is the channel's own.
WITH money AS (
    SELECT semel_mosad, funding_channel, confirmation, amount_agorot FROM mart.mart_allocation_money
    UNION ALL
    SELECT NULL, funding_channel, confirmation, amount_agorot FROM mart.mart_city_service_money
)
SELECT
    money.funding_channel,
    money.confirmation,
    CAST(count(DISTINCT money.semel_mosad) AS INTEGER) AS schools,
    CAST(coalesce(sum(money.amount_agorot) FILTER (money.semel_mosad IS NOT NULL), 0) AS BIGINT) AS schools_agorot,
    CAST(coalesce(sum(money.amount_agorot) FILTER (money.semel_mosad IS NULL), 0) AS BIGINT) AS city_services_agorot,
    CAST(sum(money.amount_agorot) AS BIGINT) AS allocated_agorot,
    max(stated.source) AS source,
    max(stated.reason) AS reason
FROM money
LEFT JOIN core.core_parameter AS stated
    ON stated.parameter_id = concat('policy.channels.', money.funding_channel, '.confirmation')
    AND stated.parameter_value = money.confirmation
GROUP BY money.funding_channel, money.confirmation
