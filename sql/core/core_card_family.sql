-- A row: one family of roles, as it took part in the cards.
-- Key: role_family.
-- Stage: collect.
-- A family is told apart from the least number of people on; where those left over are fewer, the smallest family told
-- joins them, so that the total gives nobody away (R74, R78). Without single picks there is no row.
WITH counted AS (
    SELECT families.role_family, CAST(count(DISTINCT nominations.participant_hash) AS INTEGER) AS card_players
    FROM (SELECT DISTINCT role_family FROM core.core_role) AS families
    LEFT JOIN core.core_nomination AS nominations ON nominations.chosen_by = families.role_family
    GROUP BY families.role_family
),
placed AS (
    SELECT
        counted.role_family,
        counted.card_players,
        least.least_people,
        counted.card_players >= least.least_people AS is_enough,
        sum(counted.card_players) FILTER (WHERE counted.card_players < least.least_people) OVER () AS left_over,
        row_number() OVER (
            PARTITION BY counted.card_players >= least.least_people ORDER BY counted.card_players, counted.role_family
        ) AS place
    FROM counted
    CROSS JOIN (
        SELECT CAST(parameter_value AS INTEGER) AS least_people
        FROM core.core_parameter
        WHERE parameter_id = 'policy.voices.least_people'
    ) AS least
)
SELECT
    role_family,
    card_players,
    CASE
        WHEN card_players = 0 THEN 'absent'
        WHEN NOT is_enough OR (place = 1 AND left_over > 0 AND left_over < least_people) THEN 'few'
        ELSE 'told'
    END AS family_presence
FROM placed
WHERE EXISTS (SELECT 1 FROM placed AS any_family WHERE any_family.card_players > 0)
