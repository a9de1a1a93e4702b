-- A row: one school of the plan.
-- Key: semel_mosad.
-- Stage: decide.
-- The plan beside scenario zero: the municipal pot shared by a plain weighted per-pupil formula.
WITH spent AS (
    SELECT
        semel_mosad,
        CAST(count(*) AS INTEGER) AS responses_count,
        CAST(sum(cost_agorot) AS BIGINT) AS cost_agorot,
        CAST(sum(municipal_agorot) AS BIGINT) AS municipal_agorot,
        CAST(sum(parents_agorot) AS BIGINT) AS parents_agorot,
        CAST(sum(unconfirmed_agorot) AS BIGINT) AS unconfirmed_agorot
    FROM mart.mart_allocation
    GROUP BY semel_mosad
),
asked AS (
    SELECT semel_mosad, CAST(sum(amount_agorot) AS BIGINT) AS gefen_request_agorot
    FROM mart.mart_allocation_money
    WHERE funding_channel = 'gefen_school' AND confirmation <> 'confirmed'
    GROUP BY semel_mosad
)
SELECT
    need.semel_mosad,
    need.school_name_he,
    need.stream,
    need.need_tier,
    need.need,
    need.need_lo,
    need.need_hi,
    need.pupils,
    coalesce(spent.responses_count, 0) AS responses_count,
    coalesce(spent.cost_agorot, 0) AS cost_agorot,
    coalesce(spent.municipal_agorot, 0) AS municipal_agorot,
    coalesce(spent.parents_agorot, 0) AS parents_agorot,
    coalesce(spent.unconfirmed_agorot, 0) AS unconfirmed_agorot,
    coalesce(asked.gefen_request_agorot, 0) AS gefen_request_agorot,
    CAST(CASE WHEN need.pupils > 0 THEN coalesce(spent.cost_agorot, 0) // need.pupils ELSE 0 END AS BIGINT) AS per_pupil_agorot,
    formula.formula_agorot
FROM mart.mart_need_index AS need
LEFT JOIN spent ON spent.semel_mosad = need.semel_mosad
LEFT JOIN asked ON asked.semel_mosad = need.semel_mosad
JOIN mart.mart_allocation_formula AS formula ON formula.semel_mosad = need.semel_mosad
