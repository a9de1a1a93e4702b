-- A row: the weak pupils of one school listed for one test: kind, subject and school year.
-- Key: semel_mosad, school_year, test_source, subject.
-- Stage: collect.
-- Weak are the fifth of the school's listed pupils with the lowest mean over their other results of the year and of the
-- year before. How many of them a school is expected to leave untested is told by the weak pupils of the city's other
-- schools in the same test, integration pupils apart, as they may be exempt. selection_p is how often chance alone leaves
-- so many or more (Poisson): weak pupils were kept from the test where it is small (R26).
WITH listed AS (
    SELECT
        codes.semel_mosad,
        scores.pupil_hash,
        scores.school_year,
        scores.test_source,
        scores.subject,
        scores.is_tested,
        coalesce(pupils.is_sen_integration, false) AS is_sen_integration,
        CASE WHEN scores.is_tested THEN (scores.score - scales.reference_mean) / scales.reference_sd END AS level_sd
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    JOIN core.core_scale AS scales
        ON scales.scale_id = scores.scale_id
        AND scales.school_year = scores.school_year
        AND scales.grade = scores.grade
        AND scales.subject = scores.subject
    LEFT JOIN staging.stg_register__pupils AS pupils
        ON pupils.pupil_hash = scores.pupil_hash AND pupils.school_year = scores.school_year
),
years AS (
    SELECT pupil_hash, school_year, coalesce(sum(level_sd), 0) AS level_sum, count(level_sd) AS levels
    FROM listed
    GROUP BY pupil_hash, school_year
),
others AS (
    SELECT
        listed.*,
        (years.level_sum + coalesce(before.level_sum, 0) - coalesce(listed.level_sd, 0))
        / nullif(years.levels + coalesce(before.levels, 0) - CAST(listed.level_sd IS NOT NULL AS INTEGER), 0) AS other_sd
    FROM listed
    JOIN years ON years.pupil_hash = listed.pupil_hash AND years.school_year = listed.school_year
    LEFT JOIN years AS before ON before.pupil_hash = listed.pupil_hash AND before.school_year = listed.school_year - 1
),
weak AS (
    SELECT *
    FROM others
    WHERE other_sd IS NOT NULL
    QUALIFY percent_rank() OVER (PARTITION BY semel_mosad, school_year, test_source, subject ORDER BY other_sd) <= 0.2
),
counted AS (
    SELECT
        semel_mosad,
        school_year,
        test_source,
        subject,
        is_sen_integration,
        count(*) AS weak_pupils,
        count(*) FILTER (WHERE NOT is_tested) AS untested
    FROM weak
    GROUP BY semel_mosad, school_year, test_source, subject, is_sen_integration
),
tests AS (
    SELECT semel_mosad, school_year, test_source, subject, sum(weak_pupils) AS weak_pupils, sum(untested) AS untested, sum(expected) AS expected
    FROM (
        SELECT
            *,
            weak_pupils * ((sum(untested) OVER city) - untested) / ((sum(weak_pupils) OVER city) - weak_pupils) AS expected
        FROM counted
        WINDOW city AS (PARTITION BY school_year, test_source, subject, is_sen_integration)
        -- Without another school nothing is expected.
        QUALIFY (sum(weak_pupils) OVER city) > weak_pupils
    ) AS beside_others
    GROUP BY semel_mosad, school_year, test_source, subject
)
SELECT
    semel_mosad,
    school_year,
    test_source,
    subject,
    CAST(weak_pupils AS INTEGER) AS weak_pupils,
    CAST(untested AS INTEGER) AS weak_untested_pupils,
    expected AS expected_untested_pupils,
    -- Where the others left nobody out, one in a thousand stands in for none.
    greatest(0.0, 1 - coalesce(list_sum(list_transform(
        range(CAST(untested AS INTEGER)),
        lambda k: exp(k * ln(greatest(expected, weak_pupils / 1000.0)) - greatest(expected, weak_pupils / 1000.0) - lgamma(k + 1))
    )), 0)) AS selection_p
FROM tests
