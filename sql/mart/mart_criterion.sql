-- A row: one version of one criterion by which pupils are identified.
-- Key: criterion_id, criterion_version.
-- Stage: diagnose.
-- The version that held at the end of the reference year is the one the findings and the fairness speak of (R27, R30).
SELECT
    criteria.criterion_id,
    criteria.criterion_version,
    criteria.criterion_name_he,
    criteria.criteria_field,
    criteria.criterion_scope,
    criteria.semel_mosad,
    criteria.identification_method,
    criteria.measure_id,
    criteria.threshold,
    criteria.threshold_side,
    criteria.goal_id,
    criteria.criterion_owner,
    criteria.valid_from,
    criteria.valid_to,
    make_date(city.reference_year, 6, 30) BETWEEN criteria.valid_from AND coalesce(criteria.valid_to, DATE '9999-12-31')
        AS is_current_version
FROM core.core_criterion AS criteria
CROSS JOIN core.core_city AS city
