"""What the city keeps lists of: its responses, its assets beyond budget, its criteria.

The 21 initiatives and their numbers are those of the source document; providers, hours and
capacities are invented. One response has one id, however often it is mentioned.
"""

from __future__ import annotations

import polars as pl

_REGISTRY = """
milat|מיל"ת|MILAT (extended day)|מילת~תכניות להארכת יום הלימודים|3|programme|משרד החינוך|learning|תלמידים מתקשים|g02|educational_programs|group|8|ministry_other|2015-09-01||1400
merchav|מרחב|Merchav|תכנית מרחב|1|programme|עמותה שותפה|welfare|תלמידים ומשפחות|g06|educational_programs|group|4|mifal_hapais|2021-09-01|2026-08-31|160
rvadim|רבדים|Rvadim|תכנית רבדים|2|programme|עמותה שותפה|learning|תלמידים מתקשים|g02|educational_programs|group|4|municipal_own|2022-09-01|2026-08-31|240
icei|המרכז הישראלי לחדשנות בחינוך|Israel Center for Educational Innovation|המרכז לחדשנות|4|programme|עמותה שותפה|learning|צוותי הוראה|g02|staff_training|school|2|municipal_own|2023-09-01||900
makom_balev|מקום בלב|Makom BaLev||5|programme|הרשות|enrichment|כלל התלמידים|g02|educational_programs|group|3|municipal_own|2019-09-01||200
gifted_center|מרכז למחוננים|Gifted centre|המרכז העירוני למחוננים|6|facility|הרשות|excellence|מחוננים|g07|educational_programs|pupil|5|ministry_other|2012-09-01||220
amirim|אמירים|Amirim|רכז למחוננים~רכז למחוננים – תוכנית אמירים~תוכנית אמירים|7|programme|בתי הספר|excellence|מצטיינים|g07|educational_programs|group|2|municipal_own|2016-09-01||480
online_safety|בטיחות ברשת|Online safety||8|service|הרשות|climate|כלל התלמידים|g03|educational_programs|school|1|municipal_own|2018-09-01||
tikshuv|תכנית תקשוב|Digital equipment|תקשוב|9|service|הרשות|digital|כלל התלמידים|g10|infrastructure_access|school|0|municipal_own|2014-09-01||
distance_learning|למידה מרחוק בשעת חירום|Emergency distance learning|פורטל למידה מרחוק|10|service|הרשות|digital|כלל התלמידים|g10|infrastructure_access|city|0|municipal_own|2020-03-15||
self_management|ניהול עצמי|Self-management|בתי ספר בניהול עצמי|11|governance|הרשות|governance|מנהלים|g12|staff_training|school|0|municipal_own|2013-09-01||
uniqueness_choice|ייחודיות ובחירת הורים מבוקרת|Uniqueness and controlled choice|בחירה מבוקרת|12|governance|הרשות|governance|הורים|g08|infrastructure_access|city|0|municipal_own|2017-09-01||
library_lending|השאלת ספרי לימוד|Textbook lending|השאלת ספרים|13|service|הרשות|parents|כלל התלמידים|g05|infrastructure_access|school|0|municipal_own|2010-09-01||
science_authors|מדע טק – מפגש סופרים|Science and authors|מדע טק|14|facility|הרשות|enrichment|כלל התלמידים|g09|educational_programs|city|1|municipal_own|2019-09-01||1200
national_360|התוכנית הלאומית 360|National programme 360|360~שמיד~תוכנית 360|15|programme|חמישה משרדי ממשלה|welfare|תלמידים בסיכון|g06|educational_programs|school|2|ministry_other|2011-09-01||600
shefach|שפ"ח|Educational psychology service|שירות פסיכולוגי חינוכי|16|service|הרשות|welfare|כלל התלמידים|g06|parent_guidance|school|0|ministry_other|2005-09-01||
volunteering|התנדבות|Volunteers|ארגוני מתנדבים|17|volunteering|ארגוני מתנדבים|enrichment|כלל התלמידים|g05|educational_programs|school|1|partner_ngo|2016-09-01||300
perach|פר"ח|PERACH mentoring|פרח|18|programme|סטודנטים חונכים|learning|תלמידים מתקשים|g06|educational_programs|pupil|4|partner_ngo|2008-09-01||250
posh|פו"ש|POSH tutoring|פועלים לשוויון בחינוך|19|programme|ארגוני מתנדבים|learning|תלמידים מתקשים|g02|educational_programs|pupil|2|partner_ngo|2018-09-01||180
hosen|חוסן חינוך|Resilience curriculum|חוסן|20|service|הרשות|resilience|כלל התלמידים|g03|educational_programs|school|1|ministry_other|2021-09-01||
right_to_lead|זכותי להוביל|My right to lead|פרלמנט ילדים|21|programme|הרשות|leadership|מנהיגות תלמידים|g05|educational_programs|group|1|municipal_own|2022-09-01||120
hebrew_immigrants|עברית לעולים|Hebrew for immigrants|הוראת עברית לעולים||programme|הרשות|learning|עולים|g06|educational_programs|group|4|ministry_other|2012-09-01||350
informal_clubs|סבסוד חוגים|Club subsidy|חוגים מסובסדים||programme|הרשות|enrichment|תלמידים מעוטי יכולת|g03|educational_programs|pupil|2|municipal_own|2017-09-01||900
"""  # noqa: E501 - a response a line, as in the file
REGISTRY_HEADERS = {
    "response_id": "מענה (מזהה)",
    "response_name_he": "שם המענה",
    "response_name_en": "מענה (באנגלית)",
    "response_aliases": "שמות נוספים",
    "initiative_number": "מספר המיזם",
    "intervention_class": "סוג המיזם",
    "provider": "גוף מפעיל",
    "domain": "תחום המענה",
    "target_group": "קבוצת יעד",
    "goal_id": "יעד מחלקתי (מזהה)",
    "action_channel": "ערוץ פעולה",
    "delivery_scale": "יחידת המענה",
    "dose_hours_per_week": "שעות למשתתף בשבוע",
    "funding_channel": "ערוץ מימון",
    "started_on": "תאריך התחלה",
    "ended_on": "תאריך סיום",
    "capacity_pupils": "מספר מקומות",
}
_ASSETS = """
city_pool|הבריכה העירונית|facility||120|60|14
marine_centre|המרכז הימי|facility||60|40|10
tennis_centre|מרכז הטניס|facility||40|50|22
farm|החווה החקלאית|facility||60|30|12
conservatory|הקונסרבטוריון|facility||80|45|5
science_lab_s01|מעבדת מדעים בית ספרית|facility|900001|30|40|16
library_hall|אולם הספרייה העירונית|facility||50|55|25
volunteer_retirees|גמלאים מתנדבים|volunteers||90|30|30
student_mentors|סטודנטים חונכים|volunteers||150|60|20
math_mentors|מדריכי מתמטיקה עירוניים|expertise||40|24|6
college_partner|מכללה שותפה|partner||100|20|8
"""
_CRITERIA = """
gifted|1|איתור מחוננים|excellence|authority||test|is_gifted|gifted_trait_pct|98.5|at_least|g07|מחלקת מחוננים|2018-09-01
amirim|1|איתור לאמירים|excellence|authority||teacher_nomination|is_amirim|pupil_level_sd|1.2|at_least|g07|מחלקת מחוננים|2018-09-01
amirim|2|איתור לאמירים|excellence|authority||grades|is_amirim|pupil_level_sd|1.0|at_least|g07|מחלקת מחוננים|2024-09-01
learning_gap|1|תלמידים עם פער לימודי|learning_gap|authority||grades||pupil_level_sd|-1.0|at_most|g02|מדריכות הוראה|2020-09-01
music|1|איתור כישרון מוזיקלי|music|school|900002|interview||||||קונסרבטוריון|2021-09-01
art|1|איתור כישרון באומנות|art|school|900003|portfolio|||||g08||2021-09-01
sport|1|נבחרות בתי הספר|sport|authority||teacher_nomination||||||מחלקת הספורט|2019-09-01
leadership|1|מנהיגות תלמידים|leadership|authority||parent_nomination|||||g05|רכזת פרלמנט הילדים|2022-09-01
"""  # noqa: E501 - a criterion a line, as in the file
# How schools themselves look for outstanding pupils; they differ, which R31 shows.
_OWN_METHODS = ("teacher_nomination", "grades", "test", "teacher_nomination", "interview")


