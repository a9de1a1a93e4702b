-- A row: one response or initiative that the policy or the city's registry knows.
-- Key: response_id.
-- Stage: collect.
-- One response has one id, however it is mentioned; the policy adds costs and effects to some of them (R14, R15).
SELECT
    coalesce(registry.response_id, responses.response_id) AS response_id,
    coalesce(registry.response_name_he, responses.response_name_he) AS response_name_he,
    registry.initiative_number,
    registry.intervention_class,
    registry.provider,
    registry.domain,
    coalesce(registry.goal_id, responses.goal_id) AS goal_id,
    registry.delivery_scale,
    CAST(1 + coalesce(array_length(string_split(registry.response_aliases, '|')), 0) AS INTEGER) AS mentions,
    responses.response_id IS NOT NULL AS is_in_policy
FROM staging.stg_programmes__registry AS registry
FULL JOIN core.core_response AS responses ON responses.response_id = registry.response_id
