-- A row: one finding about the files of a source as a whole.
-- Key: source_id, finding_he.
-- Stage: collect.
-- Found before the load (sources/whole_files.py); what is refused is not loaded, but for a rehearsal.
SELECT
    source_id,
    TRY_CAST(school_year AS INTEGER) AS school_year,
    file_finding,
    is_blocking,
    finding_he,
    finding_en
FROM raw.raw_file_finding
