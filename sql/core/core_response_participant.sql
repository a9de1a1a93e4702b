-- A row: one pupil who takes part in one response in one school year.
-- Key: pupil_hash, school_year, response_id.
-- Stage: collect.
-- A dose above 0 is taking part; the school is the one the list names, by its code of today.
SELECT
    lists.pupil_hash,
    lists.school_year,
    lists.response_id,
    codes.semel_mosad,
    lists.dose,
    lists.assignment_mechanism
FROM staging.stg_programmes__participation AS lists
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = lists.semel_mosad
WHERE lists.dose > 0
