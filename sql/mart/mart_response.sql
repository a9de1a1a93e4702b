-- A row: one response of the registry.
-- Key: response_id.
-- Stage: aim.
SELECT
    response_id,
    response_name_he,
    response_name_en,
    response_class,
    action_channel,
    goal_id,
    horizon,
    is_excellence,
    fixed_cost_agorot,
    unit_cost_agorot,
    source,
    reason
FROM core.core_response
