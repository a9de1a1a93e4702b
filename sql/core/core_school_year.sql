-- A row: one institution of the city in one school year.
-- Key: semel_mosad, school_year.
-- Stage: collect.
-- A quintile q covers deciles 2q-1 and 2q; where only the quintile is known the index is read off as their midpoint and flagged.
WITH registered AS (
    SELECT
        codes.semel_mosad,
        schools.school_year,
        CAST(sum(schools.pupils) AS INTEGER) AS pupils,
        sum(schools.classes) AS classes,
        sum(schools.nurture_index * schools.pupils) / nullif(sum(schools.pupils) FILTER (WHERE schools.nurture_index IS NOT NULL), 0)
            AS nurture_index,
        CAST(median(schools.nurture_quintile) AS INTEGER) AS nurture_quintile
    FROM staging.stg_register__schools AS schools
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = schools.semel_mosad
    GROUP BY codes.semel_mosad, schools.school_year
),
composition AS (
    SELECT
        codes.semel_mosad,
        pupils.school_year,
        100.0 * count(*) FILTER (WHERE pupils.years_in_israel <= 10) / count(*) AS immigrant_pct,
        100.0 * count(*) FILTER (WHERE pupils.is_sen_integration) / count(*) AS sen_integration_pct
    FROM staging.stg_register__pupils AS pupils
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = pupils.semel_mosad
    GROUP BY codes.semel_mosad, pupils.school_year
),
money AS (
    SELECT
        codes.semel_mosad,
        money.school_year,
        CAST(sum(money.ministry_agorot) AS BIGINT) AS ministry_agorot,
        CAST(sum(money.gefen_agorot) AS BIGINT) AS gefen_agorot,
        CAST(sum(money.parents_agorot) AS BIGINT) AS parents_agorot
    FROM staging.stg_finance__school_money AS money
    JOIN core.core_city_code AS codes ON codes.semel_mosad_old = money.semel_mosad
    GROUP BY codes.semel_mosad, money.school_year
)
SELECT
    registered.semel_mosad,
    registered.school_year,
    registered.pupils,
    registered.classes,
    coalesce(registered.nurture_index, 2.0 * registered.nurture_quintile - 0.5) AS nurture_index,
    registered.nurture_index IS NULL AND registered.nurture_quintile IS NOT NULL AS nurture_index_is_imputed,
    registered.nurture_quintile,
    composition.immigrant_pct,
    composition.sen_integration_pct,
    money.ministry_agorot,
    money.gefen_agorot,
    money.parents_agorot
FROM registered
LEFT JOIN composition USING (semel_mosad, school_year)
LEFT JOIN money USING (semel_mosad, school_year)
