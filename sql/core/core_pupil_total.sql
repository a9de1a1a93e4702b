-- A row: schools and pupils of the reference year in one scope and stream.
-- Key: scope, stream.
-- Stage: collect.
-- The official total and the total of all schools stand side by side, each labelled (R2).
WITH elementary AS (
    SELECT
        CASE WHEN schools.legal_status = 'official' THEN 'official' ELSE 'unofficial' END AS scope,
        schools.stream,
        years.pupils
    FROM core.core_school AS schools
    JOIN core.core_school_year AS years ON years.semel_mosad = schools.semel_mosad
    JOIN core.core_city AS city ON city.reference_year = years.school_year
    WHERE schools.is_elementary AND years.pupils > 0
)
SELECT scope, stream, CAST(count(*) AS INTEGER) AS schools, CAST(sum(pupils) AS INTEGER) AS pupils
FROM elementary
GROUP BY scope, stream
UNION ALL
SELECT scope, 'total' AS stream, CAST(count(*) AS INTEGER) AS schools, CAST(sum(pupils) AS INTEGER) AS pupils
FROM elementary
GROUP BY scope
UNION ALL
SELECT 'all' AS scope, 'total' AS stream, CAST(count(*) AS INTEGER) AS schools, CAST(sum(pupils) AS INTEGER) AS pupils
FROM elementary
HAVING count(*) > 0
