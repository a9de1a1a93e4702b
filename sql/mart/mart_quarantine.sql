-- A row: one reason why one row of a file was set aside.
-- Key: source_id, file_name, file_row, column_name, reason_code.
-- Stage: review.
-- For the analysts: where to look in the file. The value is the masked one; the sheet is what the mapping reads.
SELECT
    aside.source_id,
    aside.file_name,
    min(mappings.sheet_name) AS sheet_name,
    aside.file_row,
    aside.column_name,
    aside.reason_code,
    any_value(aside.masked_value) AS masked_value,
    any_value(aside.reason_he) AS reason_he,
    any_value(aside.reason_en) AS reason_en
FROM core.core_quarantine AS aside
LEFT JOIN core.core_source_mapping AS mappings
    ON mappings.source_id = aside.source_id AND aside.file_name GLOB mappings.file_pattern
GROUP BY aside.source_id, aside.file_name, aside.file_row, aside.column_name, aside.reason_code
