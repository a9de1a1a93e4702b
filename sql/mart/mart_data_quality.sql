-- A row: one quality check of one table.
-- Key: table_name, check_id.
-- Stage: review.
-- What every check of this city last said; its own check is left out, it runs after the table is made. The finding says
-- whether the rule holds and where not, so that the sentence cannot be read as a statement about the data. How many rows
-- were checked stands apart: of some tables it is a count of children.
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
    rule_he,
    rule_en,
    CASE
        WHEN is_passed THEN concat('הכלל מתקיים: ', rule_he)
        WHEN failing_rows BETWEEN 1 AND checked_rows - 1
            THEN concat('הכלל אינו מתקיים ', CASE failing_rows WHEN 1 THEN 'בשורה אחת' ELSE concat('ב־', failing_rows, ' שורות') END, ': ', rule_he)
        ELSE concat('הכלל אינו מתקיים: ', rule_he)
    END AS finding_he,
    CASE
        WHEN is_passed THEN concat('The rule holds: ', rule_en)
        WHEN failing_rows BETWEEN 1 AND checked_rows - 1
            THEN concat('The rule does not hold in ', failing_rows, CASE failing_rows WHEN 1 THEN ' row: ' ELSE ' rows: ' END, rule_en)
        ELSE concat('The rule does not hold: ', rule_en)
    END AS finding_en,
    resolve_he,
    resolve_en
FROM audit.check_result
WHERE table_name NOT LIKE 'mart_data_quality%'
