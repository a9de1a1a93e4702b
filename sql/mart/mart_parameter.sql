-- A row: one parameter of the city or its policy.
-- Key: parameter_id.
-- Stage: aim.
SELECT
    parameter_id,
    parameter_value,
    unit,
    source,
    reason
FROM core.core_parameter
