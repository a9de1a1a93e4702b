-- A row: one count that the city declares or that must hold, beside the data.
-- Key: reconciliation_id.
-- Stage: collect.
-- rows.*: rows in = rows staged + rows quarantined. The others: counts of city.yaml (R2, R14).
WITH staged AS (
    SELECT concat('rows.', source_id) AS reconciliation_id, rows_staged AS observed_value
    FROM core.core_staged_count
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
    -- As declared: of all schools of the city, counted or not.
    SELECT concat('served.', delivery.response_id), count(DISTINCT codes.semel_mosad)
    FROM staging.stg_programmes__delivery AS delivery
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = delivery.semel_mosad
    JOIN core.core_city AS city ON city.reference_year = delivery.school_year
    WHERE delivery.participants > 0
    GROUP BY delivery.response_id
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
