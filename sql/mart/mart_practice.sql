-- A row: one tool or practice of one school that others can come and see.
-- Key: semel_mosad, criteria_field, practice_he.
-- Stage: decide.
SELECT
    codes.semel_mosad,
    schools.school_name_he,
    practices.criteria_field,
    practices.practice_he,
    min(practices.practice_since) AS practice_since
FROM staging.stg_voice__practices AS practices
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = practices.semel_mosad
JOIN core.core_school AS schools ON schools.semel_mosad = codes.semel_mosad
GROUP BY codes.semel_mosad, schools.school_name_he, practices.criteria_field, practices.practice_he
