-- A row: one participant's nominations in one category.
-- Key: participant_hash, card_category.
-- Stage: collect.
-- The numbers 5/4/3/2/1 say how many cards may be chosen; they are no scores (R69).
SELECT
    participant_hash,
    card_category,
    CAST(count(*) AS INTEGER) AS nominations,
    CASE card_category
        WHEN 'indispensable' THEN 5
        WHEN 'proven' THEN 4
        WHEN 'unique' THEN 3
        WHEN 'change_or_drop' THEN 2
        WHEN 'significant' THEN 1
    END AS card_quota
FROM staging.stg_voice__cards
GROUP BY participant_hash, card_category
