-- A row: one cause on one participant's ladder, as its source gives it, typed.
-- Key: participant_hash, cause_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    participant_hash,
    role,
    cause_id,
    CAST(ladder_rung AS INTEGER) AS ladder_rung
FROM raw.raw_voice__ladders
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'voice__ladders') AS set_aside
    USING (file_name, file_row)
