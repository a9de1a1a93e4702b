-- A row: one group of pupils that is behind the others, and whether anybody spoke for it.
-- Key: group_id.
-- Stage: decide.
-- A group in a gap is surely below the target and behind the other pupils by more than the registered margin (R74).
WITH speaking AS (
    SELECT cards.group_id FROM staging.stg_voice__cards AS cards
    JOIN core.core_city AS city ON city.planning_year = cards.planning_year
    WHERE cards.role = 'group_rep'
    UNION
    SELECT forms.group_id FROM staging.stg_voice__forms AS forms
    JOIN core.core_city AS city ON city.planning_year = forms.planning_year
    WHERE forms.role = 'group_rep'
)
SELECT
    gaps.group_id,
    gaps.gap_tier,
    gaps.contrast_sd,
    speaking.group_id IS NOT NULL AS has_spoken
FROM mart.mart_gap_group AS gaps
JOIN core.core_parameter AS margin ON margin.parameter_id = 'policy.diagnose.margin_sd'
LEFT JOIN speaking ON speaking.group_id = gaps.group_id
WHERE gaps.subject = 'all' AND gaps.gap_tier = 'surely_below' AND gaps.contrast_sd > CAST(margin.parameter_value AS DOUBLE)
    AND EXISTS (SELECT 1 FROM core.core_nomination)
