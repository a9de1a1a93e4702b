-- A row: one institution in one school year, as its source gives it, typed.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    semel_mosad,
    CAST(school_year AS INTEGER) AS school_year,
    school_name_he,
    authority_name,
    sector,
    supervision_stream,
    legal_status,
    education_stage,
    education_type,
    CAST(pupils AS INTEGER) AS pupils,
    CAST(classes AS DOUBLE) AS classes,
    CAST(nurture_index AS DOUBLE) AS nurture_index,
    CAST(nurture_quintile AS INTEGER) AS nurture_quintile,
    stat_area,
    choice_cluster,
    uniqueness_cluster,
    CAST(is_self_managed AS BOOLEAN) AS is_self_managed,
    CAST(opened_on AS DATE) AS opened_on,
    CAST(closed_on AS DATE) AS closed_on,
    CAST(location_east_m AS DOUBLE) AS location_east_m,
    CAST(location_north_m AS DOUBLE) AS location_north_m
FROM raw.raw_register__schools
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'register__schools') AS set_aside
    USING (file_name, file_row)
