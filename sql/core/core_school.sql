-- A row: one institution of the city, as last registered.
-- Key: semel_mosad.
-- Stage: collect.
-- The background register alone knows no legal status or stage; such a school is not counted. Nor is one without a pupil.
WITH registered AS (
    SELECT codes.semel_mosad, schools.* EXCLUDE (semel_mosad), schools.semel_mosad = codes.semel_mosad AS is_own_code
    FROM staging.stg_register__schools AS schools
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = schools.semel_mosad
),
latest AS (
    SELECT *
    FROM registered
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC, is_own_code DESC, pupils DESC) = 1
),
validity AS (
    SELECT semel_mosad, min(school_year) AS valid_from_year, max(school_year) AS valid_to_year
    FROM registered
    GROUP BY semel_mosad
),
merged AS (
    SELECT
        today.semel_mosad,
        coalesce(latest.school_name_he, background.school_name_he) AS school_name_he,
        coalesce(latest.authority_name, background.authority_name) AS authority_name,
        coalesce(latest.authority_code, background.authority_code) AS authority_code,
        latest.district_name,
        coalesce(latest.sector, background.sector) AS sector,
        coalesce(latest.supervision_stream, background.supervision_stream) AS supervision_stream,
        latest.legal_status,
        latest.education_stage,
        latest.education_type,
        latest.choice_cluster,
        latest.uniqueness_cluster,
        latest.stat_area,
        background.ses_category,
        latest.is_self_managed,
        latest.location_east_m,
        latest.location_north_m,
        latest.pupils,
        validity.valid_from_year,
        validity.valid_to_year
    FROM (SELECT DISTINCT semel_mosad FROM core.core_city_code) AS today
    LEFT JOIN latest USING (semel_mosad)
    LEFT JOIN validity USING (semel_mosad)
    LEFT JOIN staging.stg_register__school_background AS background USING (semel_mosad)
)
SELECT
    merged.semel_mosad,
    merged.school_name_he,
    merged.authority_name,
    merged.authority_code,
    merged.district_name,
    merged.sector,
    merged.supervision_stream,
    merged.legal_status,
    CASE
        WHEN coalesce(merged.legal_status, 'official') = 'official' THEN merged.supervision_stream
        ELSE merged.legal_status
    END AS stream,
    merged.education_stage,
    merged.education_type,
    elementary.education_stage IS NOT NULL AS is_elementary,
    in_plan.legal_status IS NOT NULL AND coalesce(merged.pupils, 0) > 0 AS is_in_plan,
    merged.choice_cluster,
    merged.uniqueness_cluster,
    merged.stat_area,
    merged.ses_category,
    merged.is_self_managed,
    merged.location_east_m,
    merged.location_north_m,
    merged.valid_from_year,
    merged.valid_to_year
FROM merged
LEFT JOIN (SELECT DISTINCT education_stage, education_type FROM core.core_plan_scope) AS elementary
    ON elementary.education_stage = merged.education_stage
    AND elementary.education_type = merged.education_type
LEFT JOIN core.core_plan_scope AS in_plan
    ON in_plan.education_stage = merged.education_stage
    AND in_plan.education_type = merged.education_type
    AND in_plan.legal_status = merged.legal_status
