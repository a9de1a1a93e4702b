"""Files in the manner of Israeli offices, on which the guessing of columns was developed.

`FOREIGN` are of no source. The judge is another set: `tests/validation/municipal_files.py`.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from pathlib import Path

_WORDS = ("אלון", "ברוש", "גפן", "דקל", "הדס", "ורד", "זית", "חצב", "יסמין", "כרמל", "לילך", "מורן")
_FIRST = ("נועה", "איתי", "מאיה", "עומר", "תמר", "יואב", "שירה", "דניאל")
_LAST = ("כהן", "לוי", "מזרחי", "פרץ", "ביטון", "דהן", "אברהם")
_PROGRAMMES = ('מיל"ת', "רבדים", 'פר"ח', "אמירים", "מרחב")
ROWS = 24


@dataclass(frozen=True)
class Office:
    """A file of one office.

    Attributes:
        source_id: what it holds.
        title: what stands above the table.
        columns: header → contract column, or the kind of a column that is none.
    """

    source_id: str
    title: str
    columns: dict[str, str]

    @property
    def truth(self) -> dict[str, str]:
        """Header → contract column, of those that are one."""
        return {h: name for h, name in self.columns.items() if not name.startswith("-")}


def _file(source_id: str, title: str, columns: str) -> Office:
    pairs = (pair.rpartition("=") for pair in columns.split(" | "))
    return Office(source_id, title, {header.strip(): name.strip() for header, _, name in pairs})


FILES = (
    _file(
        "register__schools",
        'מנב"ס – רשימת מוסדות תשפ"ו',
        "סמל מוס'=semel_mosad | שם ביה\"ס=school_name_he | סוג פיקוח=supervision_stream"
        " | סטאטוס משפטי=legal_status | מס' תל'=pupils | מס' כית'=classes | טלפון=-phone",
    ),
    _file(
        "register__schools",
        'בתי ספר יסודיים בעיר – תשפ"ו',
        'קוד מוסד=semel_mosad | בי"ס=school_name_he | זרם חינוכי=supervision_stream'
        " | סוג רישוי=legal_status | סך תלמידים=pupils | סך כיתות=classes"
        " | מדד הטיפוח=nurture_index | א.ס.=stat_area | מנהל/ת=-person",
    ),
    _file(
        "register__schools",
        "נתוני מוסדות",
        'שנה"ל=school_year | סמל המוסד=semel_mosad | שם המוסד החינוכי=school_name_he'
        " | מגזר אוכלוסייה=sector | מעמד המוסד=legal_status | פיקוח המוסד=supervision_stream"
        " | סוג החינוך=education_type | שלב החינוך=education_stage | לומדים=pupils"
        " | חמישון=nurture_quintile | בניהול עצמי (כן/לא)=is_self_managed",
    ),
    _file(
        "register__pupils",
        'מצבת תלמידים – משו"ב',
        'ת"ז=pupil_hash | שם משפחה=-person | שם פרטי=-person | סמל ביה"ס=semel_mosad | שכבה=grade'
        " | כיתת אם=class_id | מין (ז/נ)=sex | שנת לידה=birth_year | עשירון=nurture_decile"
        " | שילוב=is_sen_integration | מחוננים=is_gifted | אמירים=is_amirim"
        " | וותק בארץ=years_in_israel",
    ),
    _file(
        "tests__school_means",
        'דו"ח מיצ"ב פנימי תשפ"ה',
        'סמל=semel_mosad | שם בי"ס=-school_name_he | כיתה=grade | תחום הדעת=subject'
        ' | ממוצע ביה"ס=score_mean | ס"ת=score_sd | מס\' נבחנים=tested_pupils',
    ),
    _file(
        "tests__school_means",
        "מיפוי קריאה וחשבון",
        "שנה=school_year | מוסד=semel_mosad | דרגת כיתה=grade | מבחן ב=subject"
        " | ציון ממוצע (0-100)=score_mean | כמות נבחנים=tested_pupils",
    ),
    _file(
        "tests__pupil_scores",
        'ציוני סוף שנה תשפ"ו',
        "ת.ז. התלמיד=pupil_hash | קוד בית ספר=semel_mosad | שכבת כיתה=grade | מקצוע לימוד=subject"
        " | סוג הבחינה=test_source | מועד הבחינה=test_date | נבחן/לא נבחן=is_tested | הציון=score"
        " | התאמות=is_adapted",
    ),
    _file(
        "attendance__pupil_years",
        'ביקור סדיר תשפ"ו',
        "מס' זהות=pupil_hash | סמל בית הספר=semel_mosad | סה\"כ ימי לימוד בשנה=school_days"
        ' | סה"כ ימי חיסור=absence_days | מתוכם מוצדקים=absence_days_justified',
    ),
    _file(
        "attendance__exits",
        'תלמידים גורעים תשפ"ו',
        'מזהה=pupil_hash | בי"ס עוזב=semel_mosad | כיתה בעת העזיבה=grade | סיבת עזיבה=destination'
        ' | הערות קב"ס=-text',
    ),
    _file(
        "climate__facets",
        'סקר אח"מ תשפ"ו',
        "סמל מוסד=semel_mosad | שכבת גיל=grade | מימד=facet | % מסכימים=agree_pct"
        " | מס' משיבים=respondents | מס' תלמידים בשכבה=eligible_pupils",
    ),
    _file(
        "programmes__delivery",
        'ריכוז תכניות בבתי"ס – תשפ"ו',
        "סמל מוסד=semel_mosad | שם התכנית=response_id | מס' תלמידים משתתפים=participants"
        ' | סה"כ תלמידים זכאים=eligible_pupils | היקף יישום=dose',
    ),
    _file(
        "programmes__participation",
        "שיבוץ תלמידים לתכניות",
        "ת.ז=pupil_hash | בית ספר (סמל)=semel_mosad | תכנית=response_id | היקף השתתפות=dose"
        " | אופן שיבוץ=assignment_mechanism | % נוכחות=attended_pct | הוזמן לתכנית=is_invited",
    ),
    _file(
        "finance__budget_lines",
        'תב"ר ותקציב רגיל – חינוך, שנת 2026',
        "סמל=semel_mosad | מיזם=response_id | גורם מממן=funding_channel | סוג השנה=year_type"
        " | פורמלי=is_formal | תקציב מעודכן=plan_nis | ביצוע מצטבר=actual_nis",
    ),
    _file(
        "finance__budget_lines",
        'תקציב תכניות לבתי"ס (אלפי ש"ח)',
        "שנת תקציב=school_year | מוסד=semel_mosad | סעיף – שם תכנית=response_id"
        " | מקור תקציבי=funding_channel | סכום מתוקצב=plan_nis | סכום שבוצע=actual_nis",
    ),
    _file(
        "finance__school_money",
        'סלי גפ"ן תשפ"ו',
        'סמל מוסד=semel_mosad | שם מוסד=-school_name_he | סה"כ סל גפ"ן (בש"ח)=gefen_nis'
        " | תקצוב משרד החינוך=ministry_nis | גביית הורים=parents_nis",
    ),
    _file(
        "finance__parents_payments",
        "גביה מהורים לפי תכנית",
        "סמל ביה\"ס=semel_mosad | שם תכנית=response_id | מס' משלמים=payers | סכום שנגבה=paid_nis",
    ),
    _file(
        "programmes__registry",
        "ספר המיזמים",
        "קוד תכנית=response_id | שם המיזם=response_name_he | מפעיל=provider | תחום=domain"
        " | סוג=intervention_class | יעד=goal_id | אוכלוסיית יעד=target_group"
        ' | רמת הפעלה=delivery_scale | ש"ש=dose_hours_per_week | מועד התחלה=started_on',
    ),
    _file(
        "assets__inventory",
        "מתקנים ושותפים",
        "מזהה נכס=asset_id | שם מתקן=asset_name_he | סוג=asset_kind | סמל מוסד=semel_mosad"
        " | תפוסה מרבית=capacity_pupils | שעות שבועיות=hours_per_week"
        " | שעות פנויות=hours_free_per_week",
    ),
    _file(
        "register__merges",
        "איחוד מוסדות",
        "סמל ישן=semel_mosad_old | סמל חדש=semel_mosad | שנת האיחוד=school_year",
    ),
    _file(
        "context__stat_areas",
        'אזורים סטטיסטיים – למ"ס',
        "שם ישוב=locality_name | אזור סטט'=stat_area | אוכלוסיה=population"
        " | ערך המדד=ses_value_cbs | אשכול=ses_cluster_cbs",
    ),
    _file(
        "register__schools",
        'מוסדות חינוך ברשות לשנת תשפ"ו',
        'סמל בי"ס=semel_mosad | שם בית-הספר=school_name_he | סקטור=sector | זרם=supervision_stream'
        " | מעמד חוקי=legal_status | מצבת תלמידים=pupils | מצבת כיתות=classes"
        " | מדד שטראוס=nurture_index | כתובת=-text",
    ),
    _file(
        "register__schools",
        "פרטי מוסדות יסודי",
        "מס' מוסד=semel_mosad | המוסד=school_name_he | רשות מקומית=authority_name"
        " | סוג הפיקוח=supervision_stream | סטטוס=legal_status | שלב חינוכי=education_stage"
        " | כמות תלמידים=pupils | כמות כיתות=classes | עשירון טיפוח ממוצע=nurture_index"
        " | אשכול=choice_cluster",
    ),
    _file(
        "register__schools",
        "רישום",
        'שנת הלימודים=school_year | סמל=semel_mosad | ביה"ס=school_name_he'
        " | פיקוח=supervision_stream | רישוי=legal_status | שלב=education_stage"
        " | חינוך רגיל/מיוחד=education_type"
        " | מספר הלומדים=pupils | תאריך פתיחה=opened_on",
    ),
    _file(
        "register__pupils",
        'קובץ תלמידים מנב"סנט',
        "תעודת זהות תלמיד=pupil_hash | מוסד=semel_mosad | כיתה=grade | מקבילה=class_id | מגדר=sex"
        " | ש. לידה=birth_year | עשירון טיפוח תלמיד=nurture_decile | ילד משולב=is_sen_integration"
        " | מחונן=is_gifted | מצטיין אמירים=is_amirim | שנות לימוד הורים=parent_education_years"
        " | אינטרנט בבית=has_home_internet",
    ),
    _file(
        "tests__school_means",
        'תוצאות מיצ"ב',
        "קוד המוסד=semel_mosad | שם=-school_name_he | שכבת הגיל=grade | מקצוע=subject"
        " | ציון בית ספרי=score_mean | סטיית התקן=score_sd | נבחנו=tested_pupils",
    ),
    _file(
        "tests__school_means",
        'מבדקים עירוניים תשפ"ו',
        'סמל ביה"ס=semel_mosad | ביה"ס=-school_name_he | כיתות=grade | המקצוע=subject'
        ' | הישג ממוצע=score_mean | סה"כ נבחנים=tested_pupils',
    ),
    _file(
        "tests__school_bands",
        "רצועות הישג",
        "סמל=semel_mosad | שנת המבחן=school_year | שכבה=grade | תחום=subject | רצועת הישג=band",
    ),
    _file(
        "tests__pupil_scores",
        "תוצאות אישיות",
        "מספר תעודת זהות=pupil_hash | סמל המוסד=semel_mosad | שכבה=grade | המקצוע=subject"
        " | פנימי/חיצוני=test_source | סולם הציונים=scale_id | תאריך הבחינה=test_date"
        " | ניגש=is_tested | ציון סופי (0-100)=score | נוסח=test_form",
    ),
    _file(
        "attendance__pupil_years",
        "היעדרויות",
        'ת"ז תלמיד/ה=pupil_hash | מוסד לימודים=semel_mosad | ימי לימודים=school_days'
        " | חיסורים (ימים)=absence_days | חיסורים מוצדקים (ימים)=absence_days_justified"
        " | שם תלמיד=-person",
    ),
    _file(
        "attendance__exits",
        'נושרים ועוברים תשפ"ו',
        "מס' ת\"ז=pupil_hash | סמל מוסד=semel_mosad | שכבה=grade | לאן עבר=destination",
    ),
    _file(
        "attendance__entries",
        'תלמידים חדשים תשפ"ו',
        "מס' ת\"ז=pupil_hash | סמל מוסד קולט=semel_mosad | שכבת קליטה=grade | מאיפה הגיע=origin",
    ),
    _file(
        "climate__facets",
        'שאלוני אקלים ומוגנות תשפ"ו',
        "קוד מוסד=semel_mosad | שכבה=grade | היבט=facet | אחוז חיובי=agree_pct"
        " | כמות משיבים=respondents | זכאים להשיב=eligible_pupils",
    ),
    _file(
        "programmes__delivery",
        'מענים פועלים תשפ"ו',
        "מוסד=semel_mosad | בית הספר=-school_name_he | המענה=response_id"
        " | משתתפים בפועל=participants | מינון יחסי=dose | דרך שיבוץ=assignment_mechanism",
    ),
    _file(
        "programmes__participation",
        'רשימות משתתפים תשפ"ו',
        'ת"ז המשתתף=pupil_hash | סמל=semel_mosad | שם תוכנית=response_id | מינון ההשתתפות=dose'
        " | אחוז נוכחות=attended_pct | זכאי=is_eligible_pupil",
    ),
    _file(
        "finance__budget_lines",
        "תקציב מול ביצוע",
        "שנת לימודים=school_year | סמל מוסד=semel_mosad | תוכנית=response_id | מממן=funding_channel"
        " | תקציב שנתי (₪)=plan_nis | הוצאה בפועל (₪)=actual_nis | סעיף תקציבי=-number",
    ),
    _file(
        "finance__budget_lines",
        'ספר התקציב תשפ"ו – תוכניות (אלפי ש"ח)',
        'סמל ביה"ס=semel_mosad | שם תוכנית/מענה=response_id | מקור תקציב=funding_channel'
        " | תקציב=plan_nis | ביצוע=actual_nis",
    ),
    _file(
        "finance__school_money",
        'הקצאות תשפ"ו',
        'קוד מוסד=semel_mosad | בית ספר=-school_name_he | הקצאת גפ"ן=gefen_nis'
        " | הקצאת המשרד=ministry_nis | תשלומי הורים=parents_nis",
    ),
    _file(
        "finance__parents_payments",
        "תשלומי הורים",
        "סמל בית ספר=semel_mosad | שנת לימוד=school_year | שם המענה=response_id"
        ' | מספר תלמידים משלמים=payers | סה"כ שולם (₪)=paid_nis',
    ),
    _file(
        "voice__ratings",
        "דירוג המענים במפגש",
        "קוד משתתף=participant_hash | תפקיד=role | המענה=response_id | יעד=goal_id | דירוג=rating"
        " | הסבר=rationale",
    ),
    _file(
        "context__authority_years",
        'רשויות – למ"ס',
        "שם הרשות=authority_name | סמל רשות=authority_code | שנה=school_year"
        ' | סה"כ אוכלוסייה=population | סה"כ תלמידים=pupils | אחוז נשירה=dropout_pct'
        " | אחוז זכאים לבגרות=bagrut_pct | אשכול חברתי כלכלי=ses_cluster_cbs",
    ),
    _file(
        "register__schools",
        'דו"ח מוסדות – שקיפות בחינוך',
        "סמל מוסד=semel_mosad | שם מוסד=school_name_he | מחוז=-text | מגזר=sector"
        " | סוג פיקוח=supervision_stream | מעמד משפטי=legal_status"
        " | שלב חינוך מוסד=education_stage | סוג חינוך מוסד=education_type"
        " | מס תלמידים חינוך רגיל=pupils | מס כיתות רגיל=classes"
        " | מדד טיפוח ממוצע=nurture_index",
    ),
    _file(
        "register__schools",
        "טבלת בתי ספר",
        'סמל=semel_mosad | שם=school_name_he | ממלכתי/ממ"ד=supervision_stream'
        ' | רשמי/מוכש"ר=legal_status | סה"כ תלמידים תשפ"ו=pupils | כיתות אם=classes'
        " | קוא' X=location_east_m | קוא' Y=location_north_m",
    ),
    _file(
        "register__pupils",
        "ייצוא ממשוב",
        'מספר זהות=pupil_hash | בי"ס=semel_mosad | דרגה=grade | כיתה=class_id | מין=sex'
        " | שנת הלידה=birth_year | עשירון טיפוח=nurture_decile"
        " | תלמיד משולב (כן/לא)=is_sen_integration | מחונן/ת=is_gifted"
        " | בתכנית אמירים=is_amirim | תאריך עליה=-date",
    ),
    _file(
        "tests__school_means",
        "מבחני הערכה חיצוניים",
        "סמל המוסד=semel_mosad | בית ספר=-school_name_he | שכב'=grade"
        " | מקצוע נבחן=subject | ממוצע כללי=score_mean"
        " | מספר תלמידים שנבחנו=tested_pupils | פער מהממוצע הארצי=-number",
    ),
    _file(
        "tests__school_means",
        'תנופה תשפ"ה',
        'סמל ב"ס=semel_mosad | שנת הערכה=school_year | רמת כיתה=grade'
        " | תחום דעת נבחן=subject | ציון=score_mean | סטיית תקן של הציונים=score_sd"
        " | N נבחנים=tested_pupils",
    ),
    _file(
        "tests__pupil_scores",
        "גיליון ציונים",
        'ת"ז=pupil_hash | שם=-person | סמל ביה"ס=semel_mosad | כיתה=grade'
        " | נושא המבחן=subject | תאריך=test_date | נבחן=is_tested"
        " | ציון (מתוך 100)=score",
    ),
    _file(
        "attendance__pupil_years",
        'דו"ח נוכחות שנתי',
        'זהות=pupil_hash | סמל ביה"ס=semel_mosad | ימי הלימוד=school_days'
        " | סך ההיעדרויות=absence_days | היעדרויות מאושרות=absence_days_justified",
    ),
    _file(
        "attendance__exits",
        'מעקב נשירה קב"ס',
        "ת.ז. תלמיד=pupil_hash | סמל מוסד אחרון=semel_mosad | כיתה=grade"
        ' | מסגרת חדשה=destination | טופל ע"י=-person',
    ),
    _file(
        "climate__facets",
        "אקלים בית ספרי",
        'סמל בי"ס=semel_mosad | כיתה=grade | ממד=facet | אחוז המסכימים=agree_pct'
        ' | מספר המשיבים=respondents | סה"כ תלמידים=eligible_pupils',
    ),
    _file(
        "programmes__delivery",
        "תוכניות לצמצום פערים",
        "סמל מוסד=semel_mosad | שם בית ספר=-school_name_he | שם הפרויקט=response_id"
        " | כמות ילדים=participants | עוצמה=dose",
    ),
    _file(
        "programmes__participation",
        "נרשמים לתוכניות",
        "תעודת הזהות=pupil_hash | סמל=semel_mosad | פרויקט=response_id"
        " | מידת השתתפות=dose | נוכחות באחוזים=attended_pct",
    ),
    _file(
        "finance__budget_lines",
        "ריכוז תקציבים מינהל חינוך",
        "סמל מוסד=semel_mosad | שנת כספים=school_year | כינוי תכנית=response_id"
        " | מקור המימון=funding_channel | תקציב שאושר=plan_nis | נוצל בפועל=actual_nis"
        " | יתרה=-number",
    ),
    _file(
        "finance__budget_lines",
        "תקציב 2026",
        "מוסד=semel_mosad | תוכנית עירונית=response_id | מי מממן=funding_channel"
        " | הצעת תקציב=plan_nis | ביצוע עד כה=actual_nis",
    ),
    _file(
        "finance__school_money",
        "תקציבי בתי ספר",
        "סמל מוסד=semel_mosad | שם המוסד=-school_name_he | תקציב גפן (₪)=gefen_nis"
        " | תקציב ממשרד החינוך (₪)=ministry_nis | כספי הורים (₪)=parents_nis",
    ),
    _file(
        "finance__parents_payments",
        "כספי הורים",
        'סמל ביה"ס=semel_mosad | תוכנית=response_id | כמה תלמידים שילמו=payers'
        " | סכום ששולם=paid_nis",
    ),
    _file(
        "programmes__registry",
        "קטלוג מענים",
        "מזהה=response_id | שם התוכנית=response_name_he | הגורם המפעיל=provider"
        " | תחום המענה=domain | סיווג=intervention_class | מס' יעד=goal_id"
        " | קהל היעד=target_group | היקף פריסה=delivery_scale"
        " | שעות בשבוע לתלמיד=dose_hours_per_week",
    ),
    _file(
        "assets__inventory",
        "נכסי קהילה",
        "קוד=asset_id | הנכס=asset_name_he | סוג הנכס=asset_kind"
        " | סמל מוסד סמוך=semel_mosad | מספר מקומות ישיבה=capacity_pupils"
        " | שעות שימוש בשבוע=hours_per_week | שעות פנויות לשימוש=hours_free_per_week",
    ),
    _file(
        "tests__school_bands",
        "דירוג רצועות",
        "מוסד=semel_mosad | שנת לימודים=school_year | שכבת גיל=grade | מקצוע=subject"
        " | מספר רצועה=band",
    ),
    _file(
        "register__schools",
        'בתי"ס יסודיים – פתיחת שנה"ל',
        "סמל מוסד (6 ספרות)=semel_mosad | שם המוסד=school_name_he"
        " | השתייכות=supervision_stream | סוג בעלות=legal_status | תלמידים 1.10=pupils"
        " | כיתות 1.10=classes | טיפוח=nurture_index | שכונה=-text",
    ),
    _file(
        "register__pupils",
        "רשימת תלמידים שכבתית",
        "ת. זהות=pupil_hash | בית ספר=semel_mosad | שכבה=grade | כתה=class_id"
        " | מין התלמיד=sex | שנתון=birth_year | עשירון טיפוח אישי=nurture_decile"
        " | זכאי שילוב=is_sen_integration | אותר כמחונן=is_gifted"
        " | משתתף באמירים=is_amirim",
    ),
    _file(
        "tests__school_means",
        "הישגים לפי מוסד",
        "מס' סמל=semel_mosad | שכבת לימודים=grade | שפה/חשבון/אנגלית=subject"
        " | ציון ממוצע במבחן=score_mean | ניגשו למבחן=tested_pupils",
    ),
    _file(
        "tests__pupil_scores",
        "מבחני מעבר",
        "מספר ת.ז=pupil_hash | סמל=semel_mosad | שכבה=grade | המבחן=subject"
        " | סוג=test_source | ת. מבחן=test_date | האם נבחן=is_tested | ציון בחינה=score",
    ),
    _file(
        "attendance__pupil_years",
        "חיסורים שנתי",
        "ת\"ז=pupil_hash | סמל מוסד=semel_mosad | מס' ימי לימוד=school_days"
        " | מס' ימי היעדרות=absence_days | מהם באישור=absence_days_justified",
    ),
    _file(
        "attendance__entries",
        "קליטת תלמידים",
        'ת"ז=pupil_hash | מוסד=semel_mosad | שכבה=grade | הגיע מ=origin',
    ),
    _file(
        "climate__facets",
        "אקלים",
        "סמל מוסד=semel_mosad | דרגת כיתה=grade | תחום=facet"
        " | % תשובות חיוביות=agree_pct | מס' עונים=respondents"
        " | מס' זכאים=eligible_pupils",
    ),
    _file(
        "programmes__delivery",
        "מיפוי תוכניות",
        'סמל ביה"ס=semel_mosad | תוכנית=response_id | מספר תלמידים=participants'
        " | זכאים לתוכנית=eligible_pupils | אופן בחירת תלמידים=assignment_mechanism",
    ),
    _file(
        "finance__budget_lines",
        "תקציב חינוך",
        "סמל=semel_mosad | שם הסעיף/התוכנית=response_id | גורם מימון=funding_channel"
        " | תקציב מקורי=plan_nis | ביצוע 12/25=actual_nis",
    ),
    _file(
        "finance__school_money",
        "העברות לבתי ספר",
        'סמל מוסד=semel_mosad | גפ"ן=gefen_nis | משרד החינוך=ministry_nis'
        " | תשלומי ההורים=parents_nis",
    ),
    _file(
        "finance__parents_payments",
        "גביית תשלומים",
        "סמל מוסד=semel_mosad | שם תוכנית=response_id | מספר הורים משלמים=payers"
        ' | סה"כ גבייה=paid_nis',
    ),
    _file(
        "informal__participation",
        "חוגים ותנועות נוער",
        'ת"ז=pupil_hash | סמל מוסד=semel_mosad | סוג הפעילות=activity | עלות לחודש=monthly_fee_nis',
    ),
    _file(
        "register__merges",
        "מוסדות שאוחדו",
        "סמל מוסד ישן=semel_mosad_old | סמל מוסד מאחד=semel_mosad | שנה=school_year",
    ),
    _file(
        "context__authority_years",
        "נתוני רשויות",
        "הרשות=authority_name | קוד הרשות=authority_code | שנת נתון=school_year"
        " | תושבים=population | תלמידי יסודי=pupils_elementary | % נשירה=dropout_pct"
        ' | % זכאות לבגרות=bagrut_pct | אשכול למ"ס=ses_cluster_cbs',
    ),
)
FOREIGN = (
    _file(
        "", "מצבת עובדי הוראה", "מספר עובד=-number | שם=-person | אחוז משרה=-number | ותק=-number"
    ),
    _file("", "הסעות תלמידים", "קו=-number | תחנה=-text | שעת יציאה=-number | חברה=-text"),
    _file("", "תחזוקת מבנים", "מבנה=-text | תקלה=-text | קבלן=-person | עלות תיקון=-number"),
    _file("", "ארנונה לפי רחוב", "רחוב=-text | נכסים=-number | חיוב שנתי=-number | גבייה=-number"),
    _file("", "מועדי חגים", "תאריך=-date | חג=-text | הערות=-text"),
)


def write(folder: Path, files: tuple[Office, ...]) -> list[tuple[Path, Office]]:
    """Write the files as CSV; return each with what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, office in enumerate(files):
        rng = random.Random(number)
        rows = [list(office.columns)]
        makers = [_maker(name, rng) for name in office.columns.values()]
        rows += [[make(at) for make in makers] for at in range(ROWS)]
        text = io.StringIO()
        csv.writer(text).writerows([[office.title], [], *rows])
        path = folder / f"{number:02}.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        written.append((path, office))
    return written


