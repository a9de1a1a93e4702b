-- A row: what whoever pays answered last on one response, for one school or for all.
-- Key: planning_year, response_id, funding_channel, school_or_city.
-- Stage: collect.
-- The last letter decides: what was confirmed can be withdrawn. Letters of schools that became one add up, and one of
-- them that refused or withdrew speaks for the whole.
WITH answered AS (
    SELECT
        answers.confirmation_id,
        answers.planning_year,
        answers.response_id,
        answers.funding_channel,
        answers.semel_mosad AS written_for,
        coalesce(codes.semel_mosad, answers.semel_mosad) AS semel_mosad,
        answers.confirmation_word,
        answers.confirmed_by,
        answers.confirmed_on,
        answers.confirmed_agorot,
        answers.letter_ref
    FROM staging.stg_finance__confirmations AS answers
    LEFT JOIN core.core_school_code AS codes ON codes.semel_mosad_old = answers.semel_mosad
),
last_word AS (
    SELECT *
    FROM answered
    QUALIFY row_number() OVER (
        PARTITION BY planning_year, response_id, funding_channel, written_for ORDER BY confirmed_on DESC, confirmation_id DESC
    ) = 1
)
SELECT
    planning_year,
    response_id,
    funding_channel,
    coalesce(semel_mosad, 'city') AS school_or_city,
    semel_mosad,
    CASE
        WHEN bool_or(confirmation_word = 'withdrawn') THEN 'withdrawn'
        WHEN bool_or(confirmation_word = 'refused') THEN 'refused'
        ELSE 'confirmed'
    END AS confirmation_word,
    max(confirmed_by) AS confirmed_by,
    max(confirmed_on) AS confirmed_on,
    CASE WHEN bool_and(confirmation_word = 'confirmed') THEN CAST(sum(confirmed_agorot) AS BIGINT) END AS confirmed_agorot,
    string_agg(letter_ref, '; ' ORDER BY letter_ref) AS letter_ref
FROM last_word
GROUP BY planning_year, response_id, funding_channel, semel_mosad
