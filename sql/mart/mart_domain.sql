-- A row: one domain of learning the process asks for, and whether anything measures it.
-- Key: domain_id.
-- Stage: diagnose.
-- What is not measured is listed as such, never left out (R35).
WITH domains AS (
    SELECT *
    FROM (
        VALUES
        ('reading_writing', 'hebrew', CAST(NULL AS VARCHAR), 'proxy'),
        ('language', 'hebrew', NULL, 'measured'),
        ('mathematics', 'math', NULL, 'measured'),
        ('english', 'english', NULL, 'measured'),
        ('science', 'science', NULL, 'measured'),
        ('social_skills', NULL, 'relations', 'proxy'),
        ('cognitive_understanding', NULL, NULL, 'not_measured')
    ) AS listed (domain_id, subject, facet, at_best)
),
tested AS (
    SELECT subject, CAST(count(DISTINCT semel_mosad) AS INTEGER) AS schools_measured
    FROM mart.mart_gap_school
    WHERE is_measured
    GROUP BY subject
),
asked AS (
    SELECT facet, CAST(count(DISTINCT semel_mosad) AS INTEGER) AS schools_measured
    FROM core.core_climate
    GROUP BY facet
)
SELECT
    domains.domain_id,
    domains.subject,
    domains.facet,
    coalesce(tested.schools_measured, asked.schools_measured, 0) AS schools_measured,
    CASE WHEN coalesce(tested.schools_measured, asked.schools_measured, 0) > 0 THEN domains.at_best ELSE 'not_measured' END AS domain_status
FROM domains
LEFT JOIN tested ON tested.subject = domains.subject
LEFT JOIN asked ON asked.facet = domains.facet
