-- A row: one local authority of a country, and what the plan gives its schools.
-- Key: authority_code.
-- Stage: decide.
-- Empty in a city. An authority that files spell in several ways, or set in several districts, has the first of them.
SELECT
    own.authority_code,
    min(schools.authority_name) AS authority_name,
    min(schools.district_name) AS district_name,
    CAST(count(*) AS INTEGER) AS schools,
    CAST(count(*) FILTER (WHERE gaps.is_measured) AS INTEGER) AS schools_measured,
    CAST(count(*) FILTER (WHERE plan.responses_count = 0) AS INTEGER) AS schools_without,
    CAST(sum(plan.pupils) AS INTEGER) AS pupils,
    CAST(sum(plan.cost_agorot) AS BIGINT) AS cost_agorot,
    CAST(sum(plan.municipal_agorot) AS BIGINT) AS municipal_agorot,
    CAST(sum(plan.cost_agorot) // nullif(sum(plan.pupils), 0) AS BIGINT) AS per_pupil_agorot
FROM mart.mart_authority_school AS own
JOIN core.core_school AS schools ON schools.semel_mosad = own.semel_mosad
JOIN mart.mart_allocation_school AS plan ON plan.semel_mosad = own.semel_mosad
LEFT JOIN mart.mart_gap_school AS gaps ON gaps.semel_mosad = own.semel_mosad AND gaps.subject = 'all'
GROUP BY own.authority_code
