-- A row: one pupil in one group in one school year.
-- Key: pupil_hash, school_year, group_id.
-- Stage: collect.
-- Whom a measure of a group includes is decided by the version that held in the school year (R5).
WITH attributes AS (
    UNPIVOT (
        SELECT
            pupils.pupil_hash,
            pupils.school_year,
            codes.semel_mosad,
            CAST(pupils.nurture_decile AS VARCHAR) AS nurture_decile,
            CAST(pupils.years_in_israel AS VARCHAR) AS years_in_israel,
            CAST(pupils.is_sen_integration AS VARCHAR) AS is_sen_integration,
            CAST(pupils.is_gifted AS VARCHAR) AS is_gifted,
            pupils.sex,
            schools.stream,
            pupils.stat_area
        FROM staging.stg_register__pupils AS pupils
        JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
        JOIN core.core_school AS schools ON schools.semel_mosad = codes.semel_mosad
    ) ON nurture_decile, years_in_israel, is_sen_integration, is_gifted, sex, stream, stat_area
    INTO NAME attribute VALUE attribute_value
),
versions AS (
    SELECT
        *,
        coalesce(lead(valid_from_year) OVER (PARTITION BY group_id ORDER BY valid_from_year), 9999) AS valid_until_year
    FROM core.core_group
)
SELECT attributes.pupil_hash, attributes.school_year, versions.group_id, attributes.semel_mosad
FROM attributes
JOIN versions
    ON versions.attribute = attributes.attribute
    AND attributes.school_year >= versions.valid_from_year
    AND attributes.school_year < versions.valid_until_year
    AND (versions.equals IS NULL OR versions.equals = attributes.attribute_value)
    AND (versions.at_least IS NULL OR TRY_CAST(attributes.attribute_value AS DOUBLE) >= versions.at_least)
    AND (versions.at_most IS NULL OR TRY_CAST(attributes.attribute_value AS DOUBLE) <= versions.at_most)
