-- A row: one asset beyond budget.
-- Key: asset_id.
-- Stage: collect.
SELECT
    assets.asset_id,
    assets.asset_name_he,
    assets.asset_kind,
    codes.semel_mosad,
    assets.stat_area,
    assets.capacity_pupils,
    assets.hours_per_week,
    assets.hours_free_per_week
FROM staging.stg_assets__inventory AS assets
LEFT JOIN core.core_city_code AS codes ON codes.semel_mosad_old = assets.semel_mosad
