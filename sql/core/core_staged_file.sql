-- A row: one file some of whose rows reached staging.
-- Key: source_id, file_name.
-- Stage: collect.
-- Counted in staging itself: a row of the file counts if it is not set aside and its key is found there.
WITH found AS (
    SELECT 'aim__criteria' AS source_id, given.file_name, given.file_row
    FROM raw.raw_aim__criteria AS given
    SEMI JOIN staging.stg_aim__criteria AS staged
        ON staged.criterion_id = given.criterion_id
        AND staged.criterion_version = TRY_CAST(given.criterion_version AS INTEGER)
    UNION ALL
    SELECT 'aim__decisions' AS source_id, given.file_name, given.file_row
    FROM raw.raw_aim__decisions AS given
    SEMI JOIN staging.stg_aim__decisions AS staged
        ON staged.planning_year = TRY_CAST(given.planning_year AS INTEGER)
        AND staged.response_id = given.response_id
    UNION ALL
    SELECT 'aim__goals' AS source_id, given.file_name, given.file_row
    FROM raw.raw_aim__goals AS given
    SEMI JOIN staging.stg_aim__goals AS staged
        ON staged.goal_id = given.goal_id
    UNION ALL
    SELECT 'aim__targets' AS source_id, given.file_name, given.file_row
    FROM raw.raw_aim__targets AS given
    SEMI JOIN staging.stg_aim__targets AS staged
        ON staged.scale_id = given.scale_id
        AND staged.subject = given.subject
        AND staged.valid_from = TRY_CAST(given.valid_from AS DATE)
    UNION ALL
    SELECT 'assets__inventory' AS source_id, given.file_name, given.file_row
    FROM raw.raw_assets__inventory AS given
    SEMI JOIN staging.stg_assets__inventory AS staged
        ON staged.asset_id = given.asset_id
    UNION ALL
    SELECT 'attendance__entries' AS source_id, given.file_name, given.file_row
    FROM raw.raw_attendance__entries AS given
    SEMI JOIN staging.stg_attendance__entries AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'attendance__exits' AS source_id, given.file_name, given.file_row
    FROM raw.raw_attendance__exits AS given
    SEMI JOIN staging.stg_attendance__exits AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'attendance__pupil_years' AS source_id, given.file_name, given.file_row
    FROM raw.raw_attendance__pupil_years AS given
    SEMI JOIN staging.stg_attendance__pupil_years AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'climate__facets' AS source_id, given.file_name, given.file_row
    FROM raw.raw_climate__facets AS given
    SEMI JOIN staging.stg_climate__facets AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.grade = TRY_CAST(given.grade AS INTEGER)
        AND staged.facet = given.facet
    UNION ALL
    SELECT 'context__authority_years' AS source_id, given.file_name, given.file_row
    FROM raw.raw_context__authority_years AS given
    SEMI JOIN staging.stg_context__authority_years AS staged
        ON staged.authority_name = given.authority_name
        AND staged.authority_code = given.authority_code
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'context__stat_areas' AS source_id, given.file_name, given.file_row
    FROM raw.raw_context__stat_areas AS given
    SEMI JOIN staging.stg_context__stat_areas AS staged
        ON staged.locality_name = given.locality_name
        AND staged.stat_area = given.stat_area
    UNION ALL
    SELECT 'finance__budget_lines' AS source_id, given.file_name, given.file_row
    FROM raw.raw_finance__budget_lines AS given
    SEMI JOIN staging.stg_finance__budget_lines AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.response_id = given.response_id
        AND staged.funding_channel = given.funding_channel
    UNION ALL
    SELECT 'finance__parents_payments' AS source_id, given.file_name, given.file_row
    FROM raw.raw_finance__parents_payments AS given
    SEMI JOIN staging.stg_finance__parents_payments AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.response_id = given.response_id
    UNION ALL
    SELECT 'finance__school_money' AS source_id, given.file_name, given.file_row
    FROM raw.raw_finance__school_money AS given
    SEMI JOIN staging.stg_finance__school_money AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'informal__participation' AS source_id, given.file_name, given.file_row
    FROM raw.raw_informal__participation AS given
    SEMI JOIN staging.stg_informal__participation AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.activity = given.activity
    UNION ALL
    SELECT 'programmes__delivery' AS source_id, given.file_name, given.file_row
    FROM raw.raw_programmes__delivery AS given
    SEMI JOIN staging.stg_programmes__delivery AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.response_id = given.response_id
    UNION ALL
    SELECT 'programmes__participation' AS source_id, given.file_name, given.file_row
    FROM raw.raw_programmes__participation AS given
    SEMI JOIN staging.stg_programmes__participation AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.response_id = given.response_id
    UNION ALL
    SELECT 'programmes__registry' AS source_id, given.file_name, given.file_row
    FROM raw.raw_programmes__registry AS given
    SEMI JOIN staging.stg_programmes__registry AS staged
        ON staged.response_id = given.response_id
    UNION ALL
    SELECT 'register__merges' AS source_id, given.file_name, given.file_row
    FROM raw.raw_register__merges AS given
    SEMI JOIN staging.stg_register__merges AS staged
        ON staged.semel_mosad_old = given.semel_mosad_old
    UNION ALL
    SELECT 'register__pupils' AS source_id, given.file_name, given.file_row
    FROM raw.raw_register__pupils AS given
    SEMI JOIN staging.stg_register__pupils AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'register__school_background' AS source_id, given.file_name, given.file_row
    FROM raw.raw_register__school_background AS given
    SEMI JOIN staging.stg_register__school_background AS staged
        ON staged.semel_mosad = given.semel_mosad
    UNION ALL
    SELECT 'register__schools' AS source_id, given.file_name, given.file_row
    FROM raw.raw_register__schools AS given
    SEMI JOIN staging.stg_register__schools AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
    UNION ALL
    SELECT 'tests__pupil_scores' AS source_id, given.file_name, given.file_row
    FROM raw.raw_tests__pupil_scores AS given
    SEMI JOIN staging.stg_tests__pupil_scores AS staged
        ON staged.pupil_hash = given.pupil_hash
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.subject = given.subject
        AND staged.grade = TRY_CAST(given.grade AS INTEGER)
        AND staged.scale_id = given.scale_id
    UNION ALL
    SELECT 'tests__school_bands' AS source_id, given.file_name, given.file_row
    FROM raw.raw_tests__school_bands AS given
    SEMI JOIN staging.stg_tests__school_bands AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.grade = TRY_CAST(given.grade AS INTEGER)
        AND staged.subject = given.subject
    UNION ALL
    SELECT 'tests__school_means' AS source_id, given.file_name, given.file_row
    FROM raw.raw_tests__school_means AS given
    SEMI JOIN staging.stg_tests__school_means AS staged
        ON staged.semel_mosad = given.semel_mosad
        AND staged.school_year = TRY_CAST(given.school_year AS INTEGER)
        AND staged.grade = TRY_CAST(given.grade AS INTEGER)
        AND staged.subject = given.subject
        AND staged.scale_id = given.scale_id
    UNION ALL
    SELECT 'voice__cards' AS source_id, given.file_name, given.file_row
    FROM raw.raw_voice__cards AS given
    SEMI JOIN staging.stg_voice__cards AS staged
        ON staged.participant_hash = given.participant_hash
        AND staged.card_category = given.card_category
        AND staged.response_id = given.response_id
    UNION ALL
    SELECT 'voice__excerpts' AS source_id, given.file_name, given.file_row
    FROM raw.raw_voice__excerpts AS given
    SEMI JOIN staging.stg_voice__excerpts AS staged
        ON staged.excerpt_id = given.excerpt_id
    UNION ALL
    SELECT 'voice__ladders' AS source_id, given.file_name, given.file_row
    FROM raw.raw_voice__ladders AS given
    SEMI JOIN staging.stg_voice__ladders AS staged
        ON staged.participant_hash = given.participant_hash
        AND staged.cause_id = given.cause_id
    UNION ALL
    SELECT 'voice__ratings' AS source_id, given.file_name, given.file_row
    FROM raw.raw_voice__ratings AS given
    SEMI JOIN staging.stg_voice__ratings AS staged
        ON staged.participant_hash = given.participant_hash
        AND staged.response_id = given.response_id
        AND staged.goal_id = given.goal_id
)
SELECT source_id, file_name, CAST(count(*) AS INTEGER) AS rows_staged
FROM found
ANTI JOIN (SELECT source_id, file_name, file_row FROM raw.raw_quarantine) AS set_aside USING (source_id, file_name, file_row)
GROUP BY source_id, file_name
