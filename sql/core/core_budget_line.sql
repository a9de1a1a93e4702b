-- A row: one response in one school, year and funding channel.
-- Key: semel_mosad, school_year, response_id, funding_channel.
-- Stage: collect.
-- The same amount in a Gefen and in a separate channel is one sum entered twice (R16).
-- Of a budget (calendar) year eight months belong to the school year that ends in it, four to the next (R7).
WITH by_school_year AS (
    SELECT
        semel_mosad,
        school_year,
        response_id,
        funding_channel,
        year_type,
        is_formal,
        is_pedagogical,
        plan_agorot,
        actual_agorot
    FROM staging.stg_finance__budget_lines
    WHERE year_type = 'school_year'
    UNION ALL
    SELECT
        semel_mosad,
        school_year,
        response_id,
        funding_channel,
        year_type,
        is_formal,
        is_pedagogical,
        plan_agorot * 2 // 3 AS plan_agorot,
        actual_agorot * 2 // 3 AS actual_agorot
    FROM staging.stg_finance__budget_lines
    WHERE year_type = 'budget_year'
    UNION ALL
    SELECT
        semel_mosad,
        school_year + 1 AS school_year,
        response_id,
        funding_channel,
        year_type,
        is_formal,
        is_pedagogical,
        plan_agorot - plan_agorot * 2 // 3 AS plan_agorot,
        actual_agorot - actual_agorot * 2 // 3 AS actual_agorot
    FROM staging.stg_finance__budget_lines
    WHERE year_type = 'budget_year'
),
lines AS (
    SELECT
        codes.semel_mosad,
        budget.school_year,
        budget.response_id,
        budget.funding_channel,
        min(budget.year_type) AS year_type,
        bool_and(budget.is_formal) AS is_formal,
        bool_and(budget.is_pedagogical) AS is_pedagogical,
        CAST(sum(budget.plan_agorot) AS BIGINT) AS plan_agorot,
        CAST(sum(budget.actual_agorot) AS BIGINT) AS actual_agorot
    FROM by_school_year AS budget
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = budget.semel_mosad
    GROUP BY codes.semel_mosad, budget.school_year, budget.response_id, budget.funding_channel
)
SELECT
    lines.semel_mosad,
    lines.school_year,
    lines.response_id,
    lines.funding_channel,
    lines.year_type,
    lines.is_formal,
    lines.is_pedagogical,
    lines.plan_agorot,
    lines.actual_agorot,
    lines.actual_agorot / nullif(lines.plan_agorot, 0) AS spent_ratio,
    EXISTS (
        SELECT 1
        FROM lines AS other
        WHERE other.semel_mosad = lines.semel_mosad
            AND other.school_year = lines.school_year
            AND other.response_id = lines.response_id
            AND starts_with(other.funding_channel, 'gefen') <> starts_with(lines.funding_channel, 'gefen')
            AND other.plan_agorot = lines.plan_agorot
            AND other.actual_agorot IS NOT DISTINCT FROM lines.actual_agorot
            AND lines.plan_agorot > 0
    ) AS is_double_counted
FROM lines
