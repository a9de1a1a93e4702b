-- A row: one pupil whom one response took in or passed over in one school year.
-- Key: pupil_hash, school_year, response_id.
-- Stage: collect.
-- Dose 0 with a lottery or threshold is a pupil who could have come in: the fair comparison (R63).
SELECT
    entries.pupil_hash,
    entries.school_year,
    entries.response_id,
    codes.semel_mosad,
    entries.dose,
    entries.assignment_mechanism,
    coalesce(entries.is_invited, entries.dose > 0) AS is_offered,
    entries.attended_pct,
    entries.selection_score
FROM staging.stg_programmes__participation AS entries
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = entries.semel_mosad
