-- A row: one stage and level of the wheel of evaluation.
-- Key: cycle_stage, perspective_level.
-- Stage: decide.
-- Only counts leave the answers; a stage and level without one is a question that nobody answered (R78, A2).
WITH answered AS (
    SELECT wheel.*
    FROM staging.stg_voice__wheel AS wheel
    JOIN core.core_city AS city ON city.planning_year = wheel.planning_year
),
cells AS (
    SELECT stages.cycle_stage, levels.perspective_level
    FROM (SELECT unnest(['aim', 'collect', 'diagnose', 'decide', 'act', 'review']) AS cycle_stage) AS stages
    CROSS JOIN (SELECT unnest(['events', 'patterns', 'structures', 'mental_models', 'vision']) AS perspective_level) AS levels
)
SELECT
    cells.cycle_stage,
    cells.perspective_level,
    CAST(count(answered.answer_he) AS INTEGER) AS wheel_answers,
    CAST(count(DISTINCT answered.problem_he) AS INTEGER) AS problems_answered,
    problems.problems
FROM cells
CROSS JOIN (SELECT CAST(count(DISTINCT problem_he) AS INTEGER) AS problems FROM answered) AS problems
LEFT JOIN answered
    ON answered.cycle_stage = cells.cycle_stage AND answered.perspective_level = cells.perspective_level
WHERE problems.problems > 0
GROUP BY cells.cycle_stage, cells.perspective_level, problems.problems
