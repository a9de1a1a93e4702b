-- A row: one service of the whole city.
-- Key: response_id.
-- Stage: decide.
-- Who has its places now and what people decided on it (R68, R79). places_kept is what those placed keep, but never
-- fewer than may be published: its price would tell them.
WITH limits AS (
    SELECT max(TRY_CAST(parameter_value AS INTEGER)) AS few
    FROM core.core_parameter
    WHERE parameter_id = 'policy.suppression.count_pupils' OR parameter_id LIKE 'policy.audiences.%.count_pupils'
),
placed AS (
    SELECT
        response_id,
        max(school_year) AS school_year,
        bool_and(is_measured) AS is_measured,
        CAST(sum(participants) AS INTEGER) AS placed_pupils,
        CAST(count(*) FILTER (is_served) AS INTEGER) AS schools_served
    FROM mart.mart_response_map
    GROUP BY response_id
)
SELECT
    responses.response_id,
    responses.response_name_he,
    responses.is_allocated,
    placed.school_year,
    coalesce(placed.is_measured, FALSE) AS is_measured,
    placed.placed_pupils,
    CASE WHEN placed.is_measured THEN placed.schools_served END AS schools_served,
    CASE WHEN placed.placed_pupils > 0 THEN greatest(placed.placed_pupils, limits.few) ELSE placed.placed_pupils END AS places_kept,
    decided.decision,
    decided.decided_by_role,
    CASE WHEN placed.placed_pupils BETWEEN 1 AND limits.few - 1 THEN placed.placed_pupils END AS small_pupils
FROM core.core_response AS responses
CROSS JOIN limits
CROSS JOIN core.core_city AS city
LEFT JOIN placed ON placed.response_id = responses.response_id
LEFT JOIN mart.mart_decision AS decided
    ON decided.response_id = responses.response_id AND decided.planning_year = city.planning_year
WHERE responses.is_city_service
