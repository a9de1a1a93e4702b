-- A row: one school × subject × grade × school year known only as a band around similar schools.
-- Key: semel_mosad, subject, grade, school_year.
-- Stage: diagnose.
-- A band counts where no external score of the same test is measured; it is never turned into a score (R8, R33). It
-- belongs to the external scale of its year; without one no school was scored, and nothing says where similar schools are.
WITH external AS (
    SELECT scale_id, school_year FROM core.core_scale_year WHERE test_source = 'external'
    UNION
    SELECT scale_id, school_year FROM staging.stg_tests__school_means
),
scored AS (
    SELECT cells.semel_mosad, cells.subject, cells.grade, cells.school_year, cells.scale_id, cells.desired_value
    FROM core.core_gap_cell AS cells
    JOIN external ON external.scale_id = cells.scale_id AND external.school_year = cells.school_year
    WHERE cells.group_id = 'all' AND cells.is_measured
),
-- Of several external scales, the one on which most schools were scored.
in_use AS (
    SELECT subject, grade, school_year, scale_id, any_value(desired_value) AS desired_value
    FROM scored
    GROUP BY subject, grade, school_year, scale_id
    QUALIFY row_number() OVER (PARTITION BY subject, grade, school_year ORDER BY count(*) DESC, scale_id) = 1
),
-- Codes that merged may have two bands: their common mean lies anywhere from the lower one to the upper one.
banded AS (
    SELECT
        codes.semel_mosad,
        bands.subject,
        bands.grade,
        bands.school_year,
        CASE WHEN count(DISTINCT bands.band) = 1 THEN min(bands.band) END AS band,
        CASE WHEN count(limits.band_lo_sd) = count(*) THEN min(limits.band_lo_sd) END AS band_lo_sd,
        CASE WHEN count(limits.band_hi_sd) = count(*) THEN max(limits.band_hi_sd) END AS band_hi_sd
    FROM staging.stg_tests__school_bands AS bands
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = bands.semel_mosad
    LEFT JOIN core.core_policy_band AS limits ON limits.band = bands.band
    GROUP BY codes.semel_mosad, bands.subject, bands.grade, bands.school_year
),
classes AS (
    SELECT codes.semel_mosad, pupils.school_year, pupils.grade, pupils.class_id, count(*) AS class_pupils
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    GROUP BY codes.semel_mosad, pupils.school_year, pupils.grade, pupils.class_id
),
registered AS (
    SELECT
        semel_mosad,
        school_year,
        grade,
        sum(class_pupils) AS pupils,
        CAST(sum(class_pupils * class_pupils) AS DOUBLE) / (sum(class_pupils) * sum(class_pupils)) AS class_concentration
    FROM classes
    GROUP BY semel_mosad, school_year, grade
),
latest_size AS (
    SELECT semel_mosad, pupils
    FROM core.core_school_year
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC) = 1
),
-- A band comes without the number tested: the pupils of the grade stand in.
sized AS (
    SELECT
        banded.*,
        registered.class_concentration,
        CAST(nullif(round(coalesce(
            registered.pupils,
            coalesce(own_year.pupils, latest_size.pupils) / city.grades_per_school
        )), 0) AS INTEGER) AS tested_pupils,
        city.class_design_effect
    FROM banded
    CROSS JOIN core.core_city AS city
    LEFT JOIN registered
        ON registered.semel_mosad = banded.semel_mosad
        AND registered.school_year = banded.school_year
        AND registered.grade = banded.grade
    LEFT JOIN core.core_school_year AS own_year
        ON own_year.semel_mosad = banded.semel_mosad AND own_year.school_year = banded.school_year
    LEFT JOIN latest_size ON latest_size.semel_mosad = banded.semel_mosad
)
SELECT
    sized.semel_mosad,
    sized.subject,
    sized.grade,
    sized.school_year,
    in_use.scale_id,
    in_use.desired_value,
    sized.band,
    sized.band_lo_sd,
    sized.band_hi_sd,
    sized.tested_pupils,
    -- As in core_gap_cell, with the variance of all classes in the place of the cell's own.
    CASE
        WHEN variances.between_variance IS NOT NULL AND sized.class_concentration IS NOT NULL
            THEN sqrt(
                variances.between_variance * sized.class_concentration + variances.within_variance / sized.tested_pupils
            ) / scales.reference_sd
        WHEN in_use.scale_id IS NOT NULL THEN sqrt(sized.class_design_effect / sized.tested_pupils)
    END AS gap_sampling_sd
FROM sized
LEFT JOIN in_use
    ON in_use.subject = sized.subject
    AND in_use.grade = sized.grade
    AND in_use.school_year = sized.school_year
LEFT JOIN core.core_scale AS scales
    ON scales.scale_id = in_use.scale_id
    AND scales.school_year = in_use.school_year
    AND scales.grade = in_use.grade
    AND scales.subject = in_use.subject
LEFT JOIN core.core_class_variance AS variances
    ON variances.scale_id = in_use.scale_id AND variances.subject = in_use.subject
WHERE NOT EXISTS (
    SELECT 1
    FROM scored
    WHERE scored.semel_mosad = sized.semel_mosad
        AND scored.subject = sized.subject
        AND scored.grade = sized.grade
        AND scored.school_year = sized.school_year
)
