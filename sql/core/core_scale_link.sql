-- A row: one scale in one school year, by which ruler it measures.
-- Key: scale_id, school_year.
-- Stage: collect.
-- Results of two years are compared only by the same ruler (R9): the scale's link id or, where no year of the scale states
-- one, the scale itself. Another link id under the same scale is another ruler; a year that states none has that of the
-- year before it, else of the first after it. The words keep a scale from being taken for a link of the same name.
-- Sums: exact.
WITH stated AS (
    SELECT scale_id, school_year, link_id FROM staging.stg_tests__pupil_scores
    UNION ALL
    SELECT scale_id, school_year, link_id FROM staging.stg_tests__school_means
),
years AS (SELECT scale_id, school_year, min(link_id) AS link_id FROM stated GROUP BY scale_id, school_year)
SELECT
    scale_id,
    school_year,
    coalesce(
        'link ' || coalesce(
            last_value(link_id IGNORE NULLS) OVER (PARTITION BY scale_id ORDER BY school_year),
            first_value(link_id IGNORE NULLS) OVER (
                PARTITION BY scale_id ORDER BY school_year ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            )
        ),
        concat('scale ', scale_id)
    ) AS ruler
FROM years
