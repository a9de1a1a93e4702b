-- A row: one way in which the plan and what was proposed or decided on one response part.
-- Key: response_id, contradiction.
-- Stage: decide.
-- What people decided goes before what was proposed; the plan is compared with last year's budget line (R68, R122). What
-- is to be measured first is expanded before anybody knows where it gets more than last year.
WITH planned AS (
    SELECT
        response_id,
        CAST(count(*) AS INTEGER) AS schools,
        CAST(sum(cost_agorot) AS BIGINT) AS allocated_agorot,
        bool_and(is_must_keep) AS is_must_keep
    FROM mart.mart_allocation
    GROUP BY response_id
    UNION ALL
    -- A service of the whole city is a line of the committee's, and of no school.
    SELECT response_id, 0, cost_agorot, false
    FROM mart.mart_city_service
    WHERE places > 0
),
said AS (
    SELECT
        proposals.response_id,
        proposals.proposal,
        proposals.decision,
        proposals.verdict,
        coalesce(proposals.decision, proposals.proposal) AS disposition,
        last_lines.last_year_agorot,
        planned.response_id IS NOT NULL AS is_funded,
        coalesce(planned.schools, 0) AS schools,
        coalesce(planned.allocated_agorot, 0) AS allocated_agorot,
        CASE
            WHEN planned.response_id IS NULL THEN 'not_funded'
            WHEN amounts.amount_agorot IS NOT NULL OR planned.schools = 0 THEN 'committee'
            WHEN planned.is_must_keep THEN 'must_keep'
            WHEN amounts.response_id IS NOT NULL THEN 'rule'
            ELSE 'worth'
        END AS funded_by
    FROM mart.mart_proposal AS proposals
    LEFT JOIN planned ON planned.response_id = proposals.response_id
    LEFT JOIN (
        SELECT response_id, CAST(sum(last_year_agorot) AS BIGINT) AS last_year_agorot
        FROM mart.mart_last_line
        GROUP BY response_id
    ) AS last_lines ON last_lines.response_id = proposals.response_id
    LEFT JOIN mart.mart_committee_amount AS amounts ON amounts.response_id = proposals.response_id
),
found AS (
    SELECT *, unnest([
        CASE WHEN disposition = 'drop' AND is_funded THEN 'drop_but_funded' END,
        CASE WHEN disposition = 'change' AND is_funded AND allocated_agorot >= last_year_agorot THEN 'change_but_not_less' END,
        CASE WHEN disposition = 'keep' AND NOT is_funded AND last_year_agorot > 0 THEN 'keep_but_unfunded' END,
        CASE WHEN disposition = 'evaluate' AND NOT is_funded THEN 'evaluate_but_unfunded' END,
        CASE WHEN disposition = 'evaluate' AND allocated_agorot > last_year_agorot THEN 'evaluate_but_more' END,
        CASE WHEN verdict = 'not_effective' AND is_funded AND disposition <> 'drop' THEN 'not_effective_but_funded' END,
        CASE WHEN decision <> proposal THEN 'decided_against_proposal' END
    ]) AS contradiction
    FROM said
)
SELECT
    response_id,
    contradiction,
    proposal,
    decision,
    verdict,
    funded_by,
    schools,
    last_year_agorot,
    allocated_agorot
FROM found
WHERE contradiction IS NOT NULL
