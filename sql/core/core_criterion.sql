-- A row: one version of one criterion.
-- Key: criterion_id, criterion_version.
-- Stage: collect.
-- A version holds until the next one begins; results name the version they used (R30).
SELECT
    criterion_id,
    criterion_version,
    criterion_name_he,
    criteria_field,
    criterion_scope,
    semel_mosad,
    identification_method,
    identified_column,
    measure_id,
    threshold,
    threshold_side,
    goal_id,
    criterion_owner,
    valid_from,
    CAST(lead(valid_from) OVER (PARTITION BY criterion_id ORDER BY criterion_version) - INTERVAL 1 DAY AS DATE) AS valid_to
FROM staging.stg_aim__criteria
