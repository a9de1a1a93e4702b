-- A row: one count that the city declares or that must hold, beside the data.
-- Key: reconciliation_id.
-- Stage: collect.
-- rows.*: rows in = rows staged + rows quarantined. The others: counts of city.yaml (R2, R14).
WITH staged AS (
    SELECT 'rows.register__schools' AS reconciliation_id, count(*) AS observed_value FROM staging.stg_register__schools
    UNION ALL
    SELECT 'rows.register__merges', count(*) FROM staging.stg_register__merges
    UNION ALL
    SELECT 'rows.register__pupils', count(*) FROM staging.stg_register__pupils
    UNION ALL
    SELECT 'rows.register__school_background', count(*) FROM staging.stg_register__school_background
    UNION ALL
    SELECT 'rows.tests__pupil_scores', count(*) FROM staging.stg_tests__pupil_scores
    UNION ALL
    SELECT 'rows.tests__school_means', count(*) FROM staging.stg_tests__school_means
    UNION ALL
    SELECT 'rows.tests__school_bands', count(*) FROM staging.stg_tests__school_bands
    UNION ALL
    SELECT 'rows.attendance__pupil_years', count(*) FROM staging.stg_attendance__pupil_years
    UNION ALL
    SELECT 'rows.attendance__exits', count(*) FROM staging.stg_attendance__exits
    UNION ALL
    SELECT 'rows.climate__facets', count(*) FROM staging.stg_climate__facets
    UNION ALL
    SELECT 'rows.informal__participation', count(*) FROM staging.stg_informal__participation
    UNION ALL
    SELECT 'rows.programmes__delivery', count(*) FROM staging.stg_programmes__delivery
    UNION ALL
    SELECT 'rows.programmes__participation', count(*) FROM staging.stg_programmes__participation
    UNION ALL
    SELECT 'rows.finance__budget_lines', count(*) FROM staging.stg_finance__budget_lines
    UNION ALL
    SELECT 'rows.finance__school_money', count(*) FROM staging.stg_finance__school_money
    UNION ALL
    SELECT 'rows.context__authority_years', count(*) FROM staging.stg_context__authority_years
    UNION ALL
    SELECT 'rows.context__stat_areas', count(*) FROM staging.stg_context__stat_areas
    UNION ALL
    SELECT 'rows.attendance__entries', count(*) FROM staging.stg_attendance__entries
    UNION ALL
    SELECT 'rows.programmes__registry', count(*) FROM staging.stg_programmes__registry
    UNION ALL
    SELECT 'rows.finance__parents_payments', count(*) FROM staging.stg_finance__parents_payments
    UNION ALL
    SELECT 'rows.voice__excerpts', count(*) FROM staging.stg_voice__excerpts
    UNION ALL
    SELECT 'rows.voice__ratings', count(*) FROM staging.stg_voice__ratings
    UNION ALL
    SELECT 'rows.voice__cards', count(*) FROM staging.stg_voice__cards
    UNION ALL
    SELECT 'rows.voice__ladders', count(*) FROM staging.stg_voice__ladders
    UNION ALL
    SELECT 'rows.assets__inventory', count(*) FROM staging.stg_assets__inventory
    UNION ALL
    SELECT 'rows.aim__goals', count(*) FROM staging.stg_aim__goals
    UNION ALL
    SELECT 'rows.aim__targets', count(*) FROM staging.stg_aim__targets
    UNION ALL
    SELECT 'rows.aim__criteria', count(*) FROM staging.stg_aim__criteria
    UNION ALL
    SELECT 'rows.aim__decisions', count(*) FROM staging.stg_aim__decisions
),
accepted AS (
    SELECT concat('rows.', source_id) AS reconciliation_id, sum(rows_in - rows_quarantined) AS expected_value
    FROM core.core_source_file
    GROUP BY source_id
),
counted AS (
    SELECT concat('schools.', stream) AS reconciliation_id, sum(schools) AS observed_value
    FROM core.core_pupil_total
    WHERE stream <> 'total'
    GROUP BY stream
    UNION ALL
    SELECT concat('pupils.', stream), sum(pupils) FROM core.core_pupil_total WHERE stream <> 'total' GROUP BY stream
    UNION ALL
    SELECT concat('schools.', scope), sum(schools) FROM core.core_pupil_total WHERE stream = 'total' GROUP BY scope
    UNION ALL
    SELECT concat('pupils.', scope), sum(pupils) FROM core.core_pupil_total WHERE stream = 'total' GROUP BY scope
    UNION ALL
    SELECT concat('served.', participation.response_id), count(DISTINCT participation.semel_mosad)
    FROM core.core_participation AS participation
    JOIN core.core_city AS city ON city.reference_year = participation.school_year
    WHERE participation.participants > 0
    GROUP BY participation.response_id
)
SELECT
    staged.reconciliation_id,
    CAST(coalesce(accepted.expected_value, 0) AS DOUBLE) AS expected_value,
    CAST(staged.observed_value AS DOUBLE) AS observed_value
FROM staged
LEFT JOIN accepted ON accepted.reconciliation_id = staged.reconciliation_id
UNION ALL
SELECT
    expected.reconciliation_id,
    expected.expected_value,
    CAST(coalesce(counted.observed_value, 0) AS DOUBLE) AS observed_value
FROM core.core_expected AS expected
LEFT JOIN counted ON counted.reconciliation_id = expected.reconciliation_id
