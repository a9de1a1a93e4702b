-- A row: what parents paid for one response in one school and school year, as its source gives it, typed.
-- Key: semel_mosad, school_year, response_id.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    response_id,
    CAST(payers AS INTEGER) AS payers,
    CAST(round(CAST(paid_nis AS DECIMAL(18, 2)) * 100) AS BIGINT) AS paid_agorot
FROM raw.raw_finance__parents_payments
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'finance__parents_payments') AS set_aside
    USING (file_name, file_row)
