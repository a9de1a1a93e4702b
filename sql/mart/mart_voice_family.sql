-- A row: one family of roles: who came to the cards, and what would be said without it.
-- Key: role_family.
-- Stage: decide.
-- How many came is public; what they said is told of families from the least number on (R74, R78).
WITH changed AS (
    SELECT
        without.left_out,
        CAST(count(*) AS INTEGER) AS says_changed,
        string_agg(responses.response_name_he, ', ' ORDER BY responses.response_name_he) AS changed_he
    FROM core.core_card_say AS without
    JOIN core.core_card_say AS every
        ON every.response_id = without.response_id
        AND every.voice_mode = without.voice_mode
        AND every.left_out = 'none'
    JOIN core.core_response AS responses ON responses.response_id = without.response_id
    WHERE without.left_out <> 'none' AND without.card_say <> every.card_say
    GROUP BY without.left_out
),
asked AS (SELECT DISTINCT left_out FROM core.core_card_say)
SELECT
    families.voice_part AS role_family,
    families.speakers AS card_players,
    families.part_presence,
    CASE WHEN asked.left_out IS NOT NULL THEN coalesce(changed.says_changed, 0) END AS says_changed,
    changed.changed_he
FROM core.core_voice_part AS families
LEFT JOIN asked ON asked.left_out = families.voice_part
LEFT JOIN changed ON changed.left_out = families.voice_part
WHERE families.voice_channel = 'cards'
