-- A row: what whoever pays answered last on one response, for one school or for all.
-- Key: planning_year, response_id, funding_channel, school_or_city.
-- Stage: collect.
-- The last letter decides: what was confirmed can be withdrawn.
WITH answered AS (
    SELECT
        answers.confirmation_id,
        answers.planning_year,
        answers.response_id,
        answers.funding_channel,
        coalesce(codes.semel_mosad, answers.semel_mosad) AS semel_mosad,
        answers.confirmation_word,
        answers.confirmed_by,
        answers.confirmed_on,
        answers.confirmed_agorot,
        answers.letter_ref
    FROM staging.stg_finance__confirmations AS answers
    LEFT JOIN core.core_school_code AS codes ON codes.semel_mosad_old = answers.semel_mosad
)
SELECT
    planning_year,
    response_id,
    funding_channel,
    coalesce(semel_mosad, 'city') AS school_or_city,
    semel_mosad,
    confirmation_word,
    confirmed_by,
    confirmed_on,
    confirmed_agorot,
    letter_ref
FROM answered
QUALIFY row_number() OVER (
    PARTITION BY planning_year, response_id, funding_channel, semel_mosad ORDER BY confirmed_on DESC, confirmation_id DESC
) = 1
