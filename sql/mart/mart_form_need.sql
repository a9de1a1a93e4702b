-- A row: one need, as one kind of speaker names it on forms.
-- Key: need_id, speaker_kind.
-- Stage: decide.
-- Kinds of speakers that are told apart, and all together from the least number of people on (R75, R77, R78).
WITH everybody AS (
    SELECT CAST(sum(speakers) AS INTEGER) AS speakers FROM core.core_voice_part WHERE voice_channel = 'forms'
),
told AS (
    SELECT voice_part AS speaker_kind, speakers
    FROM core.core_voice_part
    WHERE voice_channel = 'forms' AND part_presence = 'told'
    UNION ALL
    SELECT 'all', everybody.speakers
    FROM everybody
    JOIN core.core_parameter AS least
        ON least.parameter_id = 'policy.voices.least_people'
        AND everybody.speakers >= CAST(least.parameter_value AS INTEGER)
)
SELECT
    answers.need_id,
    needs.need_name_he,
    told.speaker_kind,
    CAST(count(*) AS INTEGER) AS form_people,
    CAST(count(*) FILTER (WHERE answers.need_priority = 1) AS INTEGER) AS first_people,
    told.speakers
FROM told
JOIN core.core_form_answer AS answers ON told.speaker_kind IN ('all', answers.speaker_kind)
LEFT JOIN core.core_need AS needs ON needs.need_id = answers.need_id
GROUP BY answers.need_id, needs.need_name_he, told.speaker_kind, told.speakers
