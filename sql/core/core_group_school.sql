-- A row: one group in one school in the reference year.
-- Key: group_id, semel_mosad.
-- Stage: collect.
SELECT groups.group_id, groups.semel_mosad, CAST(count(*) AS INTEGER) AS group_pupils
FROM core.core_pupil_group AS groups
JOIN core.core_city AS city ON city.reference_year = groups.school_year
GROUP BY ALL
