-- A row: one part of those who spoke: a family of roles in the cards, a kind of speaker on forms.
-- Key: voice_channel, voice_part.
-- Stage: collect.
-- A part is told apart from the least number of people on; where those left over are fewer, the smallest part told joins
-- them, so that the total gives nobody away (R74, R78). A channel in which nobody spoke has no row.
WITH spoken AS (
    SELECT 'cards' AS voice_channel, chosen_by AS voice_part, participant_hash
    FROM core.core_nomination
    WHERE chosen_by <> 'group'
    UNION ALL
    SELECT 'forms', speaker_kind, participant_hash FROM core.core_form_answer
),
parts AS (
    SELECT DISTINCT 'cards' AS voice_channel, role_family AS voice_part FROM core.core_role
    UNION ALL
    SELECT 'forms', unnest(['parents', 'pupils', 'groups'])
),
counted AS (
    SELECT
        parts.voice_channel,
        parts.voice_part,
        CAST(count(DISTINCT spoken.participant_hash) AS INTEGER) AS speakers
    FROM parts
    LEFT JOIN spoken ON spoken.voice_channel = parts.voice_channel AND spoken.voice_part = parts.voice_part
    GROUP BY parts.voice_channel, parts.voice_part
),
placed AS (
    SELECT
        counted.voice_channel,
        counted.voice_part,
        counted.speakers,
        least.least_people,
        counted.speakers >= least.least_people AS is_enough,
        sum(counted.speakers) FILTER (WHERE counted.speakers < least.least_people)
            OVER (PARTITION BY counted.voice_channel) AS left_over,
        sum(counted.speakers) OVER (PARTITION BY counted.voice_channel) AS everybody,
        row_number() OVER (
            PARTITION BY counted.voice_channel, counted.speakers >= least.least_people
            ORDER BY counted.speakers, counted.voice_part
        ) AS place
    FROM counted
    CROSS JOIN (
        SELECT CAST(parameter_value AS INTEGER) AS least_people
        FROM core.core_parameter
        WHERE parameter_id = 'policy.voices.least_people'
    ) AS least
)
SELECT
    voice_channel,
    voice_part,
    speakers,
    CASE
        WHEN speakers = 0 THEN 'absent'
        WHEN NOT is_enough OR (place = 1 AND left_over > 0 AND left_over < least_people) THEN 'few'
        ELSE 'told'
    END AS part_presence
FROM placed
WHERE everybody > 0
