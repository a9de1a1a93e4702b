-- A row: one need of the policy in one school of the plan.
-- Key: need_id, semel_mosad.
-- Stage: decide.
-- Whom the responses that answer the need reach now, each pupil once: listed pupils who can have it with their doses
-- together (at most 1), and every pupil of the group where the whole school takes part. A gap is a need of the grades
-- in which its subject is tested, so the others neither have it nor meet it; where no pupils are registered, of as many
-- as were last listed or tested there. A number without a list is added, so reach may be overstated, never understated;
-- of a group it says nothing. cell_pupils is the fewest pupils a number could tell of, as in mart_response_group.
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
tested AS (
    SELECT
        needs.need_id,
        cells.grade,
        cells.semel_mosad,
        cells.school_year,
        max(coalesce(cells.listed_pupils, cells.tested_pupils)) AS pupils
    FROM core.core_need AS needs
    JOIN core.core_gap_cell AS cells ON cells.subject = needs.subject OR needs.subject = 'all'
    CROSS JOIN core.core_city AS city
    WHERE
        needs.need_measure = 'gap'
        AND cells.is_measured
        AND cells.group_id = 'all'
        AND cells.school_year BETWEEN city.window_first_year AND city.window_last_year
    GROUP BY needs.need_id, cells.grade, cells.semel_mosad, cells.school_year
    QUALIFY row_number() OVER (
        PARTITION BY needs.need_id, cells.grade, cells.semel_mosad ORDER BY cells.school_year DESC
    ) = 1
),
last_tested AS (SELECT need_id, semel_mosad, sum(pupils) AS pupils FROM tested GROUP BY need_id, semel_mosad),
registered AS (
    SELECT pupils.pupil_hash, pupils.school_year, pupils.grade, codes.semel_mosad
    FROM last_report
    JOIN staging.stg_register__pupils AS pupils ON pupils.school_year = last_report.school_year
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
),
can_have AS (
    SELECT needs.need_id, pupils.semel_mosad, pupils.pupil_hash
    FROM registered AS pupils
    CROSS JOIN core.core_need AS needs
    LEFT JOIN core.core_pupil_group AS members
        ON members.pupil_hash = pupils.pupil_hash
        AND members.school_year = pupils.school_year
        AND members.group_id = needs.group_id
    WHERE
        (needs.group_id = 'all' OR members.pupil_hash IS NOT NULL)
        AND (
            needs.need_measure IS DISTINCT FROM 'gap'
            OR (needs.need_id, pupils.grade) IN (SELECT need_id, grade FROM tested)
        )
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
        count(*) FILTER (WHERE has_it) AS reached_pupils,
        round(sum(listed.dose) FILTER (WHERE has_it), 6) AS reached_full_pupils
    FROM (
        SELECT
            listed.*,
            can_have.pupil_hash IS NOT NULL OR (listed.group_id = 'all' AND registered.pupil_hash IS NULL) AS has_it
        FROM listed
        LEFT JOIN can_have ON can_have.pupil_hash = listed.pupil_hash AND can_have.need_id = listed.need_id
        LEFT JOIN registered ON registered.pupil_hash = listed.pupil_hash
    ) AS listed
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
    SELECT need_id, semel_mosad, CAST(count(*) AS INTEGER) AS pupils FROM can_have GROUP BY need_id, semel_mosad
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
        CASE
            WHEN needs.group_id <> 'all' THEN sizes.pupils
            WHEN needs.need_measure = 'gap' THEN coalesce(sizes.pupils, CAST(last_tested.pupils AS INTEGER))
            ELSE school_sizes.pupils
        END AS group_pupils,
        coalesce(by_number.responses_running, 0) AS responses_running,
        coalesce(by_list.listed_pupils, 0) AS listed_pupils,
        coalesce(by_list.reached_pupils, 0) AS listed_reached_pupils,
        by_number.whole_school_dose,
        coalesce(by_list.reached_pupils, 0) + coalesce(by_number.unlisted_pupils, 0) AS reached_pupils,
        coalesce(by_list.reached_full_pupils, 0) + coalesce(by_number.unlisted_full_pupils, 0) AS reached_full_pupils
    FROM core.core_need AS needs
    CROSS JOIN core.core_school AS schools
    CROSS JOIN last_report
    LEFT JOIN by_list ON by_list.need_id = needs.need_id AND by_list.semel_mosad = schools.semel_mosad
    LEFT JOIN by_number ON by_number.need_id = needs.need_id AND by_number.semel_mosad = schools.semel_mosad
    LEFT JOIN sizes ON sizes.need_id = needs.need_id AND sizes.semel_mosad = schools.semel_mosad
    LEFT JOIN last_tested ON last_tested.need_id = needs.need_id AND last_tested.semel_mosad = schools.semel_mosad
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
        CASE WHEN is_measured AND whole_school_dose IS NULL THEN nullif(listed_pupils - listed_reached_pupils, 0) END,
        nullif(group_pupils, 0)
    ) AS INTEGER) AS cell_pupils
FROM cells
