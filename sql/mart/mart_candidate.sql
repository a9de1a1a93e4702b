-- A row: one response that a card names and no policy plans with.
-- Key: nominated.
-- Stage: decide.
-- What is missing to judge it: what the registry does not say of it, and all that only a policy says, as cost, channel and
-- effect (R69). Singles' counts are told from the least number of those who chose on (R78).
WITH named AS (
    SELECT
        nominations.nominated,
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by = 'group') AS INTEGER) AS joint_groups,
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by <> 'group') AS INTEGER) AS card_people
    FROM core.core_nomination AS nominations
    ANTI JOIN core.core_response AS planned ON planned.response_id = nominations.nominated
    GROUP BY nominations.nominated
),
players AS (
    SELECT
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by = 'group') AS INTEGER) AS groups_playing,
        CAST(count(DISTINCT participant_hash) FILTER (WHERE chosen_by <> 'group') AS INTEGER) AS card_players
    FROM core.core_nomination
)
SELECT
    named.nominated,
    coalesce(registry.response_name_he, named.nominated) AS candidate_he,
    registry.response_id IS NOT NULL AS is_registered,
    named.joint_groups,
    players.groups_playing,
    CASE WHEN players.card_players >= CAST(least.parameter_value AS INTEGER) THEN named.card_people END AS card_people,
    players.card_players,
    concat_ws(
        ',',
        CASE WHEN registry.goal_id IS NULL THEN 'goal' END,
        CASE WHEN registry.provider IS NULL THEN 'provider' END,
        'cost',
        'funding_channel',
        'effect'
    ) AS missing_to_judge
FROM named
CROSS JOIN players
JOIN core.core_parameter AS least ON least.parameter_id = 'policy.voices.least_people'
LEFT JOIN core.core_registry AS registry ON registry.response_id = named.nominated
