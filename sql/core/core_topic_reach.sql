-- A row: one side of one topic of meeting 3; aspect "all" is the whole topic.
-- Key: topic_id, aspect_id.
-- Stage: decide.
-- The five topics are always there, with or without a response (R58). A pupil in several responses counts once; where
-- the whole school takes part its pupils all count; a number without a list is added. Of the aspect's group those of
-- the lists and of whole schools are known; a number without a list says nothing of it.
WITH last_report AS (SELECT max(school_year) AS school_year FROM core.core_participation),
topics AS (
    SELECT unnest(['gifted', 'special_education', 'language', 'digital_literacy', 'other_skills']) AS topic_id
),
aspects AS (
    SELECT topic_id, 'all' AS aspect_id, NULL AS group_id
    FROM topics
    UNION ALL
    SELECT topic_id, aspect_id, group_id
    FROM core.core_topic_aspect
),
answers AS (
    SELECT DISTINCT aspects.topic_id, aspects.aspect_id, aspects.group_id, answers.response_id
    FROM aspects
    JOIN core.core_topic_answer AS answers
        ON answers.topic_id = aspects.topic_id
        AND (answers.aspect_id = aspects.aspect_id OR aspects.aspect_id = 'all')
),
reported AS (
    SELECT answers.topic_id, answers.aspect_id, answers.group_id, delivery.*
    FROM core.core_participation AS delivery
    JOIN last_report ON last_report.school_year = delivery.school_year
    JOIN answers ON answers.response_id = delivery.response_id
    WHERE delivery.participants > 0
),
running AS (
    SELECT
        topic_id,
        aspect_id,
        count(DISTINCT response_id) AS responses_running,
        count(DISTINCT semel_mosad) AS schools_served,
        coalesce(sum(participants) FILTER (WHERE listed_participants IS NULL AND assignment_mechanism <> 'school_wide'), 0)
            AS unlisted_pupils
    FROM reported
    GROUP BY topic_id, aspect_id
),
whole_schools AS (
    SELECT topic_id, aspect_id, group_id, semel_mosad, max(participants) AS participants
    FROM reported
    WHERE listed_participants IS NULL AND assignment_mechanism = 'school_wide'
    GROUP BY topic_id, aspect_id, group_id, semel_mosad
),
listed AS (
    SELECT DISTINCT answers.topic_id, answers.aspect_id, answers.group_id, lists.pupil_hash
    FROM core.core_response_participant AS lists
    JOIN last_report ON last_report.school_year = lists.school_year
    JOIN answers ON answers.response_id = lists.response_id
    LEFT JOIN whole_schools
        ON whole_schools.topic_id = answers.topic_id
        AND whole_schools.aspect_id = answers.aspect_id
        AND whole_schools.semel_mosad = lists.semel_mosad
    WHERE whole_schools.semel_mosad IS NULL
),
members AS (
    SELECT members.pupil_hash, members.semel_mosad, members.group_id
    FROM core.core_pupil_group AS members
    JOIN last_report ON last_report.school_year = members.school_year
),
counts AS (
    SELECT
        aspects.topic_id,
        aspects.aspect_id,
        (SELECT coalesce(sum(whole_schools.participants), 0) FROM whole_schools WHERE whole_schools.topic_id = aspects.topic_id AND whole_schools.aspect_id = aspects.aspect_id)
        + (SELECT count(*) FROM listed WHERE listed.topic_id = aspects.topic_id AND listed.aspect_id = aspects.aspect_id)
            AS participants,
        (SELECT count(*) FROM members WHERE members.group_id = aspects.group_id) AS group_pupils,
        (SELECT count(*) FROM members JOIN whole_schools ON whole_schools.semel_mosad = members.semel_mosad WHERE members.group_id = aspects.group_id AND whole_schools.topic_id = aspects.topic_id AND whole_schools.aspect_id = aspects.aspect_id)
        + (SELECT count(*) FROM members JOIN listed ON listed.pupil_hash = members.pupil_hash WHERE members.group_id = aspects.group_id AND listed.topic_id = aspects.topic_id AND listed.aspect_id = aspects.aspect_id)
            AS group_participants
    FROM aspects
),
registered AS (
    SELECT answers.topic_id, answers.aspect_id, string_agg(responses.response_name_he, ', ' ORDER BY responses.response_id) AS responses_he
    FROM answers
    JOIN core.core_response AS responses ON responses.response_id = answers.response_id
    GROUP BY answers.topic_id, answers.aspect_id
)
SELECT
    aspects.topic_id,
    aspects.aspect_id,
    last_report.school_year IS NOT NULL AS is_measured,
    last_report.school_year,
    registered.responses_he,
    CAST(CASE WHEN last_report.school_year IS NOT NULL THEN coalesce(running.responses_running, 0) END AS INTEGER)
        AS responses_running,
    CAST(CASE WHEN last_report.school_year IS NOT NULL THEN coalesce(running.schools_served, 0) END AS INTEGER)
        AS schools_served,
    CAST(CASE WHEN last_report.school_year IS NOT NULL THEN counts.participants + coalesce(running.unlisted_pupils, 0) END AS INTEGER)
        AS participants,
    aspects.group_id,
    CAST(CASE WHEN last_report.school_year IS NOT NULL AND aspects.group_id IS NOT NULL THEN counts.group_pupils END AS INTEGER)
        AS group_pupils,
    CAST(CASE
        WHEN last_report.school_year IS NOT NULL AND aspects.group_id IS NOT NULL AND coalesce(running.unlisted_pupils, 0) = 0
            THEN counts.group_participants
    END AS INTEGER) AS group_participants
FROM aspects
CROSS JOIN last_report
JOIN counts ON counts.topic_id = aspects.topic_id AND counts.aspect_id = aspects.aspect_id
LEFT JOIN running ON running.topic_id = aspects.topic_id AND running.aspect_id = aspects.aspect_id
LEFT JOIN registered ON registered.topic_id = aspects.topic_id AND registered.aspect_id = aspects.aspect_id
