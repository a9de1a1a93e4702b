-- A row: one file of the city as it was read.
-- Key: source_id, file_name.
-- Stage: collect.
-- A file whose further columns differ from those of most files of its mapping has changed its layout.
WITH set_aside AS (
    SELECT source_id, file_name, CAST(count(DISTINCT file_row) AS INTEGER) AS rows_quarantined
    FROM raw.raw_quarantine
    GROUP BY source_id, file_name
),
faulty AS (
    SELECT source_id, file_name, count(DISTINCT file_row) AS rows_faulty
    FROM raw.raw_quarantine
    WHERE reason_code NOT IN ('skipped', 'total_row', 'no_consent')
    GROUP BY source_id, file_name
),
usual AS (
    SELECT source_id, mapping_number, mode(coalesce(extra_columns, '')) AS extra_columns
    FROM (SELECT * FROM raw.raw_file ORDER BY source_id, mapping_number, extra_columns)
    GROUP BY source_id, mapping_number
)
SELECT
    files.source_id,
    files.file_name,
    files.file_hash,
    files.rows_in,
    coalesce(staged.rows_staged, 0) AS rows_staged,
    coalesce(set_aside.rows_quarantined, 0) AS rows_quarantined,
    files.rows_in - coalesce(staged.rows_staged, 0) - coalesce(set_aside.rows_quarantined, 0) AS rows_lost,
    -- Kept out by design (a total row, no consent) is no fault of the file.
    100.0 * coalesce(faulty.rows_faulty, 0) / nullif(files.rows_in, 0) AS quarantined_pct,
    -- Of ten rows that people wrote by hand one is wrong without the file being so; each is told by itself.
    CAST(
        CASE WHEN split_part(files.source_id, '__', 1) IN ('act', 'decide', 'voice') OR files.source_id = 'finance__confirmations' THEN 50 ELSE 5 END AS DOUBLE
    )
        AS quarantine_limit_pct,
    files.extra_columns,
    coalesce(files.extra_columns, '') <> usual.extra_columns AS is_odd_file
FROM raw.raw_file AS files
JOIN usual ON usual.source_id = files.source_id AND usual.mapping_number IS NOT DISTINCT FROM files.mapping_number
LEFT JOIN core.core_staged_file AS staged ON staged.source_id = files.source_id AND staged.file_name = files.file_name
LEFT JOIN set_aside ON set_aside.source_id = files.source_id AND set_aside.file_name = files.file_name
LEFT JOIN faulty ON faulty.source_id = files.source_id AND faulty.file_name = files.file_name
