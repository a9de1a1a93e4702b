-- A row: one asset beyond budget.
-- Key: asset_id.
-- Stage: decide.
-- What the city could build on without money (R20, the committee's seventh budget question).
SELECT
    asset_id,
    asset_name_he,
    asset_kind,
    semel_mosad,
    capacity_pupils,
    hours_per_week,
    hours_free_per_week
FROM core.core_asset
