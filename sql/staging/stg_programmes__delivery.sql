-- A row: one response in one school in one school year, as its source gives it, typed.
-- Key: semel_mosad, school_year, response_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason. An assignment nobody wrote down is unknown.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    response_id,
    CAST(participants AS INTEGER) AS participants,
    CAST(eligible_pupils AS INTEGER) AS eligible_pupils,
    CAST(dose AS DOUBLE) AS dose,
    coalesce(assignment_mechanism, 'unknown') AS assignment_mechanism
FROM raw.raw_programmes__delivery
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'programmes__delivery') AS set_aside
    USING (file_name, file_row)
