-- A row: one school × subject × grade × school year × scale × group.
-- Key: semel_mosad, subject, grade, school_year, scale_id, group_id.
-- Stage: collect.
-- Fed by pupil-level tests, or by published school means whose pupil count is derived from enrolment and flagged.
-- Sums: exact (scores in millionths of a point), so that the order of pupils decides nothing.
WITH members AS (
    SELECT pupil_hash, school_year, 'all' AS group_id FROM staging.stg_register__pupils
    UNION ALL
    SELECT pupil_hash, school_year, group_id FROM core.core_pupil_group
),
-- A pupil of no register is in no group, but in the school's mean.
sat AS NOT MATERIALIZED (
    SELECT
        codes.semel_mosad,
        scores.subject,
        scores.grade,
        scores.school_year,
        scores.scale_id,
        coalesce(members.group_id, 'all') AS group_id,
        pupils.class_id,
        scores.is_tested,
        CASE WHEN scores.is_tested THEN CAST(round(scores.score * 1000000) AS DECIMAL(18, 0)) END AS millionths
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    LEFT JOIN staging.stg_register__pupils AS pupils
        ON pupils.pupil_hash = scores.pupil_hash AND pupils.school_year = scores.school_year
    LEFT JOIN members ON members.pupil_hash = scores.pupil_hash AND members.school_year = scores.school_year
),
-- One class: 1; two of a size: 1/2. A mean carries the variance between classes times this.
classes AS (
    SELECT
        semel_mosad, subject, grade, school_year, scale_id, group_id,
        CAST(sum(class_pupils * class_pupils) AS DOUBLE) / (sum(class_pupils) * sum(class_pupils)) AS class_concentration
    FROM (
        SELECT semel_mosad, subject, grade, school_year, scale_id, group_id, class_id, count(millionths) AS class_pupils
        FROM sat
        WHERE is_tested AND class_id IS NOT NULL
        GROUP BY semel_mosad, subject, grade, school_year, scale_id, group_id, class_id
    ) AS one_class
    GROUP BY semel_mosad, subject, grade, school_year, scale_id, group_id
    HAVING sum(class_pupils) > 0
),
tested AS (
    SELECT
        sat.semel_mosad,
        sat.subject,
        sat.grade,
        sat.school_year,
        sat.scale_id,
        sat.group_id,
        CAST(sum(sat.millionths) AS DOUBLE) / (CAST(1000000 AS DOUBLE) * count(sat.millionths)) AS score_mean,
        sqrt(
            CAST(
                count(sat.millionths) * sum(sat.millionths * sat.millionths) - sum(sat.millionths) * sum(sat.millionths)
                AS DOUBLE
            ) / nullif(count(sat.millionths) * (count(sat.millionths) - 1), 0)
        ) / 1000000 AS score_sd,
        CAST(count(sat.millionths) AS INTEGER) AS tested_pupils,
        false AS tested_pupils_is_imputed,
        100.0 * count(sat.millionths) / count(*) AS tested_share_pct,
        CAST(count(*) AS DOUBLE) AS listed_pupils,
        any_value(classes.class_concentration) AS class_concentration
    FROM sat
    LEFT JOIN classes
        ON classes.semel_mosad = sat.semel_mosad
        AND classes.subject = sat.subject
        AND classes.grade = sat.grade
        AND classes.school_year = sat.school_year
        AND classes.scale_id = sat.scale_id
        AND classes.group_id = sat.group_id
    GROUP BY sat.semel_mosad, sat.subject, sat.grade, sat.school_year, sat.scale_id, sat.group_id
),
latest_size AS (
    SELECT semel_mosad, pupils
    FROM core.core_school_year
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC) = 1
),
published AS (
    SELECT
        codes.semel_mosad,
        means.subject,
        means.grade,
        means.school_year,
        means.scale_id,
        'all' AS group_id,
        CASE
            WHEN count(means.tested_pupils) = count(*) AND sum(means.tested_pupils) FILTER (WHERE means.score_mean IS NOT NULL) > 0
                THEN sum(means.score_mean * means.tested_pupils) / sum(means.tested_pupils) FILTER (WHERE means.score_mean IS NOT NULL)
            ELSE avg(means.score_mean)
        END AS score_mean,
        avg(means.score_sd) AS score_sd,
        CAST(
            coalesce(
                sum(means.tested_pupils),
                round(any_value(coalesce(own_year.pupils, latest_size.pupils)) / any_value(city.grades_per_school))
            ) AS INTEGER
        ) AS tested_pupils,
        count(means.tested_pupils) = 0 AS tested_pupils_is_imputed,
        CAST(NULL AS DOUBLE) AS tested_share_pct,
        CAST(NULL AS DOUBLE) AS listed_pupils,
        CAST(NULL AS DOUBLE) AS class_concentration
    FROM staging.stg_tests__school_means AS means
    CROSS JOIN core.core_city AS city
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = means.semel_mosad
    LEFT JOIN core.core_school_year AS own_year
        ON own_year.semel_mosad = codes.semel_mosad AND own_year.school_year = means.school_year
    LEFT JOIN latest_size ON latest_size.semel_mosad = codes.semel_mosad
    GROUP BY codes.semel_mosad, means.subject, means.grade, means.school_year, means.scale_id
)
SELECT
    semel_mosad,
    subject,
    grade,
    school_year,
    scale_id,
    group_id,
    score_mean IS NOT NULL AS is_measured,
    score_mean,
    score_sd,
    tested_pupils,
    tested_pupils_is_imputed,
    tested_share_pct,
    CAST(listed_pupils AS INTEGER) AS listed_pupils,
    class_concentration,
    -- Wilson's upper bound at 99 % (z = 2.576): a small class is not accused of what chance does. Only of whole
    -- cells: integration pupils and newcomers may be exempt.
    CASE
        -- DuckDB's least() passes over nulls, so an unknown share is kept out of it.
        WHEN tested_share_pct IS NOT NULL AND group_id = 'all'
            THEN least(100.0, 100.0 * (
                tested_share_pct / 100 + 6.635776 / (2 * listed_pupils)
                + 2.576 * sqrt(
                    tested_share_pct / 100 * (1 - tested_share_pct / 100) / listed_pupils
                    + 6.635776 / (4 * listed_pupils * listed_pupils)
                )
            ) / (1 + 6.635776 / listed_pupils))
    END AS tested_share_hi_pct
FROM (SELECT * FROM tested UNION ALL SELECT * FROM published) AS cells