def _id(rng: random.Random) -> str:
    body = [rng.randrange(10) for _ in range(8)]
    total = sum(sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(body))
    return "".join(map(str, body)) + str(-total % 10)


def _maker(name, rng):
    """Return what writes the values of one column, a row at a time."""
    name = name.strip("-_")
    pick = {
        "supervision_stream": ("ממלכתי", 'ממ"ד', "חרדי"),
        "legal_status": ("רשמי", 'מוכש"ר'),
        "sector": ("יהודי", "ערבי", "דרוזי"),
        "education_type": ("רגיל", "מיוחד"),
        "education_stage": ("יסודי",),
        "sex": ("ז", "נ"),
        "subject": ("מתמטיקה", "אנגלית", "שפה"),
        "test_source": ("פנימי", "חיצוני"),
        "destination": ("עבר לעיר אחרת", 'חו"ל', "לא ידוע"),
        "origin": ("עיר אחרת", 'חו"ל', "לא ידוע"),
        "facet": ("מוגנות", "יחסים", "הוראה"),
        "assignment_mechanism": ("הגרלה", "לפי צורך", "שיקול מורה"),
        "funding_channel": ("עירייה", 'גפ"ן', "משרד החינוך"),
        "year_type": ('שנה"ל', "לוח"),
        "domain": ("למידה", "רווחה", "מצוינות"),
        "intervention_class": ("תוכנית", "שירות"),
        "delivery_scale": ("בית ספר", "תלמיד"),
        "activity": ("חוג", "תנועת נוער"),
        "asset_kind": ("מתקן", "שותף"),
        "role": ("מורה", "מפקח", "גזבר"),
        "rating": ("אדום", "צהוב", "ירוק"),
        "response_id": _PROGRAMMES,
        "response_name_he": _PROGRAMMES,
        "goal_id": ("g02", "g03", "g06"),
        "provider": ("עמותת יחד", "המרכז הקהילתי"),
        "target_group": ("תלמידי ד-ו", "תת-משיגים"),
        "rationale": ("מקדם את התלמידים", "אין מספיק שעות"),
        "text": ("הועבר לטיפול", "רחוב הרצל 5", ""),
        "authority_name": ("אשדוד", "חדרה", "נתניה", "לוד"),
        "locality_name": ("אשדוד",),
        "choice_cluster": ("א", "ב", "ג"),
        "test_form": ("א", "ב"),
        "scale_id": ("עירוני",),
        "school_year": ("2026",),
    }
    flags = (
        "is_self_managed is_sen_integration is_gifted is_amirim is_tested is_adapted is_invited"
        " is_eligible_pupil is_formal has_home_internet"
    )
    spans = {
        "pupils": (180, 700),
        "pupils_elementary": (900, 9000),
        "classes": (6, 24),
        "birth_year": (2013, 2019),
        "nurture_decile": (1, 10),
        "nurture_quintile": (1, 5),
        "years_in_israel": (0, 9),
        "parent_education_years": (8, 20),
        "tested_pupils": (20, 90),
        "score": (40, 100),
        "school_days": (170, 190),
        "absence_days": (8, 40),
        "absence_days_justified": (0, 8),
        "respondents": (20, 60),
        "eligible_pupils": (60, 120),
        "participants": (8, 50),
        "payers": (10, 80),
        "attended_pct": (50, 100),
        "band": (1, 5),
        "population": (2000, 9000),
        "ses_cluster_cbs": (1, 10),
        "capacity_pupils": (20, 200),
        "dose_hours_per_week": (2, 8),
        "hours_per_week": (20, 40),
        "hours_free_per_week": (2, 15),
        "stat_area": (111, 432),
        "authority_code": (1000, 9000),
        "date": (1000, 9000),
        "number": (1000, 99999),
        "location_east_m": (150_000, 200_000),
        "location_north_m": (600_000, 700_000),
    }
    if name in pick:
        return lambda at: rng.choice(pick[name])
    if name in flags.split():
        return lambda at: rng.choice(("כן", "לא"))
    if name in spans:
        return lambda at: str(rng.randint(*spans[name]))
    if name.endswith("_nis"):
        return lambda at: f"{rng.randrange(2_000, 90_000):,}"
    if name.endswith("_on") or name == "test_date":
        return lambda at: f"{rng.randrange(1, 29):02}/{rng.randrange(1, 13):02}/2025"
    tenth = {
        "nurture_index": (2, 9),
        "score_mean": (55, 92),
        "score_sd": (8, 16),
        "agree_pct": (40, 95),
        "dose": (0.2, 1),
        "ses_value_cbs": (-2, 2),
        "dropout_pct": (0, 3),
        "bagrut_pct": (50, 90),
    }
    if name in tenth:
        return lambda at: f"{rng.uniform(*tenth[name]):.1f}"
    return {
        "semel_mosad": lambda at: str(410_000 + 137 * at),
        "semel_mosad_old": lambda at: str(440_000 + 211 * at),
        "school_name_he": lambda at: _WORDS[at % len(_WORDS)],
        "asset_name_he": lambda at: f"אולם {_WORDS[at % len(_WORDS)]}",
        "asset_id": lambda at: f"hall_{at}",
        "pupil_hash": lambda at: _id(rng),
        "participant_hash": lambda at: f"P{1000 + at}",
        "grade": lambda at: "אבגדהו"[at % 6] + "'",
        "class_id": lambda at: f"{'אבגדהו'[at % 6]}{1 + at % 3}",
        "phone": lambda at: f"08-67{rng.randrange(10_000, 99_999)}",
        "person": lambda at: f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
    }[name]
