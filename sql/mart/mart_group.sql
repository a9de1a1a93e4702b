-- A row: one group of pupils, as it is defined in the reference year.
-- Key: group_id.
-- Stage: diagnose.
SELECT groups.group_id, groups.group_name_he, groups.group_dimension
FROM core.core_group AS groups
CROSS JOIN core.core_city AS city
WHERE groups.valid_from_year <= city.reference_year
QUALIFY row_number() OVER (PARTITION BY groups.group_id ORDER BY groups.valid_from_year DESC) = 1
