-- A row: the city of this release; is_synthetic says whether its data describe anybody.
-- Key: city_id.
-- Stage: aim.
SELECT
    city_id,
    city_name_he,
    city_name_en,
    authority_name,
    is_synthetic,
    scope,
    reference_year,
    planning_year,
    window_first_year,
    window_last_year,
    grades_per_school,
    class_design_effect
FROM core.core_city
