-- A row: one quality check of one table.
-- Key: table_name, check_id.
-- Stage: review.
-- What every check of this city last said; its own check is left out, it runs after the table is made.
SELECT
    table_name,
    check_id,
    quality_dimension,
    severity,
    is_blocking,
    is_passed,
    checked_rows,
    failing_rows,
    failing_keys,
    owner_role,
    finding_he,
    finding_en,
    resolve_he,
    resolve_en
FROM audit.check_result
WHERE table_name NOT LIKE 'mart_data_quality%'
