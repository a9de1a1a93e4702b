-- A row: the pupils of one school listed for one kind of tests in one school year.
-- Key: semel_mosad, school_year, test_source.
-- Stage: diagnose.
-- Who was not tested, and who sat an adapted test (R26): shares of the pupils' tests. Their 99 % intervals count each
-- pupil once, as a pupil's tests move together. Marked where the share of either is surely above 15 %: the school's
-- means may then speak of other pupils than its own.
WITH listed AS (
    SELECT
        codes.semel_mosad,
        scores.school_year,
        scores.test_source,
        count(DISTINCT scores.pupil_hash) AS n,
        CAST(count(*) FILTER (WHERE NOT scores.is_tested) AS DOUBLE) / count(*) AS untested,
        -- What no file says is unknown, not "no".
        CAST(count(*) FILTER (WHERE scores.is_adapted) AS DOUBLE) / nullif(count(scores.is_adapted), 0) AS adapted,
        count(DISTINCT scores.pupil_hash) FILTER (WHERE scores.is_adapted) AS adapted_pupils
    FROM staging.stg_tests__pupil_scores AS scores
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = scores.semel_mosad
    GROUP BY codes.semel_mosad, scores.school_year, scores.test_source
),
bounded AS (
    SELECT
        *,
        (untested + 6.635776 / (2 * n)) / (1 + 6.635776 / n) AS untested_middle,
        2.576 * sqrt(untested * (1 - untested) / n + 6.635776 / (4 * n * n)) / (1 + 6.635776 / n) AS untested_half,
        (adapted + 6.635776 / (2 * n)) / (1 + 6.635776 / n) AS adapted_middle,
        2.576 * sqrt(adapted * (1 - adapted) / n + 6.635776 / (4 * n * n)) / (1 + 6.635776 / n) AS adapted_half
    FROM listed
),
limits AS (
    SELECT max(TRY_CAST(parameter_value AS INTEGER)) AS few
    FROM core.core_parameter
    WHERE parameter_id = 'policy.suppression.count_pupils' OR parameter_id LIKE 'policy.audiences.%.count_pupils'
)
SELECT
    semel_mosad,
    school_year,
    test_source,
    CAST(n AS INTEGER) AS listed_pupils,
    100 * untested AS untested_pct,
    100 * greatest(0.0, untested_middle - untested_half) AS untested_lo_pct,
    100 * least(1.0, untested_middle + untested_half) AS untested_hi_pct,
    100 * adapted AS adapted_pct,
    CASE WHEN adapted IS NOT NULL THEN 100 * greatest(0.0, adapted_middle - adapted_half) END AS adapted_lo_pct,
    CASE WHEN adapted IS NOT NULL THEN 100 * least(1.0, adapted_middle + adapted_half) END AS adapted_hi_pct,
    untested_middle - untested_half > 0.15 AS is_untested_high,
    coalesce(adapted_middle - adapted_half > 0.15, false) AS is_adapted_high,
    CAST(CASE WHEN adapted_pupils BETWEEN 1 AND limits.few - 1 THEN adapted_pupils END AS INTEGER) AS small_pupils
FROM bounded
CROSS JOIN limits
