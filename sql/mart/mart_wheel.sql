-- A row: one stage and level of the wheel of evaluation.
-- Key: stage_id, perspective_level.
-- Stage: decide.
-- Only counts leave the answers; a stage and level without one is a question that nobody answered (R78, A2).
WITH answered AS (
    SELECT wheel.*
    FROM staging.stg_voice__wheel AS wheel
    JOIN core.core_city AS city ON city.planning_year = wheel.planning_year
),
cells AS (
    SELECT stages.stage_id, levels.perspective_level
    FROM (SELECT unnest(['aim', 'collect', 'diagnose', 'decide', 'act', 'review']) AS stage_id) AS stages
    CROSS JOIN (
        SELECT unnest(['events', 'patterns', 'structures', 'mental_models', 'vision']) AS perspective_level
    ) AS levels
)
SELECT
    cells.stage_id,
    cells.perspective_level,
    CAST(count(answered.answer_he) AS INTEGER) AS wheel_answers,
    CAST(count(DISTINCT answered.problem_he) AS INTEGER) AS problems_answered,
    problems.problems
FROM cells
CROSS JOIN (SELECT CAST(count(DISTINCT problem_he) AS INTEGER) AS problems FROM answered) AS problems
LEFT JOIN answered
    ON answered.stage_id = cells.stage_id AND answered.perspective_level = cells.perspective_level
WHERE problems.problems > 0
GROUP BY cells.stage_id, cells.perspective_level, problems.problems
