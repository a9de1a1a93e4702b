-- A row: the budget lines of one school year that carry one value of one tag.
-- Key: tag_kind, tag_value, school_year.
-- Stage: review.
-- Every tag divides the same money, so its values add up to the year's total; a check compares them (R16, R17). Gefen is
-- apart from separate budgets. Who pays: a school's Gefen basket is the school's, Gefen that the authority runs is the
-- Ministry's, the lottery fund is a partner. A line without a tag is "unknown", not left out.
WITH channels AS (
    SELECT *
    FROM (
        VALUES
        ('municipal_own', 'municipality', 'separate'),
        ('gefen_school', 'school', 'gefen'),
        ('gefen_municipal', 'ministry', 'gefen'),
        ('ministry_other', 'ministry', 'separate'),
        ('mifal_hapais', 'partner', 'separate'),
        ('partner_ngo', 'partner', 'separate'),
        ('parents', 'parents', 'separate')
    ) AS listed (funding_channel, funder, gefen)
),
tagged AS (
    SELECT 'formality' AS tag_kind, CASE is_formal WHEN true THEN 'formal' WHEN false THEN 'informal' ELSE 'unknown' END AS tag_value,
        school_year, plan_agorot, actual_agorot
    FROM core.core_budget_line
    UNION ALL
    SELECT 'content', CASE is_pedagogical WHEN true THEN 'pedagogical' WHEN false THEN 'physical' ELSE 'unknown' END,
        school_year, plan_agorot, actual_agorot
    FROM core.core_budget_line
    UNION ALL
    SELECT 'channel', funding_channel, school_year, plan_agorot, actual_agorot
    FROM core.core_budget_line
    UNION ALL
    SELECT 'gefen', channels.gefen, lines.school_year, lines.plan_agorot, lines.actual_agorot
    FROM core.core_budget_line AS lines
    JOIN channels ON channels.funding_channel = lines.funding_channel
    UNION ALL
    SELECT 'funder', channels.funder, lines.school_year, lines.plan_agorot, lines.actual_agorot
    FROM core.core_budget_line AS lines
    JOIN channels ON channels.funding_channel = lines.funding_channel
),
summed AS (
    SELECT
        tag_kind,
        tag_value,
        school_year,
        count(*) AS lines_count,
        sum(plan_agorot) AS plan_agorot,
        sum(actual_agorot) AS actual_agorot
    FROM tagged
    GROUP BY tag_kind, tag_value, school_year
),
years AS (
    SELECT school_year, sum(plan_agorot) AS plan_agorot, sum(actual_agorot) AS actual_agorot
    FROM core.core_budget_line
    GROUP BY school_year
)
SELECT
    summed.tag_kind,
    summed.tag_value,
    summed.school_year,
    CAST(summed.lines_count AS INTEGER) AS lines_count,
    CAST(summed.plan_agorot AS BIGINT) AS plan_agorot,
    CAST(summed.actual_agorot AS BIGINT) AS actual_agorot,
    CAST(sum(summed.plan_agorot) OVER of_tag AS BIGINT) AS tag_plan_agorot,
    CAST(sum(summed.actual_agorot) OVER of_tag AS BIGINT) AS tag_actual_agorot,
    CAST(years.plan_agorot AS BIGINT) AS year_plan_agorot,
    CAST(years.actual_agorot AS BIGINT) AS year_actual_agorot
FROM summed
JOIN years ON years.school_year = summed.school_year
WINDOW of_tag AS (PARTITION BY summed.tag_kind, summed.school_year)
