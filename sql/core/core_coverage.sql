-- A row: one school of the plan in one pupil-level source and school year.
-- Key: source_id, school_year, semel_mosad.
-- Stage: collect.
-- Who is not measured: a school with pupils and not one usable row is named, never read as zero (R36 of the traps).
-- Rows in quarantine measure nothing: only what reached staging counts as reported.
-- Sums: exact.
WITH sources AS (
    SELECT DISTINCT source_id, TRY_CAST(school_year AS INTEGER) AS school_year
    FROM raw.raw_presence
    WHERE source_id IN (
        'register__pupils', 'tests__pupil_scores', 'attendance__pupil_years', 'climate__facets', 'informal__participation'
    )
),
reported AS (
    SELECT 'register__pupils' AS source_id, school_year, semel_mosad FROM staging.stg_register__pupils
    UNION ALL
    SELECT 'tests__pupil_scores', school_year, semel_mosad FROM staging.stg_tests__pupil_scores
    UNION ALL
    SELECT 'attendance__pupil_years', school_year, semel_mosad FROM staging.stg_attendance__pupil_years
    UNION ALL
    SELECT 'climate__facets', school_year, semel_mosad FROM staging.stg_climate__facets
    UNION ALL
    SELECT 'informal__participation', school_year, semel_mosad FROM staging.stg_informal__participation
),
present AS (
    SELECT DISTINCT reported.source_id, reported.school_year, codes.semel_mosad
    FROM reported
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = reported.semel_mosad
)
SELECT
    sources.source_id,
    sources.school_year,
    schools.semel_mosad,
    present.semel_mosad IS NULL AS is_silent,
    present.semel_mosad IS NULL AND declared.semel_mosad IS NOT NULL AS is_declared_silent,
    CASE WHEN present.semel_mosad IS NULL THEN declared.silence_reason END AS silence_reason
FROM sources
JOIN core.core_school_year AS years ON years.school_year = sources.school_year AND years.pupils > 0
JOIN core.core_school AS schools ON schools.semel_mosad = years.semel_mosad AND schools.is_in_plan
LEFT JOIN present
    ON present.source_id = sources.source_id
    AND present.school_year = sources.school_year
    AND present.semel_mosad = schools.semel_mosad
LEFT JOIN core.core_declared_silence AS declared
    ON declared.source_id = sources.source_id AND declared.semel_mosad = schools.semel_mosad
