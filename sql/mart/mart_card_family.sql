-- A row: one response in one category, as one family of roles chose it.
-- Key: response_id, card_category, role_family.
-- Stage: decide.
-- Only families that are told apart; their number is beside what they chose. What fewer than the least number of people of
-- a family chose is not counted out, nor what all but so few chose: the rest would tell it (R74, R78).
WITH counted AS (
    SELECT
        nominations.nominated AS response_id,
        nominations.card_category,
        families.voice_part AS role_family,
        CAST(count(*) AS INTEGER) AS card_people,
        families.speakers AS card_players
    FROM core.core_nomination AS nominations
    JOIN core.core_voice_part AS families
        ON families.voice_part = nominations.chosen_by AND families.voice_channel = 'cards'
    JOIN core.core_response AS responses ON responses.response_id = nominations.nominated
    WHERE families.part_presence = 'told'
    GROUP BY nominations.nominated, nominations.card_category, families.voice_part, families.speakers
)
SELECT
    counted.response_id,
    counted.card_category,
    counted.role_family,
    CASE
        WHEN counted.card_people < CAST(least.parameter_value AS INTEGER) THEN NULL
        WHEN counted.card_players - counted.card_people BETWEEN 1 AND CAST(least.parameter_value AS INTEGER) - 1 THEN NULL
        ELSE counted.card_people
    END AS card_people,
    counted.card_players
FROM counted
JOIN core.core_parameter AS least ON least.parameter_id = 'policy.voices.least_people'
