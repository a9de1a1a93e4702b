-- A row: one pupil in one informal activity in one school year, as its source gives it, typed.
-- Key: pupil_hash, school_year, activity.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    activity,
    CAST(monthly_fee_nis AS DOUBLE) AS monthly_fee_nis
FROM raw.raw_informal__participation
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'informal__participation') AS set_aside
    USING (file_name, file_row)
