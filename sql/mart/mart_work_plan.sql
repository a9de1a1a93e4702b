-- A row: one line of the plan in force, as work to do.
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
    lines.plan_row_id,
    lines.semel_mosad,
    coalesce(schools.school_name_he, 'העיר כולה') AS school_name_he,
    lines.response_id,
    responses.response_name_he,
    city.planning_year AS school_year,
    CASE WHEN responses.response_class = 'talented_by_schools' THEN 'מנהל/ת בית הספר' ELSE 'מחלקת החינוך' END AS owner_role,
    lines.participants,
    lines.cost_agorot,
    lines.is_decided,
    coalesce(sure.addresses, 'none') AS addresses,
    CASE
        WHEN lines.semel_mosad IS NULL THEN 'מספר המשובצים בפועל מול המקומות'
        WHEN responses.is_excellence THEN 'מספר המשתתפים בפועל מול התכנון, ועמידה במינון'
        WHEN sure.addresses IS NULL THEN 'השתתפות מול תכנון; אין בבית הספר פער ודאי, ולכן נבדקת יציבות הרמה במדידה הבאה'
        ELSE 'השתתפות מול תכנון, וצמצום הפער (בסטיות תקן) במדידה הבאה'
    END AS measure_he
FROM mart.mart_plan_line AS lines
CROSS JOIN core.core_city AS city
JOIN core.core_response AS responses ON responses.response_id = lines.response_id
LEFT JOIN core.core_school AS schools ON schools.semel_mosad = lines.semel_mosad
LEFT JOIN sure ON sure.semel_mosad = lines.semel_mosad
