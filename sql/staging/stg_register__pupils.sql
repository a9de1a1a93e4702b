-- A row: one pupil in one school year, as its source gives it, typed.
-- Key: pupil_hash, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    pupil_hash,
    CAST(school_year AS INTEGER) AS school_year,
    semel_mosad,
    CAST(grade AS INTEGER) AS grade,
    class_id,
    sex,
    CAST(birth_year AS INTEGER) AS birth_year,
    CAST(nurture_decile AS INTEGER) AS nurture_decile,
    stat_area,
    CAST(years_in_israel AS INTEGER) AS years_in_israel,
    CAST(is_sen_integration AS BOOLEAN) AS is_sen_integration,
    CAST(is_gifted AS BOOLEAN) AS is_gifted,
    CAST(is_amirim AS BOOLEAN) AS is_amirim,
    CAST(parent_education_years AS DOUBLE) AS parent_education_years,
    CAST(has_home_internet AS BOOLEAN) AS has_home_internet
FROM raw.raw_register__pupils
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'register__pupils') AS set_aside
    USING (file_name, file_row)
