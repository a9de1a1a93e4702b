-- A row: one funded response in one school, as work to do.
-- Key: plan_row_id.
-- Stage: act.
-- Every funded unit has a row and every row its gap, or says that none is sure (R102); a service of the whole city is a
-- row of no school.
WITH sure AS (
    SELECT semel_mosad, string_agg(subject, ',' ORDER BY subject) AS addresses
    FROM mart.mart_gap_school
    WHERE subject <> 'all' AND gap_tier IN ('surely_below', 'probably_below')
    GROUP BY semel_mosad
)
SELECT
    concat(allocation.semel_mosad, '/', allocation.response_id) AS plan_row_id,
    allocation.semel_mosad,
    allocation.school_name_he,
    allocation.response_id,
    allocation.response_name_he,
    city.planning_year AS school_year,
    CASE WHEN responses.response_class = 'talented_by_schools' THEN 'מנהל/ת בית הספר' ELSE 'מחלקת החינוך' END AS owner_role,
    allocation.participants,
    allocation.cost_agorot,
    coalesce(sure.addresses, 'none') AS addresses,
    CASE
        WHEN responses.is_excellence THEN 'מספר המשתתפים בפועל מול התכנון, ועמידה במינון'
        WHEN sure.addresses IS NULL THEN 'השתתפות מול תכנון; אין בבית הספר פער ודאי, ולכן נבדקת יציבות הרמה במדידה הבאה'
        ELSE 'השתתפות מול תכנון, וצמצום הפער (בסטיות תקן) במדידה הבאה'
    END AS measure_he
FROM mart.mart_allocation AS allocation
CROSS JOIN core.core_city AS city
JOIN core.core_response AS responses ON responses.response_id = allocation.response_id
LEFT JOIN sure ON sure.semel_mosad = allocation.semel_mosad
UNION ALL
SELECT
    concat('city/', services.response_id),
    NULL,
    'העיר כולה',
    services.response_id,
    services.response_name_he,
    city.planning_year,
    'מחלקת החינוך',
    CAST(services.places AS INTEGER),
    services.cost_agorot,
    'none',
    'מספר המשובצים בפועל מול המקומות'
FROM mart.mart_city_service AS services
CROSS JOIN core.core_city AS city
WHERE services.places > 0