def _rows(text: str, names: list[str]) -> pl.DataFrame:
    lines = [[value or None for value in line.split("|")] for line in text.strip().splitlines()]
    return pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String), orient="row")


def registry_file() -> pl.DataFrame:
    """Return the registry of responses with Hebrew headers (contract of `programmes__registry`)."""
    frame = _rows(_REGISTRY, list(REGISTRY_HEADERS)).with_columns(
        pl.col("response_aliases").str.replace_all("~", "|", literal=True)
    )
    return frame.rename(REGISTRY_HEADERS)


def assets_file(last_year_codes: list[str]) -> pl.DataFrame:
    """Return assets beyond budget (contract of `assets__inventory`), of present schools only."""
    names = [
        "asset_id",
        "asset_name_he",
        "asset_kind",
        "semel_mosad",
        "capacity_pupils",
        "hours_per_week",
        "hours_free_per_week",
    ]
    frame = _rows(_ASSETS, names)
    known = pl.col("semel_mosad").is_null() | pl.col("semel_mosad").is_in(last_year_codes)
    return frame.filter(known)


def criteria_file(codes: list[str]) -> pl.DataFrame:
    """Return the criteria (contract of `aim__criteria`): the city's, and each school's own."""
    names = [
        "criterion_id",
        "criterion_version",
        "criterion_name_he",
        "criteria_field",
        "criterion_scope",
        "semel_mosad",
        "identification_method",
        "identified_column",
        "measure_id",
        "threshold",
        "threshold_side",
        "goal_id",
        "criterion_owner",
        "valid_from",
    ]
    city = _rows(_CRITERIA, names).filter(
        pl.col("semel_mosad").is_null() | pl.col("semel_mosad").is_in(codes)
    )
    own = pl.DataFrame(
        [
            {
                "criterion_id": f"outstanding_{code}",
                "criterion_version": "1",
                "criterion_name_he": "איתור מצטיינים בבית הספר",
                "criteria_field": "excellence",
                "criterion_scope": "school",
                "semel_mosad": code,
                "identification_method": _OWN_METHODS[place % len(_OWN_METHODS)],
                "goal_id": "g07",
                "criterion_owner": "מנהלות בתי הספר",
                "valid_from": "2022-09-01",
            }
            for place, code in enumerate(codes)
        ],
        schema=dict.fromkeys(names, pl.String),
    )
    return pl.concat([city, own])
