-- A row: one file of the city as it was read.
-- Key: source_id, file_name.
-- Stage: collect.
SELECT
    source_id,
    file_name,
    file_hash,
    rows_in,
    rows_staged,
    rows_quarantined,
    rows_lost,
    quarantined_pct
FROM core.core_source_file
