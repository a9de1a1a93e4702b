-- A row: one need, as one kind of speaker names it on forms.
-- Key: need_id, speaker_kind.
-- Stage: decide.
-- Parents, pupils and representatives of groups are told apart from the least number of people on; where those left over are
-- fewer, the smallest kind told is left out with them, and below the least number there is no row at all (R75, R77, R78).
WITH spoken AS (
    SELECT
        forms.participant_hash,
        forms.need_id,
        forms.need_priority,
        CASE
            WHEN forms.role IN ('parent', 'parent_rep') THEN 'parents'
            WHEN forms.role IN ('pupil', 'pupil_rep') THEN 'pupils'
            ELSE 'groups'
        END AS speaker_kind
    FROM staging.stg_voice__forms AS forms
    JOIN core.core_city AS city ON city.planning_year = forms.planning_year
),
kinds AS (
    SELECT speaker_kind, CAST(count(DISTINCT participant_hash) AS INTEGER) AS speakers
    FROM spoken
    GROUP BY speaker_kind
),
placed AS (
    SELECT
        kinds.speaker_kind,
        kinds.speakers,
        least.least_people,
        coalesce(sum(kinds.speakers) FILTER (WHERE kinds.speakers < least.least_people) OVER (), 0) AS left_over,
        row_number() OVER (
            PARTITION BY kinds.speakers >= least.least_people ORDER BY kinds.speakers, kinds.speaker_kind
        ) AS place
    FROM kinds
    CROSS JOIN (
        SELECT CAST(parameter_value AS INTEGER) AS least_people
        FROM core.core_parameter
        WHERE parameter_id = 'policy.voices.least_people'
    ) AS least
),
told AS (
    SELECT speaker_kind, speakers
    FROM placed
    WHERE speakers >= least_people AND NOT (place = 1 AND left_over > 0 AND left_over < least_people)
    UNION ALL
    SELECT 'all', CAST(sum(speakers) AS INTEGER)
    FROM placed
    HAVING sum(speakers) >= max(least_people)
)
SELECT
    spoken.need_id,
    needs.need_name_he,
    told.speaker_kind,
    CAST(count(*) AS INTEGER) AS form_people,
    CAST(count(*) FILTER (WHERE spoken.need_priority = 1) AS INTEGER) AS first_people,
    told.speakers
FROM told
JOIN spoken ON told.speaker_kind IN ('all', spoken.speaker_kind)
LEFT JOIN core.core_need AS needs ON needs.need_id = spoken.need_id
GROUP BY spoken.need_id, needs.need_name_he, told.speaker_kind, told.speakers
