-- A row: one response on one consideration that somebody holds.
-- Key: response_id, consideration, worded_he.
-- Stage: decide.
-- What data give is computed: the saving of sharing, the share of its schools that are in tier A of need, its horizon, the
-- needs it answers. What they cannot give is the mean score of groups, 1–5 (R71). Empty is not known, and not zero.
WITH held AS (SELECT consideration, worded_he FROM mart.mart_consideration),
scored AS (
    SELECT
        scores.response_id,
        scores.consideration,
        CASE WHEN scores.consideration = 'other' THEN scores.consideration_he ELSE '' END AS worded_he,
        avg(scores.consideration_score) AS mean_score
    FROM staging.stg_voice__consideration_scores AS scores
    JOIN core.core_city AS city ON city.planning_year = scores.planning_year
    WHERE scores.voice_mode = 'group'
    GROUP BY scores.response_id, scores.consideration, worded_he
),
served AS (
    SELECT
        reached.response_id,
        count(*) FILTER (WHERE reached.is_served) AS schools,
        count(*) FILTER (WHERE reached.is_served AND needs.need_tier = 'A') AS neediest
    FROM mart.mart_response_map AS reached
    JOIN mart.mart_need_index AS needs ON needs.semel_mosad = reached.semel_mosad
    WHERE reached.is_measured
    GROUP BY reached.response_id
),
answers AS (SELECT response_id, count(*) AS needs FROM core.core_need_answer GROUP BY response_id)
SELECT
    responses.response_id,
    held.consideration,
    held.worded_he,
    CASE
        WHEN held.consideration = 'pooling' AND pooling.is_measured
            THEN coalesce(pooling.saving_agorot / nullif(pooling.separate_agorot, 0), 0)
        WHEN held.consideration = 'corrective_preference' THEN served.neediest / nullif(served.schools, 0)
        WHEN held.consideration = 'short_term' THEN CAST(responses.horizon = 'short' AS DOUBLE)
        WHEN held.consideration = 'long_term' THEN CAST(responses.horizon = 'long' AS DOUBLE)
        WHEN held.consideration = 'breadth' THEN CAST(coalesce(answers.needs, 0) AS DOUBLE)
        ELSE scored.mean_score
    END AS consideration_value,
    held.consideration NOT IN ('municipal_impact', 'conception_fit', 'other') AS is_computed
FROM held
CROSS JOIN core.core_response AS responses
LEFT JOIN mart.mart_pooling AS pooling ON pooling.response_id = responses.response_id
LEFT JOIN served ON served.response_id = responses.response_id
LEFT JOIN answers ON answers.response_id = responses.response_id
LEFT JOIN scored
    ON scored.response_id = responses.response_id
    AND scored.consideration = held.consideration
    AND scored.worded_he = held.worded_he
WHERE responses.is_allocated
