-- A row: one statistical area, as its source gives it, typed.
-- Key: locality_name, stat_area.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    locality_name,
    stat_area,
    CAST(population AS DOUBLE) AS population,
    CAST(ses_value_cbs AS DOUBLE) AS ses_value_cbs,
    CAST(ses_cluster_cbs AS INTEGER) AS ses_cluster_cbs
FROM raw.raw_context__stat_areas
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'context__stat_areas') AS set_aside
    USING (file_name, file_row)
