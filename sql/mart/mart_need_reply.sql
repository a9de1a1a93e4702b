-- A row: one need that people named on forms, and what the plan in force does about it.
-- Key: need_id.
-- Stage: decide.
-- A response may answer several needs, so that its money stands beside each of them (R75).
WITH answered AS (
    SELECT
        answers.need_id,
        CAST(count(DISTINCT lines.response_id) AS INTEGER) AS responses,
        CAST(count(DISTINCT lines.semel_mosad) AS INTEGER) AS schools,
        CAST(sum(lines.cost_agorot) AS BIGINT) AS allocated_agorot,
        string_agg(DISTINCT named.response_name_he, ', ' ORDER BY named.response_name_he) AS responses_he
    FROM core.core_need_answer AS answers
    JOIN mart.mart_plan_line AS lines ON lines.response_id = answers.response_id
    JOIN core.core_response AS named ON named.response_id = answers.response_id
    GROUP BY answers.need_id
),
registered AS (
    SELECT
        answers.need_id,
        string_agg(DISTINCT named.response_name_he, ', ' ORDER BY named.response_name_he) AS registered_he
    FROM core.core_need_answer AS answers
    JOIN core.core_response AS named ON named.response_id = answers.response_id
    GROUP BY answers.need_id
),
-- Why a draft leaves out what would answer the need: the reason of most pairs of school and response.
pairs AS (
    SELECT answers.need_id, why.allocation_reason, count(*) AS pairs
    FROM core.core_need_answer AS answers
    JOIN mart.mart_allocation_reason AS why ON why.response_id = answers.response_id
    WHERE NOT EXISTS (SELECT 1 FROM mart.mart_plan_line WHERE is_decided)
    GROUP BY answers.need_id, why.allocation_reason
),
reasons AS (
    SELECT need_id, allocation_reason AS unfunded_reason
    FROM pairs
    QUALIFY row_number() OVER (PARTITION BY need_id ORDER BY pairs DESC, allocation_reason) = 1
)
SELECT
    named.need_id,
    named.need_name_he,
    named.form_people,
    named.first_people,
    named.speakers,
    CASE
        WHEN needs.need_id IS NULL THEN 'not_on_list'
        WHEN answered.need_id IS NOT NULL THEN 'funded'
        WHEN registered.need_id IS NOT NULL THEN 'not_funded'
        ELSE 'no_response'
    END AS reply_kind,
    CASE WHEN needs.need_id IS NOT NULL THEN coalesce(answered.responses, 0) END AS responses,
    answered.responses_he,
    CASE WHEN needs.need_id IS NOT NULL THEN coalesce(answered.schools, 0) END AS schools,
    CASE WHEN needs.need_id IS NOT NULL THEN coalesce(answered.allocated_agorot, 0) END AS allocated_agorot,
    registered.registered_he,
    CASE WHEN registered.need_id IS NOT NULL AND answered.need_id IS NULL THEN reasons.unfunded_reason END AS unfunded_reason
FROM mart.mart_form_need AS named
LEFT JOIN core.core_need AS needs ON needs.need_id = named.need_id
LEFT JOIN answered ON answered.need_id = named.need_id
LEFT JOIN registered ON registered.need_id = named.need_id
LEFT JOIN reasons ON reasons.need_id = named.need_id
WHERE named.speaker_kind = 'all'
