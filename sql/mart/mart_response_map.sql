-- A row: one school of the plan × response.
-- Key: semel_mosad, response_id.
-- Stage: decide.
-- Where no participation was reported at all, being served is unknown, not false. cell_pupils is the fewest pupils that
-- the number could tell of: a small one is not published. A response for a group of pupils goes where they are: where
-- nobody counted them, nobody is eligible, as what is not known is not bought.
WITH counted_groups AS (SELECT DISTINCT group_id FROM core.core_group_school),
last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
background AS (
    SELECT semel_mosad, nurture_index
    FROM core.core_school_year
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC) = 1
)
SELECT
    schools.semel_mosad,
    responses.response_id,
    last_report.school_year IS NOT NULL AS is_measured,
    last_report.school_year,
    CASE WHEN last_report.school_year IS NOT NULL THEN coalesce(served.participants, 0) > 0 END AS is_served,
    CASE WHEN last_report.school_year IS NOT NULL THEN coalesce(served.participants, 0) END AS participants,
    cells.cell_pupils,
    (responses.nurture_index_min IS NULL OR coalesce(background.nurture_index >= responses.nurture_index_min, false))
    AND (responses.served_group IS NULL OR own_group.group_pupils IS NOT NULL) AS is_eligible,
    CASE
        WHEN responses.served_group IS NOT NULL AND counted_groups.group_id IS NULL
            THEN 'לא ידוע כמה תלמידים מן הקבוצה שהמענה מיועד לה לומדים בבית הספר'
        WHEN responses.served_group IS NOT NULL AND own_group.group_pupils IS NULL
            THEN 'אין בבית הספר תלמידים מן הקבוצה שהמענה מיועד לה'
        WHEN responses.nurture_index_min IS NULL THEN 'ללא תנאי'
        WHEN background.nurture_index IS NULL THEN concat(responses.eligibility_reason_he, '; המדד לא נמדד')
        ELSE responses.eligibility_reason_he
    END AS eligibility_reason_he,
    CASE
        WHEN responses.served_group IS NOT NULL AND counted_groups.group_id IS NULL
            THEN 'nobody knows how many pupils of the group that it is for learn in the school'
        WHEN responses.served_group IS NOT NULL AND own_group.group_pupils IS NULL
            THEN 'no pupil of the group that it is for learns in the school'
        WHEN responses.nurture_index_min IS NULL THEN 'no condition'
        WHEN background.nurture_index IS NULL THEN concat(responses.eligibility_reason_en, '; the index is not measured')
        ELSE responses.eligibility_reason_en
    END AS eligibility_reason_en
FROM core.core_school AS schools
CROSS JOIN core.core_response AS responses
CROSS JOIN last_report
LEFT JOIN background ON background.semel_mosad = schools.semel_mosad
LEFT JOIN counted_groups ON counted_groups.group_id = responses.served_group
LEFT JOIN core.core_group_school AS own_group
    ON own_group.group_id = responses.served_group AND own_group.semel_mosad = schools.semel_mosad
LEFT JOIN core.core_participation AS served
    ON served.semel_mosad = schools.semel_mosad
    AND served.response_id = responses.response_id
    AND served.school_year = last_report.school_year
LEFT JOIN mart.mart_response_group AS cells
    ON cells.semel_mosad = schools.semel_mosad
    AND cells.response_id = responses.response_id
    AND cells.group_id = 'all'
WHERE schools.is_in_plan
