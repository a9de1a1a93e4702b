-- A row: one decision on the plan of one cycle, in its place in the chain.
-- Key: planning_year, decision_version.
-- Stage: decide.
SELECT
    decided.planning_year,
    decided.decision_version,
    decided.scenario_id,
    decided.scenario_name_he,
    decided.release_id,
    decided.decided_by_role,
    decided.decision_reason,
    decided.decided_on,
    decided.votes_for,
    decided.votes_against,
    decided.votes_abstained,
    decided.replaces_version,
    decided.is_in_force,
    decided.window_first_year,
    decided.window_last_year,
    decided.decision_hash,
    decided.before_hash,
    CAST(coalesce(lines.agorot, 0) AS BIGINT) AS decided_agorot,
    CAST(coalesce(lines.participants, 0) AS INTEGER) AS decided_participants
FROM core.core_decided AS decided
LEFT JOIN (
    SELECT planning_year, decision_version, sum(cost_agorot) AS agorot, sum(participants) AS participants
    FROM core.core_decided_line
    GROUP BY planning_year, decision_version
) AS lines USING (planning_year, decision_version)
