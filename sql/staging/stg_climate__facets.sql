-- A row: one facet of the climate survey in one school, grade and year, as its source gives it, typed.
-- Key: semel_mosad, school_year, grade, facet.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(grade AS INTEGER) AS grade,
    facet,
    CAST(agree_pct AS DOUBLE) AS agree_pct,
    CAST(respondents AS INTEGER) AS respondents,
    CAST(eligible_pupils AS INTEGER) AS eligible_pupils
FROM raw.raw_climate__facets
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'climate__facets') AS set_aside
    USING (file_name, file_row)
