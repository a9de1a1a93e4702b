-- A row: the marks that the evidence on one response earns: one for each of five rules that holds.
-- Key: response_id.
-- Stage: decide.
-- The rules are those that people read; a response whose goal is attendance is judged by its effect on absence.
WITH studied AS (
    SELECT response_id, bool_or(NOT is_assumed) AS has_study
    FROM mart.mart_evidence
    WHERE quantity LIKE 'effect%'
    GROUP BY response_id
),
judged AS (
    SELECT
        verdicts.response_id,
        coalesce(verdicts.design_grade, 'E') AS design_grade,
        coalesce(verdicts.information_pct, 0) AS information_pct,
        coalesce(verdicts.effect_lo_sd, absence.absence_saved_lo) AS effect_lo,
        coalesce(verdicts.effect_hi_sd, absence.absence_saved_hi) AS effect_hi
    FROM mart.mart_verdict AS verdicts
    LEFT JOIN mart.mart_effect_absence AS absence
        ON absence.response_id = verdicts.response_id AND absence.is_goal
    WHERE verdicts.group_id = 'all' AND verdicts.subject = 'all'
),
ruled AS (
    SELECT
        judged.response_id,
        coalesce(studied.has_study, false) AS has_study,
        judged.design_grade <> 'E' AS has_own_estimate,
        judged.design_grade IN ('A', 'B', 'C') AS has_strong_design,
        judged.information_pct >= 50 AS is_mostly_own,
        coalesce(judged.effect_lo > 0 OR judged.effect_hi < 0, false) AS is_one_sided
    FROM judged
    LEFT JOIN studied ON studied.response_id = judged.response_id
)
SELECT
    response_id,
    has_study,
    has_own_estimate,
    has_strong_design,
    is_mostly_own,
    is_one_sided,
    CAST(
        CAST(has_study AS INTEGER) + CAST(has_own_estimate AS INTEGER) + CAST(has_strong_design AS INTEGER)
        + CAST(is_mostly_own AS INTEGER) + CAST(is_one_sided AS INTEGER) AS INTEGER
    ) AS evidence_marks
FROM ruled
