-- A row: money that one school of the city got in one school year.
-- Key: semel_mosad, school_year.
-- Stage: collect.
SELECT semel_mosad, school_year, pupils, ministry_agorot, gefen_agorot, parents_agorot
FROM core.core_school_year
