-- A row: one role expected or present at one meeting of the committee.
-- Key: planning_year, meeting_number, role.
-- Stage: decide.
SELECT planning_year, meeting_number, role, held_on, release_id, is_expected, is_present
FROM staging.stg_decide__meetings
