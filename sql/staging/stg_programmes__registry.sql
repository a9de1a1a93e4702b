-- A row: one response or initiative of the city's own list, as its source gives it, typed.
-- Key: response_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    response_id,
    response_name_he,
    response_name_en,
    response_aliases,
    CAST(initiative_number AS INTEGER) AS initiative_number,
    intervention_class,
    provider,
    domain,
    target_group,
    goal_id,
    action_channel,
    delivery_scale,
    CAST(started_on AS DATE) AS started_on,
    CAST(ended_on AS DATE) AS ended_on,
    CAST(dose_hours_per_week AS DOUBLE) AS dose_hours_per_week,
    CAST(capacity_pupils AS INTEGER) AS capacity_pupils,
    funding_channel
FROM raw.raw_programmes__registry
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'programmes__registry') AS set_aside
    USING (file_name, file_row)
