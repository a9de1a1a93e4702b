-- A row: one response in one school, year and funding channel, as its source gives it, typed.
-- Key: semel_mosad, school_year, response_id, funding_channel.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    response_id,
    funding_channel,
    year_type,
    CAST(is_formal AS BOOLEAN) AS is_formal,
    CAST(is_pedagogical AS BOOLEAN) AS is_pedagogical,
    CAST(round(CAST(plan_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS plan_agorot,
    CAST(round(CAST(actual_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS actual_agorot
FROM raw.raw_finance__budget_lines
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'finance__budget_lines') AS set_aside
    USING (file_name, file_row)
