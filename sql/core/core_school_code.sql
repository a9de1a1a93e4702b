-- A row: one institution code of a school that is counted, with the code it has today.
-- Key: semel_mosad_old.
-- Stage: collect.
-- The population (R121): the schools of the plan's stage, type and scope. Whatever is measured, summed, compared or
-- divided by joins this table; the register (core_school, core_school_year) alone knows the city's other schools.
SELECT codes.semel_mosad_old, codes.semel_mosad
FROM core.core_city_code AS codes
JOIN core.core_school AS schools ON schools.semel_mosad = codes.semel_mosad
WHERE schools.is_in_plan
