-- A row: two listed responses that pupils are in together.
-- Key: response_id, other_response_id.
-- Stage: decide.
-- Each pair once, in the last year reported (R55); the share is of the participants of the smaller response.
WITH listed AS (
    SELECT lists.pupil_hash, lists.response_id, lists.semel_mosad
    FROM core.core_response_participant AS lists
    WHERE lists.school_year = (SELECT max(school_year) FROM core.core_participation)
),
sizes AS (
    SELECT response_id, count(*) AS participants
    FROM listed
    GROUP BY response_id
),
pairs AS (
    SELECT
        one.response_id,
        other.response_id AS other_response_id,
        CAST(count(*) AS INTEGER) AS shared_pupils,
        CAST(count(DISTINCT one.semel_mosad) AS INTEGER) AS shared_schools
    FROM listed AS one
    JOIN listed AS other ON other.pupil_hash = one.pupil_hash AND other.response_id > one.response_id
    GROUP BY one.response_id, other.response_id
)
SELECT
    pairs.response_id,
    pairs.other_response_id,
    registry.goal_id = other_registry.goal_id AS is_same_goal,
    pairs.shared_pupils,
    pairs.shared_schools,
    100.0 * pairs.shared_pupils / least(sizes.participants, other_sizes.participants) AS shared_pct
FROM pairs
JOIN sizes ON sizes.response_id = pairs.response_id
JOIN sizes AS other_sizes ON other_sizes.response_id = pairs.other_response_id
JOIN core.core_registry AS registry ON registry.response_id = pairs.response_id
JOIN core.core_registry AS other_registry ON other_registry.response_id = pairs.other_response_id
