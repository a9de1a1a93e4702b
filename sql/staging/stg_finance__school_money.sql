-- A row: money of one school from outside the municipality in one school year, as its source gives it, typed.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(round(CAST(ministry_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS ministry_agorot,
    CAST(round(CAST(gefen_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS gefen_agorot,
    CAST(round(CAST(parents_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS parents_agorot
FROM raw.raw_finance__school_money
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'finance__school_money') AS set_aside
    USING (file_name, file_row)
