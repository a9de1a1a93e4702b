-- A row: one school × year × facet of the climate survey.
-- Key: semel_mosad, school_year, facet.
-- Stage: collect.
SELECT
    codes.semel_mosad,
    facets.school_year,
    facets.facet,
    sum(facets.agree_pct * facets.respondents) / sum(facets.respondents) AS agree_pct,
    CAST(sum(facets.respondents) AS INTEGER) AS respondents,
    CAST(sum(facets.eligible_pupils) AS INTEGER) AS eligible_pupils,
    CASE
        WHEN sum(facets.eligible_pupils) > 0 THEN least(100.0, 100.0 * sum(facets.respondents) / sum(facets.eligible_pupils))
    END AS response_rate_pct
FROM staging.stg_climate__facets AS facets
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = facets.semel_mosad
GROUP BY codes.semel_mosad, facets.school_year, facets.facet
HAVING sum(facets.respondents) > 0
