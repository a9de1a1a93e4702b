-- A row: one theme in one school as the field speaks of it.
-- Key: semel_mosad, theme.
-- Stage: collect.
-- Only counts leave the excerpts; every one of them was spoken with consent (R19).
SELECT
    codes.semel_mosad,
    excerpts.theme,
    CAST(count(*) AS INTEGER) AS excerpts,
    CAST(count(DISTINCT excerpts.role) AS INTEGER) AS speaking_roles,
    100.0 * count(*) FILTER (WHERE excerpts.sentiment = 'negative') / count(*) AS negative_pct
FROM staging.stg_voice__excerpts AS excerpts
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = excerpts.semel_mosad
GROUP BY codes.semel_mosad, excerpts.theme
