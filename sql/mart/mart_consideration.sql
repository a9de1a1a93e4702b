-- A row: one guiding consideration of meeting 3, a free one by its wording.
-- Key: consideration, worded_he.
-- Stage: decide.
-- Wordings and weights are those of groups, who word them together; of single people only how many hold a named one is
-- told, from the least number of speakers on (R71, R78).
WITH held AS (
    SELECT
        considerations.*,
        CASE WHEN considerations.consideration = 'other' THEN considerations.consideration_he ELSE '' END AS worded_he,
        considerations.voice_mode = 'group' AS is_group
    FROM staging.stg_voice__considerations AS considerations
    JOIN core.core_city AS city ON city.planning_year = considerations.planning_year
),
speakers AS (
    SELECT CAST(count(DISTINCT participant_hash) FILTER (WHERE NOT is_group) AS INTEGER) AS speakers FROM held
)
SELECT
    held.consideration,
    held.worded_he,
    string_agg(DISTINCT held.consideration_he, '; ' ORDER BY held.consideration_he) FILTER (WHERE held.is_group)
        AS consideration_he,
    CAST(count(DISTINCT held.participant_hash) FILTER (WHERE held.is_group) AS INTEGER) AS joint_groups,
    CASE
        WHEN any_value(speakers.speakers) >= CAST(any_value(least.parameter_value) AS INTEGER)
            THEN CAST(count(DISTINCT held.participant_hash) FILTER (WHERE NOT held.is_group) AS INTEGER)
    END AS holding_people,
    any_value(speakers.speakers) AS speakers,
    CAST(count(held.consideration_weight) FILTER (WHERE held.is_group) AS INTEGER) AS weighing_groups,
    avg(held.consideration_weight) FILTER (WHERE held.is_group) AS weight_points,
    -- One weight has no range.
    CASE WHEN count(held.consideration_weight) FILTER (WHERE held.is_group) > 1
        THEN min(held.consideration_weight) FILTER (WHERE held.is_group) END AS weight_lo_points,
    CASE WHEN count(held.consideration_weight) FILTER (WHERE held.is_group) > 1
        THEN max(held.consideration_weight) FILTER (WHERE held.is_group) END AS weight_hi_points
FROM held
CROSS JOIN speakers
JOIN core.core_parameter AS least ON least.parameter_id = 'policy.voices.least_people'
GROUP BY held.consideration, held.worded_he
HAVING held.consideration <> 'other' OR count(*) FILTER (WHERE held.is_group) > 0
