-- A row: one scale of one kind of test in one school year.
-- Key: test_source, scale_id, school_year.
-- Stage: collect.
-- Scores of two scales are compared only through a common link id; a break is not a change (R9).
WITH means AS (
    SELECT
        test_source,
        scale_id,
        school_year,
        min(link_id) AS link_id,
        avg(score) AS score_mean,
        CAST(count(score) AS INTEGER) AS tested_pupils
    FROM staging.stg_tests__pupil_scores
    WHERE is_tested
    GROUP BY test_source, scale_id, school_year
),
-- The mean of the year before over the same subjects and grades only: what was tested may differ.
cells AS (
    SELECT test_source, scale_id, school_year, subject, grade, avg(score) AS score_mean, count(score) AS n
    FROM staging.stg_tests__pupil_scores
    WHERE is_tested
    GROUP BY test_source, scale_id, school_year, subject, grade
),
shifts AS (
    SELECT
        now.test_source,
        now.scale_id,
        now.school_year,
        sum(before.score_mean * now.n) / sum(now.n) AS previous_mean,
        sum((now.score_mean - before.score_mean) * now.n) / sum(now.n) AS shift
    FROM cells AS now
    JOIN cells AS before
        ON before.test_source = now.test_source
        AND before.scale_id = now.scale_id
        AND before.school_year = now.school_year - 1
        AND before.subject = now.subject
        AND before.grade = now.grade
    GROUP BY now.test_source, now.scale_id, now.school_year
),
linked AS (SELECT test_source, school_year, scale_id, link_id FROM means)
SELECT
    means.test_source,
    means.scale_id,
    means.school_year,
    means.link_id,
    means.score_mean,
    means.tested_pupils,
    shifts.previous_mean,
    shifts.shift / scales.scale_sd AS shift_sd,
    EXISTS (
        SELECT 1
        FROM means AS earlier
        WHERE earlier.test_source = means.test_source
            AND earlier.scale_id <> means.scale_id
            AND earlier.school_year < means.school_year
            AND earlier.school_year > (
                SELECT min(own.school_year)
                FROM means AS own
                WHERE own.test_source = means.test_source AND own.scale_id = means.scale_id
            )
            AND NOT EXISTS (
                SELECT 1
                FROM means AS own
                WHERE own.test_source = means.test_source
                    AND own.scale_id = means.scale_id
                    AND own.school_year = earlier.school_year
            )
    ) AS is_returning_scale,
    EXISTS (
        SELECT 1
        FROM linked
        WHERE linked.test_source = means.test_source
            AND linked.school_year = means.school_year - 1
            AND (linked.scale_id = means.scale_id OR linked.link_id = means.link_id)
    ) AS is_comparable
FROM means
LEFT JOIN shifts
    ON shifts.test_source = means.test_source
    AND shifts.scale_id = means.scale_id
    AND shifts.school_year = means.school_year
LEFT JOIN core.core_policy_scale AS scales ON scales.scale_id = means.scale_id
