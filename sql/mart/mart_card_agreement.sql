-- A row: how far the joint picks and the single picks of one category are the same.
-- Key: card_category.
-- Stage: decide.
SELECT
    cards.card_category,
    any_value(quotas.card_quota) AS card_quota,
    CAST(count(*) FILTER (WHERE cards.is_joint_pick) AS INTEGER) AS joint_picks,
    CAST(count(*) FILTER (WHERE cards.is_single_pick) AS INTEGER) AS single_picks,
    CAST(count(*) FILTER (WHERE cards.is_joint_pick AND cards.is_single_pick) AS INTEGER) AS both_picks
FROM mart.mart_card AS cards
JOIN core.core_card_quota AS quotas ON quotas.card_category = cards.card_category
WHERE cards.groups_playing > 0 AND cards.is_single_pick IS NOT NULL
GROUP BY cards.card_category
