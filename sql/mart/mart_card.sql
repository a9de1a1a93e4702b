-- A row: one response in one category of the cards.
-- Key: response_id, card_category.
-- Stage: decide.
-- The joint pick is what more than half of the groups chose; the single pick is by approval, as many as the quota
-- holds: where a tie would overflow it none of the tied is one. Counts are of people and groups, never scores (R69, R70).
WITH counted AS (
    SELECT
        nominated AS response_id,
        card_category,
        CAST(count(*) FILTER (WHERE chosen_by = 'group') AS INTEGER) AS joint_groups,
        CAST(count(*) FILTER (WHERE chosen_by <> 'group') AS INTEGER) AS card_people
    FROM core.core_nomination
    WHERE NOT is_new
    GROUP BY nominated, card_category
),
players AS (
    SELECT
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by = 'group') AS INTEGER) AS groups_playing,
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by <> 'group') AS INTEGER) AS card_players
    FROM core.core_nomination
),
ordered AS (
    SELECT
        counted.*,
        quotas.card_quota,
        count(*) OVER (PARTITION BY counted.card_category ORDER BY counted.card_people DESC) AS at_least_as_many
    FROM counted
    JOIN core.core_card_quota AS quotas ON quotas.card_category = counted.card_category
)
SELECT
    ordered.response_id,
    ordered.card_category,
    ordered.joint_groups,
    players.groups_playing,
    2 * ordered.joint_groups > players.groups_playing AS is_joint_pick,
    CASE WHEN players.card_players >= CAST(least.parameter_value AS INTEGER) THEN ordered.card_people END AS card_people,
    players.card_players,
    CASE
        WHEN players.card_players >= CAST(least.parameter_value AS INTEGER)
            THEN ordered.card_people > 0 AND ordered.at_least_as_many <= ordered.card_quota
    END AS is_single_pick
FROM ordered
JOIN core.core_response AS responses ON responses.response_id = ordered.response_id
CROSS JOIN players
JOIN core.core_parameter AS least ON least.parameter_id = 'policy.voices.least_people'
