-- A row: ratings of one response for its goal that rest on one type of evidence.
-- Key: response_id, goal_id, rating_evidence.
-- Stage: collect.
-- Ratings that do not say what they rest on are not here; all roles are counted together (R59, R78).
SELECT
    response_id,
    goal_id,
    rating_evidence,
    CAST(count(*) AS INTEGER) AS raters
FROM staging.stg_voice__ratings
WHERE rating_evidence IS NOT NULL
GROUP BY response_id, goal_id, rating_evidence
