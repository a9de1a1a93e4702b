-- A row: one department goal, as its source gives it, typed.
-- Key: goal_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    goal_id,
    goal_name_he,
    goal_name_en
FROM raw.raw_aim__goals
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'aim__goals') AS set_aside
    USING (file_name, file_row)
