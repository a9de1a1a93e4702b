-- A row: the schools of one tier of need in one local authority of a country.
-- Key: authority_code, need_tier.
-- Stage: decide.
-- Empty in a city; a tier of which an authority has no school has no row.
SELECT
    own.authority_code,
    plan.need_tier,
    CAST(count(*) AS INTEGER) AS schools,
    CAST(sum(plan.pupils) AS INTEGER) AS pupils,
    CAST(sum(plan.cost_agorot) AS BIGINT) AS cost_agorot,
    CAST(sum(plan.cost_agorot) // nullif(sum(plan.pupils), 0) AS BIGINT) AS per_pupil_agorot
FROM mart.mart_authority_school AS own
JOIN mart.mart_allocation_school AS plan ON plan.semel_mosad = own.semel_mosad
GROUP BY own.authority_code, plan.need_tier
