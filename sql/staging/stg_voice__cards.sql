-- A row: one nomination of a response on a card, as its source gives it, typed.
-- Key: participant_hash, card_category, response_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    participant_hash,
    role,
    card_category,
    response_id,
    card_reason
FROM raw.raw_voice__cards
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'voice__cards') AS set_aside
    USING (file_name, file_row)
