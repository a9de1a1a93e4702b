-- A row: one school of the plan × response × group of pupils ("all" = every pupil).
-- Key: semel_mosad, response_id, group_id.
-- Stage: decide.
-- The response map (R53). Participants are those of the last school year reported, counted from the lists of pupils;
-- where a response lists nobody the school's own number stands for all its pupils, and a group's share of it is known
-- only where the whole school takes part. cell_pupils is the fewest pupils a cell could tell of: those in it, those of
-- the school who take part outside it, the group, the pupils outside the group.
WITH last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
reported AS (
    SELECT delivery.*
    FROM core.core_participation AS delivery
    JOIN last_report ON last_report.school_year = delivery.school_year
),
listed AS (
    SELECT lists.*
    FROM core.core_response_participant AS lists
    JOIN last_report ON last_report.school_year = lists.school_year
),
members AS (
    SELECT pupils.pupil_hash, codes.semel_mosad, 'all' AS group_id
    FROM staging.stg_register__pupils AS pupils
    JOIN last_report ON last_report.school_year = pupils.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    UNION ALL
    SELECT members.pupil_hash, members.semel_mosad, members.group_id
    FROM core.core_pupil_group AS members
    JOIN last_report ON last_report.school_year = members.school_year
),
sizes AS (
    SELECT semel_mosad, group_id, CAST(count(*) AS INTEGER) AS group_pupils
    FROM members
    GROUP BY semel_mosad, group_id
),
listed_groups AS (
    SELECT
        listed.semel_mosad,
        listed.response_id,
        members.group_id,
        CAST(count(*) AS INTEGER) AS participants,
        round(avg(listed.dose), 9) AS dose
    FROM listed
    JOIN members ON members.pupil_hash = listed.pupil_hash AND members.group_id <> 'all'
    GROUP BY listed.semel_mosad, listed.response_id, members.group_id
    UNION ALL
    SELECT semel_mosad, response_id, 'all', CAST(count(*) AS INTEGER), round(avg(dose), 9)
    FROM listed
    GROUP BY semel_mosad, response_id
),
cells AS (
    SELECT
        schools.semel_mosad,
        registry.response_id,
        groups.group_id,
        responses.response_class,
        registry.goal_id,
        last_report.school_year,
        CASE WHEN whole.group_pupils IS NOT NULL THEN coalesce(sizes.group_pupils, 0) END AS group_pupils,
        whole.group_pupils AS school_pupils,
        CASE
            WHEN last_report.school_year IS NULL THEN NULL
            WHEN in_cell.participants IS NOT NULL THEN in_cell.participants
            WHEN reported.participants IS NULL AND in_school.participants IS NULL THEN 0
            WHEN groups.group_id = 'all' THEN reported.participants
            WHEN whole.group_pupils IS NULL THEN NULL
            WHEN in_school.participants IS NOT NULL OR reported.participants = 0 THEN 0
            WHEN reported.assignment_mechanism = 'school_wide' THEN coalesce(sizes.group_pupils, 0)
        END AS participants,
        coalesce(in_cell.dose, CASE WHEN in_school.participants IS NULL THEN reported.dose END) AS dose
    FROM core.core_school AS schools
    CROSS JOIN core.core_registry AS registry
    CROSS JOIN (SELECT 'all' AS group_id UNION SELECT group_id FROM core.core_group) AS groups
    CROSS JOIN last_report
    LEFT JOIN core.core_response AS responses ON responses.response_id = registry.response_id
    LEFT JOIN sizes ON sizes.semel_mosad = schools.semel_mosad AND sizes.group_id = groups.group_id
    LEFT JOIN sizes AS whole ON whole.semel_mosad = schools.semel_mosad AND whole.group_id = 'all'
    LEFT JOIN reported ON reported.semel_mosad = schools.semel_mosad AND reported.response_id = registry.response_id
    LEFT JOIN listed_groups AS in_school
        ON in_school.semel_mosad = schools.semel_mosad
        AND in_school.response_id = registry.response_id
        AND in_school.group_id = 'all'
    LEFT JOIN listed_groups AS in_cell
        ON in_cell.semel_mosad = schools.semel_mosad
        AND in_cell.response_id = registry.response_id
        AND in_cell.group_id = groups.group_id
    WHERE schools.is_in_plan
        AND (registry.is_in_policy OR registry.response_id IN (SELECT response_id FROM reported))
)
SELECT
    cells.semel_mosad,
    cells.response_id,
    cells.group_id,
    cells.response_class,
    cells.goal_id,
    cells.participants IS NOT NULL AS is_measured,
    cells.school_year,
    cells.group_pupils,
    cells.participants,
    CASE WHEN cells.participants > 0 THEN cells.dose END AS dose,
    CAST(least(
        nullif(cells.participants, 0),
        nullif(totals.participants - cells.participants, 0),
        nullif(cells.group_pupils, 0),
        nullif(cells.school_pupils - cells.group_pupils, 0)
    ) AS INTEGER) AS cell_pupils
FROM cells
JOIN cells AS totals
    ON totals.semel_mosad = cells.semel_mosad
    AND totals.response_id = cells.response_id
    AND totals.group_id = 'all'
