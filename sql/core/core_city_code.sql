-- A row: one institution code of the city, with the code it has today.
-- Key: semel_mosad_old.
-- Stage: collect.
-- A school belongs to the city if either national register says so; a merged code points to its heir. Who of them is
-- counted is core_school_code.
WITH codes AS (
    SELECT DISTINCT schools.semel_mosad
    FROM staging.stg_register__schools AS schools
    CROSS JOIN core.core_city AS city
    WHERE city.authority_name IS NULL OR schools.authority_name = city.authority_name
    UNION
    SELECT background.semel_mosad
    FROM staging.stg_register__school_background AS background
    CROSS JOIN core.core_city AS city
    WHERE city.authority_name IS NULL OR background.authority_name = city.authority_name
    UNION
    SELECT merges.semel_mosad_old FROM staging.stg_register__merges AS merges
)
SELECT
    codes.semel_mosad AS semel_mosad_old,
    coalesce(merges.semel_mosad, codes.semel_mosad) AS semel_mosad
FROM codes
LEFT JOIN staging.stg_register__merges AS merges ON merges.semel_mosad_old = codes.semel_mosad
