-- A row: one side of one topic of meeting 3.
-- Key: topic_id, aspect_id.
-- Stage: decide.
-- cell_pupils is the fewest pupils that a number of the row could tell of (R111).
SELECT
    reach.topic_id,
    reach.aspect_id,
    aspects.aspect_name_he,
    CASE
        WHEN NOT reach.is_measured THEN 'not_measured'
        WHEN reach.responses_running > 0 THEN 'covered'
        ELSE 'no_response'
    END AS topic_coverage,
    reach.responses_he,
    reach.responses_running,
    reach.schools_served,
    reach.participants,
    reach.group_id,
    reach.group_pupils,
    reach.group_participants,
    CAST(least(
        nullif(reach.participants, 0),
        nullif(reach.participants - reach.group_participants, 0),
        nullif(reach.group_participants, 0),
        nullif(reach.group_pupils, 0)
    ) AS INTEGER) AS cell_pupils,
    aspects.source,
    aspects.reason
FROM core.core_topic_reach AS reach
JOIN core.core_topic_aspect AS aspects
    ON aspects.topic_id = reach.topic_id AND aspects.aspect_id = reach.aspect_id
