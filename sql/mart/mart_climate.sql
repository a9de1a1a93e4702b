-- A row: one facet of the climate survey in one school, grade and school year.
-- Key: semel_mosad, school_year, grade, facet.
-- Stage: diagnose.
-- Positive answers with their n and 90 % interval (Wilson), and whether too few answered (below 60 %) to speak for all (R10).
WITH answers AS (
    SELECT
        codes.semel_mosad,
        facets.school_year,
        facets.grade,
        facets.facet,
        sum(facets.agree_pct * facets.respondents) / sum(facets.respondents) / 100 AS agree,
        sum(facets.respondents) AS respondents,
        sum(facets.eligible_pupils) AS eligible_pupils
    FROM staging.stg_climate__facets AS facets
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = facets.semel_mosad
    GROUP BY codes.semel_mosad, facets.school_year, facets.grade, facets.facet
    HAVING sum(facets.respondents) > 0
),
rated AS (
    SELECT *, CASE WHEN eligible_pupils > 0 THEN least(100.0, 100.0 * respondents / eligible_pupils) END AS response_rate_pct
    FROM answers
)
SELECT
    semel_mosad,
    school_year,
    grade,
    facet,
    CAST(respondents AS INTEGER) AS respondents,
    CAST(eligible_pupils AS INTEGER) AS eligible_pupils,
    100 * agree AS agree_pct,
    100 * greatest(0.0, (agree + 2.705543 / (2 * respondents)
        - 1.644854 * sqrt(agree * (1 - agree) / respondents + 2.705543 / (4 * respondents * respondents)))
        / (1 + 2.705543 / respondents)) AS agree_lo_pct,
    100 * least(1.0, (agree + 2.705543 / (2 * respondents)
        + 1.644854 * sqrt(agree * (1 - agree) / respondents + 2.705543 / (4 * respondents * respondents)))
        / (1 + 2.705543 / respondents)) AS agree_hi_pct,
    response_rate_pct,
    response_rate_pct < 60 AS is_low_response
FROM rated
