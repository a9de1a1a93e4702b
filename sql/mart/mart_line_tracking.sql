-- A row: one line that was decided, planned beside what was done.
-- Key: plan_row_id.
-- Stage: review.
-- The months of the plan are those from its start to its end; the ledger says how many of them are over. At the pace so
-- far the forecast is what is paid × months of the plan ÷ months that are over (R103).
WITH plan AS (
    SELECT
        plan_row_id,
        semel_mosad,
        response_id,
        participants,
        cost_agorot,
        starts_on,
        ends_on,
        date_diff('month', starts_on, ends_on) + 1 AS months
    FROM mart.mart_work_plan
    WHERE is_decided
),
ledger AS (
    SELECT paid.plan_row_ref, paid.paid_month, paid.spent_agorot
    FROM staging.stg_finance__ledger AS paid
    WHERE paid.paid_month BETWEEN (SELECT date_trunc('month', min(starts_on)) FROM plan) AND (SELECT max(ends_on) FROM plan)
),
over AS (
    SELECT max(date_diff('month', plan.starts_on, ledger.paid_month) + 1) AS months_over
    FROM ledger
    JOIN plan ON plan.plan_row_id = ledger.plan_row_ref
),
spent AS (
    SELECT plan_row_ref, CAST(sum(spent_agorot) AS BIGINT) AS spent_agorot FROM ledger GROUP BY plan_row_ref
),
status AS (
    SELECT plan_row_ref, status_on, work_status, participants_now, milestone_done
    FROM staging.stg_act__plan_status
    -- Rows of the plan have the same names every year: a report of another year is of another plan.
    WHERE status_on BETWEEN (SELECT min(starts_on) - INTERVAL 60 DAY FROM plan) AND (SELECT max(ends_on) + INTERVAL 60 DAY FROM plan)
    QUALIFY row_number() OVER (PARTITION BY plan_row_ref ORDER BY status_on DESC) = 1
),
paced AS (
    SELECT
        plan.plan_row_id,
        plan.semel_mosad,
        plan.response_id,
        plan.participants,
        plan.cost_agorot,
        plan.months,
        least(coalesce(over.months_over, 0), plan.months) AS months_over,
        coalesce(spent.spent_agorot, 0) AS spent_agorot
    FROM plan
    CROSS JOIN over
    LEFT JOIN spent ON spent.plan_row_ref = plan.plan_row_id
)
SELECT
    paced.plan_row_id,
    paced.semel_mosad,
    paced.response_id,
    paced.cost_agorot,
    CAST(paced.cost_agorot * paced.months_over // paced.months AS BIGINT) AS due_agorot,
    CAST(paced.spent_agorot AS BIGINT) AS spent_agorot,
    CASE WHEN paced.months_over > 0 THEN CAST(paced.spent_agorot * paced.months // paced.months_over AS BIGINT) END AS forecast_agorot,
    100.0 * paced.months_over / paced.months AS elapsed_pct,
    paced.participants,
    status.participants_now,
    status.work_status,
    status.milestone_done,
    status.status_on
FROM paced
LEFT JOIN status ON status.plan_row_ref = paced.plan_row_id
