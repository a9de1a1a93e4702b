-- A row: one dated target of a scale and subject, as its source gives it, typed.
-- Key: scale_id, subject, valid_from.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    scale_id,
    subject,
    CAST(valid_from AS DATE) AS valid_from,
    target_type,
    CAST(desired_value AS DOUBLE) AS desired_value,
    source
FROM raw.raw_aim__targets
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'aim__targets') AS set_aside
    USING (file_name, file_row)
