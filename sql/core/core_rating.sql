-- A row: ratings of one response for its goal by one role.
-- Key: response_id, goal_id, role.
-- Stage: collect.
-- Who rated is not kept, only how many of each role (R78).
SELECT
    response_id,
    goal_id,
    role,
    CAST(count(*) AS INTEGER) AS raters,
    CAST(count(*) FILTER (WHERE rating = 'not_effective') AS INTEGER) AS red_raters,
    CAST(count(*) FILTER (WHERE rating = 'fairly_effective') AS INTEGER) AS yellow_raters,
    CAST(count(*) FILTER (WHERE rating = 'very_effective') AS INTEGER) AS green_raters,
    CAST(count(rationale) AS INTEGER) AS rationales,
    min(rated_on) AS first_rated_on,
    max(rated_on) AS last_rated_on
FROM staging.stg_voice__ratings
GROUP BY response_id, goal_id, role
