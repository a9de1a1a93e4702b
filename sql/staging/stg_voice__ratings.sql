-- A row: one participant's rating of one response for its goal, as its source gives it, typed.
-- Key: participant_hash, response_id, goal_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    participant_hash,
    role,
    response_id,
    goal_id,
    rating,
    rating_evidence,
    CAST(rated_on AS DATE) AS rated_on,
    rationale
FROM raw.raw_voice__ratings
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'voice__ratings') AS set_aside
    USING (file_name, file_row)
