-- A row: one school of a country's plan, and the local authority it stands in.
-- Key: semel_mosad.
-- Stage: decide.
-- Empty in a city, whose schools are read one by one. Schools of which the register gives no authority stand together.
SELECT
    need.semel_mosad,
    coalesce(schools.authority_code, '0') AS authority_code
FROM mart.mart_need_index AS need
JOIN core.core_school AS schools ON schools.semel_mosad = need.semel_mosad
CROSS JOIN core.core_city AS city
WHERE city.covers = 'country'
