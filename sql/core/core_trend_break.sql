-- A row: one school year from or in which the results of one school are not those of the year before.
-- Key: semel_mosad, school_year, break_kind.
-- Stage: collect.
-- A merged school is another school from its first year on; the results of an emergency are those of the emergency (R46).
SELECT DISTINCT semel_mosad, school_year, 'merged' AS break_kind
FROM core.core_school_change
WHERE change_kind = 'merged' AND semel_mosad IN (SELECT semel_mosad FROM core.core_school_code)
UNION ALL
SELECT schools.semel_mosad, emergencies.school_year, 'emergency'
FROM core.core_emergency AS emergencies
CROSS JOIN (SELECT DISTINCT semel_mosad FROM core.core_school_code) AS schools
