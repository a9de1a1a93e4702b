-- A row: one finding about the files of a source as a whole.
-- Key: source_id, finding_he.
-- Stage: collect.
-- What stops a load is never among them: nothing of it is loaded until somebody confirms the file (R129).
SELECT source_id, school_year, file_finding, finding_he, finding_en
FROM core.core_file_finding
WHERE NOT is_blocking
