-- A row: one asset beyond budget, as its source gives it, typed.
-- Key: asset_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    asset_id,
    asset_name_he,
    asset_kind,
    semel_mosad,
    stat_area,
    CAST(capacity_pupils AS INTEGER) AS capacity_pupils,
    CAST(hours_per_week AS DOUBLE) AS hours_per_week,
    CAST(hours_free_per_week AS DOUBLE) AS hours_free_per_week
FROM raw.raw_assets__inventory
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'assets__inventory') AS set_aside
    USING (file_name, file_row)
