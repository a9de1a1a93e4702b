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
        WHEN 'day_month_unsure' THEN 'בעמודה מעורבים יום־חודש וחודש־יום; תאריכים ששני חלקיהם עד 12 נקראו לפי הסדר שבמיפוי'
        WHEN 'hidden_rows' THEN 'שורות מוסתרות בגיליון נקראו גם הן'
        WHEN 'hidden_sheet' THEN 'הגיליון שנקרא מוסתר בחוברת'
        WHEN 'personal_masked' THEN 'פרט אישי (שם, טלפון, דוא"ל או מספר זהות) הוסתר לפני השמירה'
    END AS repair_he,
    CASE repair_code
        WHEN 'code_repaired' THEN 'a code that had lost a leading zero or gained ".0" was completed'
        WHEN 'day_month_unsure' THEN 'the column mixes day-month and month-day; dates with both parts up to 12 were read in the order of the mapping'
        WHEN 'hidden_rows' THEN 'rows that are hidden on the sheet were read too'
        WHEN 'hidden_sheet' THEN 'the sheet that was read is hidden in the workbook'
        WHEN 'personal_masked' THEN 'a personal detail (name, phone, e-mail or id number) was masked before storing'
    END AS repair_en
FROM raw.raw_repair
