-- A row: one nomination of the cycle that is planned.
-- Key: participant_hash, card_category, nominated.
-- Stage: collect.
-- A new response is one that neither the policy nor the registry knows by its name; a role stands in its family (R69, R74).
SELECT DISTINCT
    cards.participant_hash,
    CASE WHEN cards.voice_mode = 'group' THEN 'group' ELSE roles.role_family END AS chosen_by,
    cards.card_category,
    coalesce(cards.response_id, named.response_id, cards.new_response_he) AS nominated,
    coalesce(cards.response_id, named.response_id) IS NULL AS is_new
FROM staging.stg_voice__cards AS cards
JOIN core.core_city AS city ON city.planning_year = cards.planning_year
LEFT JOIN core.core_role AS roles ON roles.role = cards.role
LEFT JOIN core.core_registry AS named ON lower(named.response_name_he) = lower(cards.new_response_he)
