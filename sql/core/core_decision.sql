-- A row: one decision of the committee, of this cycle and of others.
-- Key: decision_id.
-- Stage: collect.
-- The log and the older file of decisions on responses are one list; of two on the same thing the log's stands. A
-- decision is in force until a later one replaces it (R100).
WITH every AS (
    SELECT
        logged.decision_id,
        logged.planning_year,
        logged.decision_kind,
        logged.decision_object,
        logged.response_id,
        coalesce(codes.semel_mosad, logged.semel_mosad) AS semel_mosad,
        logged.decision_value,
        logged.decision_reason,
        logged.decided_by_role,
        logged.decided_on,
        logged.release_id,
        logged.meeting_number,
        logged.votes_for,
        logged.votes_against,
        logged.votes_abstained,
        logged.replaces_id
    FROM staging.stg_decide__log AS logged
    LEFT JOIN core.core_school_code AS codes ON codes.semel_mosad_old = logged.semel_mosad
    UNION ALL
    SELECT
        concat('decisions/', planning_year, '/', response_id) AS decision_id,
        planning_year,
        'response' AS decision_kind,
        CAST(NULL AS VARCHAR) AS decision_object,
        response_id,
        CAST(NULL AS VARCHAR) AS semel_mosad,
        decision AS decision_value,
        decision_reason,
        decided_by_role,
        decided_on,
        CAST(NULL AS VARCHAR) AS release_id,
        CAST(NULL AS INTEGER) AS meeting_number,
        CAST(NULL AS INTEGER) AS votes_for,
        CAST(NULL AS INTEGER) AS votes_against,
        CAST(NULL AS INTEGER) AS votes_abstained,
        CAST(NULL AS VARCHAR) AS replaces_id
    FROM staging.stg_aim__decisions
)
SELECT
    every.decision_id,
    every.planning_year,
    every.decision_kind,
    every.decision_object,
    every.response_id,
    every.semel_mosad,
    every.decision_value,
    every.decision_reason,
    every.decided_by_role,
    every.decided_on,
    every.release_id,
    every.meeting_number,
    every.votes_for,
    every.votes_against,
    every.votes_abstained,
    every.replaces_id,
    replaced.decision_id IS NULL
    AND NOT (starts_with(every.decision_id, 'decisions/') AND settled.response_id IS NOT NULL) AS is_in_force
FROM every
LEFT JOIN (SELECT DISTINCT replaces_id AS decision_id FROM staging.stg_decide__log) AS replaced
    ON replaced.decision_id = every.decision_id
LEFT JOIN (
    SELECT DISTINCT planning_year, response_id FROM staging.stg_decide__log WHERE decision_kind = 'response'
) AS settled
    ON settled.planning_year = every.planning_year AND settled.response_id = every.response_id
