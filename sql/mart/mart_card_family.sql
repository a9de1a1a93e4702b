-- A row: one response in one category, as one family of roles chose it.
-- Key: response_id, card_category, role_family.
-- Stage: decide.
-- Only families that are told apart; their number is beside what they chose (R74, R78).
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
