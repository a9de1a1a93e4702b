-- A row: one file of the city as it was read.
-- Key: source_id, file_name.
-- Stage: collect.
WITH set_aside AS (
    SELECT source_id, file_name, CAST(count(DISTINCT file_row) AS INTEGER) AS rows_quarantined
    FROM raw.raw_quarantine
    GROUP BY source_id, file_name
)
SELECT
    files.source_id,
    files.file_name,
    files.file_hash,
    files.rows_in,
    files.rows_in - coalesce(set_aside.rows_quarantined, 0) AS rows_staged,
    coalesce(set_aside.rows_quarantined, 0) AS rows_quarantined,
    100.0 * coalesce(set_aside.rows_quarantined, 0) / nullif(files.rows_in, 0) AS quarantined_pct
FROM raw.raw_file AS files
LEFT JOIN set_aside ON set_aside.source_id = files.source_id AND set_aside.file_name = files.file_name
