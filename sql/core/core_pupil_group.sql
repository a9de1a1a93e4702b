-- A row: one pupil in one group in one school year.
-- Key: pupil_hash, school_year, group_id.
-- Stage: collect.
-- Whom a measure of a group includes is decided by the version that held in the school year (R5).
WITH versions AS (
    SELECT
        *,
        coalesce(lead(valid_from_year) OVER (PARTITION BY group_id ORDER BY valid_from_year), 9999) AS valid_until_year
    FROM core.core_group
),
attributes AS (
    SELECT
        pupils.pupil_hash,
        pupils.school_year,
        codes.semel_mosad,
        versions.group_id,
        versions.at_least,
        versions.at_most,
        versions.equals,
        CASE versions.attribute
            WHEN 'nurture_decile' THEN CAST(pupils.nurture_decile AS VARCHAR)
            WHEN 'years_in_israel' THEN CAST(pupils.years_in_israel AS VARCHAR)
            WHEN 'is_sen_integration' THEN CAST(pupils.is_sen_integration AS VARCHAR)
            WHEN 'is_gifted' THEN CAST(pupils.is_gifted AS VARCHAR)
            WHEN 'sex' THEN pupils.sex
            WHEN 'stream' THEN schools.stream
            WHEN 'stat_area' THEN pupils.stat_area
        END AS attribute_value
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    JOIN core.core_school AS schools ON schools.semel_mosad = codes.semel_mosad
    JOIN versions
        ON pupils.school_year >= versions.valid_from_year
        AND pupils.school_year < versions.valid_until_year
)
SELECT pupil_hash, school_year, group_id, semel_mosad
FROM attributes
WHERE attribute_value IS NOT NULL
    AND (equals IS NULL OR equals = attribute_value)
    AND (at_least IS NULL OR TRY_CAST(attribute_value AS DOUBLE) >= at_least)
    AND (at_most IS NULL OR TRY_CAST(attribute_value AS DOUBLE) <= at_most)
