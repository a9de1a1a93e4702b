-- A row: one scale in one school year, grade and subject.
-- Key: scale_id, school_year, grade, subject.
-- Stage: collect.
-- A national reference is standardised within year × grade × subject: its mean is the mean of all published school
-- means of the cell; its pupil SD is the scale's declared SD, moved by how much wider or narrower the schools of this
-- cell spread than those of the average cell (no pupil-level SD is published).
WITH declared AS (
    SELECT DISTINCT
        scores.scale_id,
        scores.school_year,
        scores.grade,
        scores.subject,
        scales.scale_mean AS reference_mean,
        scales.scale_sd AS reference_sd,
        CAST(NULL AS INTEGER) AS reference_schools
    FROM (
        SELECT scale_id, school_year, grade, subject FROM staging.stg_tests__pupil_scores
        UNION
        SELECT scale_id, school_year, grade, subject FROM staging.stg_tests__school_means
    ) AS scores
    JOIN core.core_policy_scale AS scales
        ON scales.scale_id = scores.scale_id AND scales.scale_kind = 'declared'
),
country AS (
    SELECT
        scale_id,
        school_year,
        grade,
        subject,
        avg(score_mean) AS reference_mean,
        var_samp(score_mean) AS between_variance,
        CAST(count(score_mean) AS INTEGER) AS reference_schools
    FROM staging.stg_tests__school_means
    GROUP BY scale_id, school_year, grade, subject
    HAVING count(score_mean) >= 2
),
pooled AS (
    SELECT
        scale_id,
        sqrt(sum((reference_schools - 1) * between_variance) / sum(reference_schools - 1)) AS pooled_sd
    FROM country
    GROUP BY scale_id
)
SELECT * FROM declared
UNION ALL
SELECT
    country.scale_id,
    country.school_year,
    country.grade,
    country.subject,
    country.reference_mean,
    scales.scale_sd * sqrt(country.between_variance) / pooled.pooled_sd AS reference_sd,
    country.reference_schools
FROM country
JOIN pooled ON pooled.scale_id = country.scale_id
JOIN core.core_policy_scale AS scales
    ON scales.scale_id = country.scale_id AND scales.scale_kind = 'national_reference'
