-- A row: what people decided on one response for one planned school year.
-- Key: planning_year, response_id.
-- Stage: decide.
-- A proposal is never a decision: only what people recorded is one, of earlier years too (R68).
SELECT
    decisions.planning_year,
    decisions.response_id,
    registry.response_name_he,
    split_part(decisions.decision_value, ':', 1) AS decision,
    decisions.decided_by_role,
    decisions.decided_on,
    decisions.decision_reason
FROM core.core_decision AS decisions
JOIN core.core_registry AS registry ON registry.response_id = decisions.response_id
WHERE decisions.decision_kind = 'response' AND decisions.is_in_force
