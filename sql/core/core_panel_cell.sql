-- A row: the tested pupils of one school, subject and school year, beside one response the school has or has not.
-- Key: response_id, semel_mosad, school_year, subject.
-- Stage: collect.
-- Only responses with reported delivery; a school that never reported a response in them never had it.
WITH means AS (
    SELECT
        semel_mosad,
        school_year,
        subject,
        avg(outcome_sd) AS mean_sd,
        CAST(count(*) AS INTEGER) AS tested_pupils
    FROM core.core_pupil_outcome
    GROUP BY semel_mosad, school_year, subject
),
served AS (
    SELECT
        semel_mosad,
        response_id,
        school_year,
        least(1.0, participants * dose / nullif(school_pupils, 0)) AS served_share
    FROM core.core_participation
    WHERE participants > 0
),
started AS (
    SELECT semel_mosad, response_id, min(school_year) AS started_year
    FROM served
    GROUP BY semel_mosad, response_id
),
responses AS (SELECT DISTINCT response_id FROM served)
SELECT
    responses.response_id,
    means.semel_mosad,
    means.school_year,
    means.subject,
    means.mean_sd,
    means.tested_pupils,
    coalesce(served.served_share, 0.0) AS served_share,
    started.started_year
FROM responses
CROSS JOIN means
LEFT JOIN served
    ON served.response_id = responses.response_id
    AND served.semel_mosad = means.semel_mosad
    AND served.school_year = means.school_year
LEFT JOIN started ON started.response_id = responses.response_id AND started.semel_mosad = means.semel_mosad
