-- A row: one pupil-level source in one school year.
-- Key: source_id, school_year.
-- Stage: review.
SELECT
    source_id,
    school_year,
    CAST(count(*) AS INTEGER) AS schools_in_plan,
    CAST(count(*) FILTER (WHERE NOT is_silent) AS INTEGER) AS schools_reporting,
    CAST(count(*) FILTER (WHERE is_declared_silent) AS INTEGER) AS schools_declared_silent,
    CAST(count(*) FILTER (WHERE is_silent AND NOT is_declared_silent) AS INTEGER) AS schools_silent
FROM core.core_coverage
GROUP BY source_id, school_year
