-- A row: one repair of the door in one column of one file.
-- Key: source_id, file_name, column_name, repair_code.
-- Stage: review.
SELECT source_id, file_name, column_name, repair_code, repaired_rows, first_row, repair_he, repair_en
FROM core.core_repair
