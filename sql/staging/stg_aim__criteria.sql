-- A row: one version of one criterion, as its source gives it, typed.
-- Key: criterion_id, criterion_version.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    criterion_id,
    CAST(criterion_version AS INTEGER) AS criterion_version,
    criterion_name_he,
    criteria_field,
    criterion_scope,
    semel_mosad,
    identification_method,
    identified_column,
    measure_id,
    CAST(threshold AS DOUBLE) AS threshold,
    threshold_side,
    goal_id,
    criterion_owner,
    CAST(valid_from AS DATE) AS valid_from
FROM raw.raw_aim__criteria
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'aim__criteria') AS set_aside
    USING (file_name, file_row)
