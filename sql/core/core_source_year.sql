-- A row: one source in one school year.
-- Key: source_id, school_year.
-- Stage: collect.
-- A year with far fewer rows than the others is a cut file; a source that ends before the reference year is late.
WITH counted AS (
    SELECT source_id, TRY_CAST(school_year AS INTEGER) AS school_year, CAST(sum(presence_rows) AS INTEGER) AS rows_in
    FROM raw.raw_presence
    -- Mergers happen in some years only; that none is reported is no delay.
    WHERE TRY_CAST(school_year AS INTEGER) BETWEEN 2000 AND 2100 AND source_id <> 'register__merges'
    GROUP BY source_id, TRY_CAST(school_year AS INTEGER)
),
usual AS (
    SELECT this.source_id, this.school_year, median(other.rows_in) AS usual_rows
    FROM counted AS this
    JOIN counted AS other ON other.source_id = this.source_id AND other.school_year <> this.school_year
    -- Only of these does every school have rows every year; a response may come and go.
    WHERE this.source_id IN (
        'register__schools', 'register__pupils', 'tests__pupil_scores', 'attendance__pupil_years', 'climate__facets'
    )
    GROUP BY this.source_id, this.school_year
    HAVING count(*) >= 2
)
SELECT
    counted.source_id,
    counted.school_year,
    counted.rows_in,
    usual.usual_rows,
    counted.rows_in / nullif(usual.usual_rows, 0) AS rows_ratio,
    CASE
        WHEN counted.school_year = max(counted.school_year) OVER (PARTITION BY counted.source_id)
            THEN CAST(greatest(city.reference_year - counted.school_year, 0) AS INTEGER)
    END AS years_late
FROM counted
CROSS JOIN core.core_city AS city
LEFT JOIN usual ON usual.source_id = counted.source_id AND usual.school_year = counted.school_year
