-- A row: one line of one scenario's plan, the plan itself among them.
-- Key: scenario_id, semel_mosad, response_id.
-- Stage: decide.
-- What a decision on a scenario keeps: its totals alone would have to be solved again.
SELECT scenario_id, semel_mosad, response_id, dose_level, participants, cost_agorot, municipal_agorot
FROM core.core_scenario_line
