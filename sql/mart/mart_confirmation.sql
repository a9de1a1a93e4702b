-- A row: what the plan in force asks of others for one response, of one school's own basket or for all schools.
-- Key: response_id, funding_channel, school_or_city.
-- Stage: decide.
-- A school's Gefen share is a request to its principal, so it is asked school by school (R83).
WITH asked AS (
    SELECT
        response_id,
        funding_channel,
        CASE WHEN funding_channel = 'gefen_school' THEN coalesce(semel_mosad, 'city') ELSE 'city' END AS school_or_city,
        CASE WHEN funding_channel = 'gefen_school' THEN semel_mosad END AS semel_mosad,
        CAST(sum(amount_agorot) AS BIGINT) AS asked_agorot
    FROM mart.mart_plan_money
    WHERE funding_channel <> 'municipal_own' AND amount_agorot > 0
    GROUP BY ALL
),
answered AS (
    SELECT
        answers.response_id,
        answers.funding_channel,
        answers.school_or_city,
        answers.semel_mosad,
        answers.confirmation_word,
        answers.confirmed_by,
        answers.confirmed_on,
        answers.confirmed_agorot,
        answers.letter_ref
    FROM core.core_confirmation AS answers
    JOIN core.core_city AS city ON city.planning_year = answers.planning_year
)
SELECT
    city.planning_year,
    response_id,
    funding_channel,
    school_or_city,
    coalesce(asked.semel_mosad, answered.semel_mosad) AS semel_mosad,
    coalesce(asked.asked_agorot, 0) AS asked_agorot,
    CASE WHEN answered.confirmation_word = 'confirmed' THEN answered.confirmed_agorot END AS confirmed_agorot,
    CAST(
        greatest(
            coalesce(asked.asked_agorot, 0)
            - CASE WHEN answered.confirmation_word = 'confirmed' THEN coalesce(answered.confirmed_agorot, 0) ELSE 0 END,
            0
        ) AS BIGINT
    ) AS lacking_agorot,
    answered.confirmation_word,
    answered.confirmed_by,
    answered.confirmed_on,
    answered.letter_ref
FROM asked
FULL JOIN answered USING (response_id, funding_channel, school_or_city)
CROSS JOIN core.core_city AS city
