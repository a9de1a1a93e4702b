-- A row: one coded excerpt of a survey or talk, spoken with consent, as its source gives it, typed.
-- Key: excerpt_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    excerpt_id,
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(collected_on AS DATE) AS collected_on,
    qual_source,
    role,
    theme,
    sentiment,
    excerpt_he,
    CAST(has_consent AS BOOLEAN) AS has_consent
FROM raw.raw_voice__excerpts
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'voice__excerpts') AS set_aside
    USING (file_name, file_row)
