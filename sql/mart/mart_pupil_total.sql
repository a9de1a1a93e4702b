-- A row: schools and pupils of the reference year in one scope and stream.
-- Key: scope, stream.
-- Stage: collect.
SELECT
    scope,
    stream,
    schools,
    pupils
FROM core.core_pupil_total
