-- A row: what is said of one response by the groups together, by all single people, or by them without one family.
-- Key: response_id, voice_mode, left_out.
-- Stage: decide.
-- What more than half of those who chose said of it is their say; the numbers of the categories are quotas and no
-- scores (R69, R70, R74). Fewer single people than the least number say nothing that may be told (R78).
WITH families AS (SELECT * FROM core.core_voice_part WHERE voice_channel = 'cards'),
parts AS (
    SELECT 'group' AS voice_mode, 'none' AS left_out, 'group' AS chosen_by
    UNION ALL
    SELECT 'single', 'none', voice_part FROM families
    UNION ALL
    SELECT 'single', without.voice_part, others.voice_part
    FROM families AS without
    JOIN families AS others ON others.voice_part <> without.voice_part
    WHERE without.part_presence = 'told'
),
said AS (
    SELECT parts.voice_mode, parts.left_out, nominations.participant_hash, nominations.nominated, nominations.card_category
    FROM parts
    JOIN core.core_nomination AS nominations ON nominations.chosen_by = parts.chosen_by
),
players AS (
    SELECT voice_mode, left_out, CAST(count(DISTINCT participant_hash) AS INTEGER) AS card_players
    FROM said
    GROUP BY voice_mode, left_out
),
counted AS (
    SELECT
        responses.response_id,
        players.voice_mode,
        players.left_out,
        players.card_players,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category = 'change_or_drop') AS asked,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category <> 'change_or_drop') AS favoured,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category = 'indispensable') AS indispensable,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category = 'proven') AS proven,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category = 'unique') AS unique_here,
        count(DISTINCT said.participant_hash) FILTER (WHERE said.card_category = 'significant') AS significant
    FROM players
    CROSS JOIN core.core_response AS responses
    LEFT JOIN said
        ON said.nominated = responses.response_id
        AND said.voice_mode = players.voice_mode
        AND said.left_out = players.left_out
    GROUP BY responses.response_id, players.voice_mode, players.left_out, players.card_players
)
SELECT
    counted.response_id,
    counted.voice_mode,
    counted.left_out,
    counted.card_players,
    CAST(counted.asked AS INTEGER) AS asking_change,
    CAST(counted.favoured AS INTEGER) AS favouring,
    CASE
        WHEN 2 * asked > card_players THEN 'change_or_drop'
        WHEN 2 * indispensable > card_players THEN 'indispensable'
        WHEN 2 * proven > card_players THEN 'proven'
        WHEN 2 * unique_here > card_players THEN 'unique'
        WHEN 2 * significant > card_players THEN 'significant'
        WHEN 2 * favoured > card_players THEN 'wanted'
        WHEN asked + favoured = 0 THEN 'not_named'
        ELSE 'no_majority'
    END AS card_say
FROM counted
JOIN core.core_parameter AS least ON least.parameter_id = 'policy.voices.least_people'
WHERE counted.voice_mode = 'group' OR counted.card_players >= CAST(least.parameter_value AS INTEGER)
