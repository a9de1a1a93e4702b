-- A row: what parents paid for one response in one school and school year.
-- Key: semel_mosad, school_year, response_id.
-- Stage: collect.
SELECT
    codes.semel_mosad,
    payments.school_year,
    payments.response_id,
    CAST(sum(payments.payers) AS INTEGER) AS payers,
    CAST(sum(payments.paid_agorot) AS BIGINT) AS paid_agorot
FROM staging.stg_finance__parents_payments AS payments
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = payments.semel_mosad
GROUP BY codes.semel_mosad, payments.school_year, payments.response_id
