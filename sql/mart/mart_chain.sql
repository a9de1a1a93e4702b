-- A row: one link of a gap to a cause and of the cause to an action in one school, or the place where the chain breaks.
-- Key: semel_mosad, cause_id, response_id.
-- Stage: diagnose.
-- A cause counts where its part of the gap surely widens it (interval above 0); parts are associations, not effects (R51).
WITH gaps AS (
    SELECT semel_mosad, gap_tier = 'surely_below' AS has_gap
    FROM mart.mart_gap_school
    WHERE subject = 'all' AND is_measured
),
causes AS (
    SELECT parts.semel_mosad, parts.cause_id
    FROM mart.mart_cause_contribution AS parts
    JOIN core.core_cause AS catalogue ON catalogue.cause_id = parts.cause_id
    WHERE parts.contribution_lo_sd > 0 AND catalogue.is_in_power
),
running AS (
    SELECT DISTINCT delivery.semel_mosad, actions.cause_id, actions.response_id
    FROM core.core_participation AS delivery
    CROSS JOIN core.core_city AS city
    JOIN core.core_cause_action AS actions ON actions.response_id = delivery.response_id
    WHERE delivery.school_year = city.reference_year AND delivery.participants > 0
)
SELECT
    gaps.semel_mosad,
    coalesce(causes.cause_id, running.cause_id, 'none') AS cause_id,
    coalesce(running.response_id, 'none') AS response_id,
    gaps.has_gap,
    CASE
        WHEN causes.cause_id IS NULL AND running.cause_id IS NULL THEN 'gap_without_cause'
        WHEN causes.cause_id IS NULL THEN 'action_without_cause'
        WHEN running.response_id IS NULL THEN 'cause_without_action'
        ELSE 'whole'
    END AS chain_link
FROM gaps
LEFT JOIN (
    causes
    FULL JOIN running ON running.semel_mosad = causes.semel_mosad AND running.cause_id = causes.cause_id
) ON coalesce(causes.semel_mosad, running.semel_mosad) = gaps.semel_mosad
WHERE gaps.has_gap OR running.response_id IS NOT NULL
