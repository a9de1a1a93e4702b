-- A row: one local authority in one year, as its source gives it, typed.
-- Key: authority_name, authority_code, school_year.
-- Stage: collect.
-- Rows that cannot be typed stay in raw.raw_quarantine with their reason.
SELECT
    authority_name,
    authority_code,
    CAST(school_year AS INTEGER) AS school_year,
    CAST(population AS DOUBLE) AS population,
    CAST(pupils AS INTEGER) AS pupils,
    CAST(pupils_elementary AS DOUBLE) AS pupils_elementary,
    CAST(dropout_pct AS DOUBLE) AS dropout_pct,
    CAST(bagrut_pct AS DOUBLE) AS bagrut_pct,
    CAST(ses_cluster_cbs AS INTEGER) AS ses_cluster_cbs,
    CAST(ses_value_cbs AS DOUBLE) AS ses_value_cbs,
    CAST(education_expenditure_nis AS DOUBLE) AS education_expenditure_nis,
    CAST(education_expenditure_per_pupil_nis AS DOUBLE) AS education_expenditure_per_pupil_nis
FROM raw.raw_context__authority_years
ANTI JOIN (SELECT file_name, file_row FROM raw.raw_quarantine WHERE source_id = 'context__authority_years') AS set_aside
    USING (file_name, file_row)
