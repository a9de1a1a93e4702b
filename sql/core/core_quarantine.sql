-- A row: one reason why a row was set aside.
-- Key: source_id, file_name, file_row, column_name, reason_code.
-- Stage: collect.
SELECT source_id, file_name, file_row, column_name, reason_code, masked_value, reason_he, reason_en
FROM raw.raw_quarantine
