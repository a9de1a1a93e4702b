-- A row: what people decided on one response for one planned school year, as its source gives it, typed.
-- Key: planning_year, response_id.
-- Stage: collect.
-- Rows that cannot be typed, or lack a reason, stay in raw.raw_quarantine with their reason (R68).
SELECT
    CAST(planning_year AS INTEGER) AS planning_year,
    response_id,
    decision,
    decision_reason,
    decided_by_role,
    CAST(decided_on AS DATE) AS decided_on
FROM raw.raw_aim__decisions
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'aim__decisions') AS set_aside
    USING (file_name, file_row)
