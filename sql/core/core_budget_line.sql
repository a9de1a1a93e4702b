-- A row: one response in one school, year and funding channel.
-- Key: semel_mosad, school_year, response_id, funding_channel.
-- Stage: collect.
SELECT
    codes.semel_mosad,
    lines.school_year,
    lines.response_id,
    lines.funding_channel,
    min(lines.year_type) AS year_type,
    bool_and(lines.is_formal) AS is_formal,
    bool_and(lines.is_pedagogical) AS is_pedagogical,
    CAST(sum(lines.plan_agorot) AS BIGINT) AS plan_agorot,
    CAST(sum(lines.actual_agorot) AS BIGINT) AS actual_agorot
FROM staging.stg_finance__budget_lines AS lines
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = lines.semel_mosad
GROUP BY codes.semel_mosad, lines.school_year, lines.response_id, lines.funding_channel
