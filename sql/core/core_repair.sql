-- A row: one repair of the door in one column of one file.
-- Key: source_id, file_name, column_name, repair_code.
-- Stage: collect.
-- Nothing is changed at the door without being told.
SELECT
    source_id,
    file_name,
    column_name,
    repair_code,
    repaired_rows,
    first_row,
    CASE repair_code
        WHEN 'code_repaired' THEN 'קוד שאיבד אפס מוביל או קיבל ".0" הושלם'
        WHEN 'personal_masked' THEN 'פרט אישי (שם, טלפון, דוא"ל או מספר זהות) הוסתר לפני השמירה'
    END AS repair_he,
    CASE repair_code
        WHEN 'code_repaired' THEN 'a code that had lost a leading zero or gained ".0" was completed'
        WHEN 'personal_masked' THEN 'a personal detail (name, phone, e-mail or id number) was masked before storing'
    END AS repair_en
FROM raw.raw_repair
