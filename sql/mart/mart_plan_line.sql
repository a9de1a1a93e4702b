-- A row: one line of the plan in force, in one school or of the whole city.
-- Key: plan_row_id.
-- Stage: decide.
-- What was decided is the plan; before a decision the draft stands for it, and says so. A line of a school that has since
-- merged keeps its row and is told of the school it became part of.
WITH decided AS (
    SELECT
        lines.plan_row_id,
        coalesce(codes.semel_mosad, lines.semel_mosad) AS semel_mosad,
        lines.response_id,
        lines.dose_level,
        lines.participants,
        lines.cost_agorot
    FROM core.core_decided_line AS lines
    JOIN core.core_decided AS decisions USING (planning_year, decision_version)
    JOIN core.core_city AS city ON city.planning_year = lines.planning_year
    LEFT JOIN core.core_school_code AS codes ON codes.semel_mosad_old = lines.semel_mosad
    WHERE decisions.is_in_force
)
SELECT plan_row_id, semel_mosad, response_id, dose_level, participants, cost_agorot, TRUE AS is_decided FROM decided
UNION ALL
SELECT
    concat(semel_mosad, '/', response_id) AS plan_row_id,
    semel_mosad,
    response_id,
    dose_level,
    participants,
    cost_agorot,
    FALSE AS is_decided
FROM mart.mart_allocation
WHERE NOT EXISTS (SELECT 1 FROM decided)
UNION ALL
SELECT
    concat('city/', response_id),
    NULL,
    response_id,
    NULL,
    CAST(places AS INTEGER),
    cost_agorot,
    FALSE
FROM mart.mart_city_service
WHERE places > 0 AND NOT EXISTS (SELECT 1 FROM decided)
