-- A row: one scale of one kind of test in one school year.
-- Key: test_source, scale_id, school_year.
-- Stage: collect.
-- Scores of two years are compared only by one ruler; a break is not a change (R9).
-- Sums: exact (scores in millionths of a point), so that the order of pupils decides nothing.
WITH sat AS NOT MATERIALIZED (
    SELECT scores.*, CAST(round(scores.score * 1000000) AS DECIMAL(18, 0)) AS millionths
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    WHERE scores.is_tested
),
means AS (
    SELECT
        test_source,
        scale_id,
        school_year,
        min(link_id) AS link_id,
        CAST(sum(millionths) AS DOUBLE) / (CAST(1000000 AS DOUBLE) * count(millionths)) AS score_mean,
        CAST(count(millionths) AS INTEGER) AS tested_pupils
    FROM sat
    GROUP BY test_source, scale_id, school_year
),
-- The mean of the year before over the same subjects and grades only: what was tested may differ.
cells AS (
    SELECT
        test_source,
        scale_id,
        school_year,
        subject,
        grade,
        CAST(sum(millionths) AS DOUBLE) / (CAST(1000000 AS DOUBLE) * count(millionths)) AS score_mean,
        count(millionths) AS n
    FROM sat
    GROUP BY test_source, scale_id, school_year, subject, grade
),
shifts AS (
    SELECT
        now.test_source,
        now.scale_id,
        now.school_year,
        CAST(sum(CAST(before.score_mean * now.n AS DECIMAL(38, 12))) AS DOUBLE) / sum(now.n) AS previous_mean,
        CAST(sum(CAST((now.score_mean - before.score_mean) * now.n AS DECIMAL(38, 12))) AS DOUBLE) / sum(now.n) AS shift
    FROM cells AS now
    JOIN cells AS before
        ON before.test_source = now.test_source
        AND before.scale_id = now.scale_id
        AND before.school_year = now.school_year - 1
        AND before.subject = now.subject
        AND before.grade = now.grade
    GROUP BY now.test_source, now.scale_id, now.school_year
),
ruled AS (
    SELECT means.test_source, means.scale_id, means.school_year, links.ruler
    FROM means
    JOIN core.core_scale_link AS links ON links.scale_id = means.scale_id AND links.school_year = means.school_year
),
-- A scale that was left for another one of the same kind of test, and came back.
came_back AS (
    SELECT DISTINCT own.test_source, own.scale_id, own.school_year
    FROM (SELECT *, min(school_year) OVER (PARTITION BY test_source, scale_id) AS first_year FROM means) AS own
    JOIN means AS earlier
        ON earlier.test_source = own.test_source
        AND earlier.scale_id <> own.scale_id
        AND earlier.school_year < own.school_year
        AND earlier.school_year > own.first_year
    LEFT JOIN means AS same
        ON same.test_source = own.test_source
        AND same.scale_id = own.scale_id
        AND same.school_year = earlier.school_year
    WHERE same.scale_id IS NULL
)
SELECT
    means.test_source,
    means.scale_id,
    means.school_year,
    means.link_id,
    means.score_mean,
    means.tested_pupils,
    shifts.previous_mean,
    shifts.shift / scales.scale_sd AS shift_sd,
    came_back.scale_id IS NOT NULL AS is_returning_scale,
    EXISTS (
        SELECT 1
        FROM ruled AS earlier
        WHERE earlier.test_source = means.test_source
            AND earlier.school_year = means.school_year - 1
            AND earlier.ruler = own.ruler
    ) AS is_comparable
FROM means
JOIN ruled AS own
    ON own.test_source = means.test_source AND own.scale_id = means.scale_id AND own.school_year = means.school_year
LEFT JOIN shifts
    ON shifts.test_source = means.test_source
    AND shifts.scale_id = means.scale_id
    AND shifts.school_year = means.school_year
LEFT JOIN core.core_policy_scale AS scales ON scales.scale_id = means.scale_id
LEFT JOIN came_back
    ON came_back.test_source = means.test_source
    AND came_back.scale_id = means.scale_id
    AND came_back.school_year = means.school_year
