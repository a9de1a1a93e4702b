-- A row: one response in one school in one school year.
-- Key: semel_mosad, school_year, response_id.
-- Stage: collect.
SELECT
    codes.semel_mosad,
    delivery.school_year,
    delivery.response_id,
    CAST(sum(delivery.participants) AS INTEGER) AS participants,
    max(delivery.dose) AS dose,
    min(delivery.assignment_mechanism) AS assignment_mechanism
FROM staging.stg_programmes__delivery AS delivery
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = delivery.semel_mosad
GROUP BY codes.semel_mosad, delivery.school_year, delivery.response_id
