-- A row: one need that one person named on a form of the cycle that is planned.
-- Key: participant_hash, need_id.
-- Stage: collect.
-- Parents and pupils stand with their representatives (R75, R77).
SELECT
    forms.participant_hash,
    forms.need_id,
    forms.need_priority,
    CASE
        WHEN forms.role IN ('parent', 'parent_rep') THEN 'parents'
        WHEN forms.role IN ('pupil', 'pupil_rep') THEN 'pupils'
        ELSE 'groups'
    END AS speaker_kind
FROM staging.stg_voice__forms AS forms
JOIN core.core_city AS city ON city.planning_year = forms.planning_year
