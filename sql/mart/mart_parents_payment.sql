-- A row: what parents paid in one school year in the city for one response, or in one school ("all" = for all of them).
-- Key: place, response_id, school_year.
-- Stage: review.
-- Their share is of all that was spent there on the response, by the budget's other channels; it is unknown where the
-- budget says nothing (R18). A service of the whole city is never told by school: a school has all that schools have. One school's payers of one response are not shown: the totals would tell the few. small_pupils
-- is the number of payers where too small; where schools or responses hide few in all, the next smallest is hidden too.
WITH schools AS (SELECT semel_mosad FROM core.core_school WHERE is_in_plan),
spent AS (
    SELECT semel_mosad, school_year, response_id, sum(actual_agorot) AS other_agorot
    FROM core.core_budget_line
    WHERE funding_channel <> 'parents'
    GROUP BY semel_mosad, school_year, response_id
),
paid AS (
    SELECT payments.*, spent.other_agorot, coalesce(responses.is_city_service, FALSE) AS is_city_service
    FROM core.core_parents_payment AS payments
    LEFT JOIN core.core_response AS responses ON responses.response_id = payments.response_id
    LEFT JOIN spent
        ON spent.semel_mosad = payments.semel_mosad
        AND spent.school_year = payments.school_year
        AND spent.response_id = payments.response_id
),
told AS (
    SELECT 'city' AS place, response_id, school_year, payers, paid_agorot, other_agorot FROM paid
    UNION ALL
    SELECT 'city', 'all', school_year, payers, paid_agorot, other_agorot FROM paid
    UNION ALL
    SELECT
        semel_mosad,
        'all',
        school_year,
        CASE WHEN is_city_service THEN 0 ELSE payers END,
        CASE WHEN is_city_service THEN 0 ELSE paid_agorot END,
        CASE WHEN is_city_service THEN 0 ELSE other_agorot END
    FROM paid
),
summed AS (
    SELECT
        place,
        response_id,
        school_year,
        sum(payers) AS payers,
        sum(paid_agorot) AS paid_agorot,
        -- A total of which a part is unknown is unknown.
        CASE WHEN count(other_agorot) = count(*) THEN sum(other_agorot) END AS other_agorot
    FROM told
    GROUP BY place, response_id, school_year
),
registered AS (
    SELECT years.semel_mosad AS place, years.school_year, years.pupils
    FROM core.core_school_year AS years
    JOIN schools ON schools.semel_mosad = years.semel_mosad
    UNION ALL
    SELECT 'city', years.school_year, sum(years.pupils)
    FROM core.core_school_year AS years
    JOIN schools ON schools.semel_mosad = years.semel_mosad
    GROUP BY years.school_year
),
limits AS (
    SELECT max(TRY_CAST(parameter_value AS INTEGER)) AS few
    FROM core.core_parameter
    WHERE parameter_id = 'policy.suppression.count_pupils' OR parameter_id LIKE 'policy.audiences.%.count_pupils'
),
marked AS (
    SELECT
        summed.*,
        limits.few,
        summed.payers BETWEEN 1 AND limits.few - 1 AS is_few,
        summed.place <> 'city' AS is_school,
        summed.place = 'city' AND summed.response_id = 'all' AS is_total
    FROM summed
    CROSS JOIN limits
),
beside AS (
    SELECT
        *,
        sum(CASE WHEN is_few THEN payers END) OVER (PARTITION BY school_year, is_school, is_total) AS hidden_payers,
        row_number() OVER (
            PARTITION BY school_year, is_school, is_total, is_few ORDER BY payers = 0, payers, place, response_id
        ) AS next_place
    FROM marked
)
SELECT
    beside.place,
    beside.response_id,
    beside.school_year,
    CAST(beside.payers AS INTEGER) AS payers,
    CAST(beside.paid_agorot AS BIGINT) AS paid_agorot,
    CAST(round(beside.paid_agorot / nullif(beside.payers, 0)) AS BIGINT) AS paid_per_payer_agorot,
    CAST(registered.pupils AS INTEGER) AS pupils,
    CAST(round(beside.paid_agorot / nullif(registered.pupils, 0)) AS BIGINT) AS paid_per_pupil_agorot,
    CAST(beside.other_agorot AS BIGINT) AS other_agorot,
    100.0 * beside.paid_agorot / nullif(beside.paid_agorot + beside.other_agorot, 0) AS parents_share_pct,
    CAST(CASE
        WHEN beside.is_few THEN beside.payers
        WHEN NOT beside.is_total AND beside.hidden_payers BETWEEN 1 AND beside.few - 1 AND beside.next_place = 1
            THEN beside.hidden_payers
    END AS INTEGER) AS small_pupils
FROM beside
LEFT JOIN registered ON registered.place = beside.place AND registered.school_year = beside.school_year
