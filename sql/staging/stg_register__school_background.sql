-- A row: one institution of the national background file (time-invariant), as its source gives it, typed.
-- Key: semel_mosad.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    school_name_he,
    supervision_stream,
    sector,
    authority_name,
    authority_code,
    CAST(ses_category AS INTEGER) AS ses_category
FROM raw.raw_register__school_background
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'register__school_background') AS set_aside
    USING (file_name, file_row)
