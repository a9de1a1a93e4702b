-- A row: one response in one school in one school year.
-- Key: semel_mosad, school_year, response_id.
-- Stage: collect.
-- A response in a school that its rule does not admit, or with more participants than pupils, is a fault (R93); so is
-- one whose number is not that of its list of pupils. One pupil of unknown assignment makes the row's unknown (R63).
WITH listed AS (
    SELECT
        semel_mosad,
        school_year,
        response_id,
        CAST(count(*) AS INTEGER) AS listed_participants,
        bool_or(assignment_mechanism = 'unknown') AS is_unknown
    FROM core.core_response_participant
    GROUP BY semel_mosad, school_year, response_id
)
SELECT
    codes.semel_mosad,
    delivery.school_year,
    delivery.response_id,
    CAST(sum(delivery.participants) AS INTEGER) AS participants,
    CAST(sum(delivery.eligible_pupils) AS INTEGER) AS eligible_pupils,
    any_value(listed.listed_participants) AS listed_participants,
    max(delivery.dose) AS dose,
    CASE
        WHEN bool_or(delivery.assignment_mechanism = 'unknown') OR any_value(listed.is_unknown) THEN 'unknown'
        ELSE min(delivery.assignment_mechanism)
    END AS assignment_mechanism,
    any_value(years.pupils) AS school_pupils,
    coalesce(any_value(years.nurture_index) >= any_value(responses.nurture_index_min), true) AS is_eligible_school
FROM staging.stg_programmes__delivery AS delivery
JOIN core.core_school_code AS codes ON codes.semel_mosad_old = delivery.semel_mosad
LEFT JOIN core.core_school_year AS years
    ON years.semel_mosad = codes.semel_mosad AND years.school_year = delivery.school_year
LEFT JOIN core.core_response AS responses ON responses.response_id = delivery.response_id
LEFT JOIN listed
    ON listed.semel_mosad = codes.semel_mosad
    AND listed.school_year = delivery.school_year
    AND listed.response_id = delivery.response_id
GROUP BY codes.semel_mosad, delivery.school_year, delivery.response_id
