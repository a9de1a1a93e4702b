-- A row: one pupil in one targeted response in one school year, as its source gives it, typed; dose 0 is a pupil whom a lottery or threshold passed over.
-- Key: pupil_hash, school_year, response_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason. An assignment nobody wrote down is unknown.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    response_id,
    CAST(dose AS DOUBLE) AS dose,
    coalesce(assignment_mechanism, 'unknown') AS assignment_mechanism,
    CAST(is_eligible_pupil AS BOOLEAN) AS is_eligible_pupil,
    CAST(is_invited AS BOOLEAN) AS is_invited,
    CAST(attended_pct AS DOUBLE) AS attended_pct,
    CAST(selection_score AS DOUBLE) AS selection_score
FROM raw.raw_programmes__participation
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'programmes__participation') AS set_aside
    USING (file_name, file_row)
