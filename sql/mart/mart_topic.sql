-- A row: one of the five topics of meeting 3.
-- Key: topic_id.
-- Stage: decide.
-- Gifted, special education, language, digital literacy and other skills, always all five (R58): what covers each now,
-- and which of its sides nothing covers.
WITH schools AS (SELECT CAST(count(*) AS INTEGER) AS schools FROM core.core_school WHERE is_in_plan),
sides AS (
    SELECT
        topic_id,
        CAST(count(*) AS INTEGER) AS aspects,
        CAST(count(*) FILTER (WHERE topic_coverage = 'covered') AS INTEGER) AS aspects_covered,
        string_agg(aspect_name_he, ', ' ORDER BY aspect_id) FILTER (WHERE topic_coverage = 'no_response') AS missing_he
    FROM mart.mart_topic_aspect
    GROUP BY topic_id
)
SELECT
    reach.topic_id,
    reach.is_measured,
    reach.school_year,
    CASE
        WHEN NOT reach.is_measured THEN 'not_measured'
        WHEN reach.responses_running = 0 THEN 'no_response'
        WHEN sides.aspects_covered < sides.aspects THEN 'partly_covered'
        ELSE 'covered'
    END AS topic_coverage,
    coalesce(sides.aspects, 0) AS aspects,
    CASE WHEN reach.is_measured THEN coalesce(sides.aspects_covered, 0) END AS aspects_covered,
    sides.missing_he,
    reach.responses_he,
    reach.responses_running,
    schools.schools,
    reach.schools_served,
    reach.participants,
    nullif(reach.participants, 0) AS cell_pupils
FROM core.core_topic_reach AS reach
CROSS JOIN schools
LEFT JOIN sides ON sides.topic_id = reach.topic_id
WHERE reach.aspect_id = 'all'
