-- A row: one response of the registry.
-- Key: response_id.
-- Stage: aim.
SELECT
    responses.response_id,
    responses.response_name_he,
    responses.response_name_en,
    responses.response_class,
    responses.action_channel,
    responses.goal_id,
    goals.goal_name_he,
    responses.is_goal_measured,
    responses.horizon,
    responses.is_excellence,
    responses.fixed_cost_agorot,
    responses.unit_cost_agorot,
    responses.source,
    responses.reason
FROM core.core_response AS responses
JOIN core.core_goal AS goals ON goals.goal_id = responses.goal_id
