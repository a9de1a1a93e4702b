-- A row: one need of the policy in one school of the plan.
-- Key: need_id, semel_mosad.
-- Stage: decide.
-- Whom the responses that answer the need reach now, each pupil once: listed pupils of the need's group with their
-- doses together (at most 1), and every pupil of the group where the whole school takes part. A number without a list
-- is added to them, so reach may be overstated, never understated; of a group it says nothing. cell_pupils is the
-- fewest pupils a number could tell of, as in mart_response_group.
WITH last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
answers AS (
    SELECT needs.need_id, needs.group_id, answers.response_id
    FROM core.core_need AS needs
    JOIN core.core_need_answer AS answers ON answers.need_id = needs.need_id
),
reported AS (
    SELECT answers.need_id, delivery.*
    FROM core.core_participation AS delivery
    JOIN last_report ON last_report.school_year = delivery.school_year
    JOIN answers ON answers.response_id = delivery.response_id
    WHERE delivery.participants > 0
),
listed AS (
    SELECT
        answers.need_id,
        answers.group_id,
        lists.semel_mosad,
        lists.pupil_hash,
        lists.school_year,
        least(1.0, sum(lists.dose)) AS dose
    FROM core.core_response_participant AS lists
    JOIN last_report ON last_report.school_year = lists.school_year
    JOIN answers ON answers.response_id = lists.response_id
    GROUP BY answers.need_id, answers.group_id, lists.semel_mosad, lists.pupil_hash, lists.school_year
),
by_list AS (
    SELECT
        listed.need_id,
        listed.semel_mosad,
        count(*) AS listed_pupils,
        count(*) FILTER (WHERE listed.group_id = 'all' OR members.pupil_hash IS NOT NULL) AS reached_pupils,
        round(sum(listed.dose) FILTER (WHERE listed.group_id = 'all' OR members.pupil_hash IS NOT NULL), 6)
            AS reached_full_pupils
    FROM listed
    LEFT JOIN core.core_pupil_group AS members
        ON members.pupil_hash = listed.pupil_hash
        AND members.school_year = listed.school_year
        AND members.group_id = listed.group_id
    GROUP BY listed.need_id, listed.semel_mosad
),
by_number AS (
    SELECT
        need_id,
        semel_mosad,
        count(DISTINCT response_id) AS responses_running,
        max(dose) FILTER (WHERE listed_participants IS NULL AND assignment_mechanism = 'school_wide') AS whole_school_dose,
        sum(participants) FILTER (WHERE listed_participants IS NULL AND assignment_mechanism <> 'school_wide') AS unlisted_pupils,
        round(sum(participants * dose) FILTER (WHERE listed_participants IS NULL AND assignment_mechanism <> 'school_wide'), 6)
            AS unlisted_full_pupils
    FROM reported
    GROUP BY need_id, semel_mosad
),
sizes AS (
    SELECT members.semel_mosad, members.group_id, CAST(count(*) AS INTEGER) AS group_pupils
    FROM core.core_pupil_group AS members
    JOIN last_report ON last_report.school_year = members.school_year
    GROUP BY members.semel_mosad, members.group_id
),
school_sizes AS (
    SELECT semel_mosad, pupils
    FROM core.core_school_year
    WHERE pupils > 0
    QUALIFY row_number() OVER (PARTITION BY semel_mosad ORDER BY school_year DESC) = 1
),
cells AS (
    SELECT
        needs.need_id,
        schools.semel_mosad,
        needs.group_id,
        last_report.school_year IS NOT NULL
            AND (needs.group_id = 'all' OR by_number.unlisted_pupils IS NULL) AS is_measured,
        CASE WHEN needs.group_id = 'all' THEN school_sizes.pupils ELSE sizes.group_pupils END AS group_pupils,
        coalesce(by_number.responses_running, 0) AS responses_running,
        coalesce(by_list.listed_pupils, 0) AS listed_pupils,
        by_number.whole_school_dose,
        coalesce(by_list.reached_pupils, 0) + coalesce(by_number.unlisted_pupils, 0) AS reached_pupils,
        coalesce(by_list.reached_full_pupils, 0) + coalesce(by_number.unlisted_full_pupils, 0) AS reached_full_pupils
    FROM core.core_need AS needs
    CROSS JOIN core.core_school AS schools
    CROSS JOIN last_report
    LEFT JOIN by_list ON by_list.need_id = needs.need_id AND by_list.semel_mosad = schools.semel_mosad
    LEFT JOIN by_number ON by_number.need_id = needs.need_id AND by_number.semel_mosad = schools.semel_mosad
    LEFT JOIN sizes ON sizes.semel_mosad = schools.semel_mosad AND sizes.group_id = needs.group_id
    LEFT JOIN school_sizes ON school_sizes.semel_mosad = schools.semel_mosad
    WHERE schools.is_in_plan
)
SELECT
    need_id,
    semel_mosad,
    group_id,
    is_measured,
    group_pupils,
    CAST(CASE WHEN is_measured THEN responses_running END AS INTEGER) AS responses_running,
    CAST(CASE
        WHEN is_measured AND whole_school_dose IS NOT NULL THEN group_pupils
        WHEN is_measured THEN least(reached_pupils, group_pupils)
    END AS INTEGER) AS participants,
    CAST(CASE
        WHEN is_measured
            THEN least(group_pupils, greatest(reached_full_pupils, coalesce(group_pupils * whole_school_dose, 0)))
    END AS DOUBLE) AS participants_full,
    CAST(least(
        CASE WHEN is_measured AND whole_school_dose IS NULL THEN nullif(reached_pupils, 0) END,
        CASE
            WHEN is_measured AND whole_school_dose IS NULL AND group_id <> 'all'
                THEN nullif(listed_pupils - reached_pupils, 0)
        END,
        CASE WHEN group_id <> 'all' THEN nullif(group_pupils, 0) END
    ) AS INTEGER) AS cell_pupils
FROM cells
