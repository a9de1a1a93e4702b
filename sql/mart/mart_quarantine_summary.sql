-- A row: one reason why rows of one file were set aside.
-- Key: source_id, file_name, column_name, reason_code.
-- Stage: review.
SELECT
    source_id,
    file_name,
    column_name,
    reason_code,
    min(reason_he) AS reason_he,
    min(reason_en) AS reason_en,
    CAST(count(DISTINCT file_row) AS INTEGER) AS failing_rows,
    min(file_row) AS first_row
FROM core.core_quarantine
GROUP BY source_id, file_name, column_name, reason_code
