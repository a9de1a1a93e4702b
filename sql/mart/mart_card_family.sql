-- A row: one response in one category, as one family of roles chose it.
-- Key: response_id, card_category, role_family.
-- Stage: decide.
-- Only families that are told apart; their number is beside what they chose (R74, R78).
SELECT
    nominations.nominated AS response_id,
    nominations.card_category,
    families.role_family,
    CAST(count(*) AS INTEGER) AS card_people,
    families.card_players
FROM core.core_nomination AS nominations
JOIN core.core_card_family AS families ON families.role_family = nominations.chosen_by
JOIN core.core_response AS responses ON responses.response_id = nominations.nominated
WHERE families.family_presence = 'told'
GROUP BY nominations.nominated, nominations.card_category, families.role_family, families.card_players
