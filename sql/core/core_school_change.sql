-- A row: one change of one school in the register.
-- Key: semel_mosad, school_year, change_kind.
-- Stage: collect.
-- What changed in the register between two years, or within one (R1). A school year begins in September and its
-- lessons end in June: who opens later or closes earlier does so in the middle of the year.
WITH registered AS (
    SELECT codes.semel_mosad, schools.*  EXCLUDE (semel_mosad)
    FROM staging.stg_register__schools AS schools
    JOIN core.core_school_code AS codes ON codes.semel_mosad_old = schools.semel_mosad
    QUALIFY row_number() OVER (PARTITION BY codes.semel_mosad, schools.school_year ORDER BY schools.semel_mosad = codes.semel_mosad DESC, schools.pupils DESC) = 1
),
pairs AS (
    SELECT now.semel_mosad, now.school_year, before.supervision_stream AS stream_before, now.supervision_stream AS stream_after, before.legal_status AS status_before, now.legal_status AS status_after
    FROM registered AS now
    JOIN registered AS before ON before.semel_mosad = now.semel_mosad AND before.school_year = now.school_year - 1
)
SELECT semel_mosad, school_year, 'stream' AS change_kind, stream_before AS value_before, stream_after AS value_after
FROM pairs
WHERE stream_before <> stream_after
UNION ALL
SELECT semel_mosad, school_year, 'legal_status', status_before, status_after
FROM pairs
WHERE status_before <> status_after
UNION ALL
SELECT
    semel_mosad,
    school_year,
    CASE WHEN opened_on > make_date(school_year - 1, 9, 30) THEN 'opened_mid_year' ELSE 'opened' END,
    NULL,
    CAST(opened_on AS VARCHAR)
FROM registered
WHERE opened_on IS NOT NULL
UNION ALL
SELECT
    semel_mosad,
    school_year,
    CASE WHEN closed_on < make_date(school_year, 6, 20) THEN 'closed_mid_year' ELSE 'closed' END,
    CAST(closed_on AS VARCHAR),
    NULL
FROM registered
WHERE closed_on IS NOT NULL
UNION ALL
SELECT semel_mosad, school_year, 'merged', string_agg(semel_mosad_old, ', ' ORDER BY semel_mosad_old), semel_mosad
FROM staging.stg_register__merges
GROUP BY semel_mosad, school_year
