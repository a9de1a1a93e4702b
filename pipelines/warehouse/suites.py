"""What must hold of each table, as Great Expectations configurations grouped into named checks.

The general checks (schema, key, values, references) follow from the field dictionary. What only
one table must satisfy stands in `SPECIAL`. Each check says what it means, whose it is and what to
do when it fails, in English and Hebrew.

This module knows the names and arguments of expectations but does not import the library, whose
import takes seconds: definitions load without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.settings.fields import NO_FAULT, Table, dictionary

Severity = Literal["ERROR", "WARN"]
Dimension = Literal[
    "freshness",
    "completeness",
    "validity",
    "uniqueness",
    "consistency",
    "coverage",
    "drift",
    "privacy",
]
ANALYST, REGISTRAR, TREASURER = "אנליסט/ית הנתונים", "מרשם מוסדות ותלמידים", "גזברות החינוך"
TESTS, WELFARE, PRIVACY = "רכז/ת מדידה והערכה", 'קב"ס וביקור סדיר', "ממונה הגנת הפרטיות"
RESPONSES, COMMITTEE = "רכז/ת מענים", "מזכירות ועדת התקציב"


@dataclass(frozen=True)
class Expectation:
    """One expectation: its Great Expectations type and arguments.

    `on` says which frame it looks at: the table itself, or its schema (one row per column).
    """

    type: str
    arguments: dict[str, Any]
    on: Literal["table", "schema"] = "table"


@dataclass(frozen=True)
class Says:
    """What a check means, and what to do when it fails, in English and Hebrew."""

    en: str
    he: str
    resolve_en: str
    resolve_he: str


@dataclass(frozen=True)
class Check:
    """A named check of one table; it passes when all its expectations do.

    Attributes:
        id: short name, unique within the table.
        severity: ERROR is a fault, WARN something to look at.
        dimension: the side of data quality it belongs to.
        owner: who resolves it (Hebrew role).
        says: what it means.
        expectations: what must hold.
        columns: columns of the table it reads.
        blocks: whether a failure stops what follows. An ERROR does, unless its rows are already
            harmless (masked, or carried as "not measured").
    """

    id: str
    severity: Severity
    dimension: Dimension
    owner: str
    says: Says
    expectations: tuple[Expectation, ...]
    columns: tuple[str, ...] = field(default=())
    blocks: bool = False

    @property
    def sentence(self) -> str:
        """What it means and what to do, in English."""
        return f"{self.says.en} {self.says.resolve_en}"


_SCHEMA = Check(
    "schema",
    "ERROR",
    "consistency",
    ANALYST,
    Says(
        "The table has exactly the dictionary's columns, order and types.",
        "בטבלה יש בדיוק העמודות, הסדר והטיפוסים שבמילון השדות.",
        "Change sql/fields.yaml and the table together.",
        "יש לשנות את המילון ואת הטבלה יחד.",
    ),
    (
        Expectation(
            "expect_column_pair_values_to_be_equal",
            {"column_A": "actual", "column_B": "expected"},
            on="schema",
        ),
    ),
    blocks=True,
)


def _not_null(column: str) -> Expectation:
    return Expectation("expect_column_values_to_not_be_null", {"column": column})


def _between(column: str, low: float | None, high: float | None) -> Expectation:
    return Expectation(
        "expect_column_values_to_be_between",
        {"column": column, "min_value": low, "max_value": high},
    )


def _among(column: str, values: list[Any]) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": values})


def _not_among(column: str, values: list[Any]) -> Expectation:
    arguments = {"column": column, "value_set": values}
    return Expectation("expect_column_values_to_not_be_in_set", arguments)


def _at_least(column: str, other: str, *, where_known: bool = False) -> Expectation:
    ignored = {"ignore_row_if": "either_value_is_missing"} if where_known else {}
    return Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": column, "column_B": other, "or_equal": True, **ignored},
    )


def _key(table: Table) -> Check:
    unique = (
        Expectation("expect_column_values_to_be_unique", {"column": table.key[0]})
        if len(table.key) == 1
        else Expectation("expect_compound_columns_to_be_unique", {"column_list": list(table.key)})
    )
    names = ", ".join(table.key)
    return Check(
        "key",
        "ERROR",
        "uniqueness",
        ANALYST,
        Says(
            f"Each row is {table.row}: the key ({names}) is complete and unique.",
            f"לכל שורה מפתח מלא ויחיד ({names}).",
            "A repeated key means that a join fans out or a file came twice: look at the keys"
            " shown.",
            "מפתח שחוזר מעיד על קובץ שנקלט פעמיים או על חיבור שגוי: יש לבדוק את המפתחות המוצגים.",
        ),
        (unique, *(_not_null(column) for column in table.key)),
        table.key,
        blocks=True,
    )


def _values(table: Table) -> Check | None:
    expectations, columns = [], []
    for name in table.columns:
        item = dictionary().fields[name]
        found = []
        if name not in table.nullable and name not in table.key:
            found.append(_not_null(name))
        if item.allowed:
            found.append(_among(name, list(item.allowed)))
        if item.pattern:
            found.append(
                Expectation(
                    "expect_column_values_to_match_regex", {"column": name, "regex": item.pattern}
                )
            )
        if item.min is not None or item.max is not None:
            found.append(_between(name, item.min, item.max))
        if found:
            columns.append(name)
            expectations += found
    if not expectations:
        return None
    return Check(
        "values",
        "ERROR",
        "validity",
        ANALYST,
        Says(
            "Required values are there, and every value is one the dictionary allows (list,"
            " pattern, range).",
            "כל ערכי החובה קיימים, וכל ערך הוא מן המותרים במילון (רשימה, תבנית, טווח).",
            "Correct the file or its mapping in city.yaml.",
            "יש לתקן את הקובץ או את המיפוי שלו ב-city.yaml.",
        ),
        tuple(expectations),
        tuple(columns),
        blocks=True,
    )


def _references(table: Table) -> Check | None:
    if not table.references:
        return None
    parents = ", ".join(f"{column} in {parent}" for column, parent in table.references)
    return Check(
        "references",
        "ERROR",
        "consistency",
        REGISTRAR,
        Says(
            f"Every code exists where it is defined: {parents}.",
            "כל קוד קיים במרשם שבו הוא מוגדר.",
            "An unknown code usually means a missing row in the register or the registry.",
            "קוד לא מוכר מעיד בדרך כלל על שורה חסרה במרשם.",
        ),
        tuple(
            Expectation(
                "expect_column_values_to_be_in_set",
                {"column": column, "value_set": f"keys of {parent}"},
            )
            for column, parent in table.references
        ),
        tuple(column for column, _ in table.references),
        blocks=True,
    )


SPECIAL: dict[str, tuple[Check, ...]] = {
    "core_reconciliation": (
        Check(
            "counts_agree",
            "ERROR",
            "consistency",
            REGISTRAR,
            Says(
                "Every count that city.yaml declares (schools and pupils by stream and scope,"
                " schools per response) equals the data, and rows in = rows staged + rows"
                " quarantined.",
                "כל מניין שהוצהר ב-city.yaml (בתי ספר ותלמידים לפי זרם והיקף, בתי ספר לכל מענה)"
                " שווה לנתונים, ומספר השורות שנקראו שווה לשורות שנקלטו ושבהסגר.",
                "Correct the file, or the declared count if it is the one that is wrong.",
                "יש לתקן את הקובץ, או את המניין המוצהר אם הוא השגוי.",
            ),
            (
                Expectation(
                    "expect_column_pair_values_to_be_equal",
                    {"column_A": "expected_value", "column_B": "observed_value"},
                ),
            ),
            ("expected_value", "observed_value"),
            blocks=True,
        ),
    ),
    "core_direction": (
        Check(
            "direction",
            "ERROR",
            "consistency",
            REGISTRAR,
            Says(
                "Needier schools and pupils do not clearly score higher, and schools do not lie in"
                " stronger areas: a correlation the wrong way beyond .4 over schools or .1 over"
                " pupils, and beyond what chance does to so few, means a reversed column (nurture:"
                " 1 = strong, 10 = weak; CBS cluster: 1 = weak, 10 = strong; band: 1 = low, 5 ="
                " high).",
                "בתי ספר ותלמידים חלשים אינם בעלי הישגים גבוהים בבירור, ובתי הספר אינם באזורים"
                " חזקים: מתאם הפוך מעל 0.4 בין בתי ספר או מעל 0.1 בין תלמידים, ומעבר למה שהמקרה"
                " יוצר במספר קטן כזה, מעיד על עמודה הפוכה"
                ' (טיפוח: 1 חזק, 10 חלש; אשכול למ"ס: 1 חלש, 10 חזק; רצועה: 1 נמוכה, 5 גבוהה).',
                "Check the column of that year (of nurture, of the bands); map it the right way"
                " round.",
                "יש לבדוק את העמודה של אותה שנה (טיפוח או רצועה) ולתקן את הכיוון.",
            ),
            (_at_least("signed_correlation", "least_correlation", where_known=True),),
            ("signed_correlation", "least_correlation"),
            blocks=True,
        ),
    ),
    "core_quarantine": (
        Check(
            "nothing_set_aside",
            "WARN",
            "validity",
            ANALYST,
            Says(
                "No row is in quarantine for a value that cannot be read or is not possible.",
                "אין בהסגר שורות שערך בהן אינו קריא או אינו אפשרי.",
                "Each row here names its file, row, column and reason: correct the file and run"
                " again.",
                "לכל שורה מצוינים קובץ, שורה, עמודה וסיבה: יש לתקן את הקובץ ולהריץ שוב.",
            ),
            (_among("reason_code", [*NO_FAULT, "missing", "duplicate_key"]),),
            ("reason_code",),
        ),
        Check(
            "nothing_missing",
            "ERROR",
            "completeness",
            ANALYST,
            Says(
                "No row is in quarantine because a value is missing that it cannot be without (a"
                " budget's channel, a rating's role or goal, a card's reason).",
                "אין בהסגר שורות שחסר בהן ערך חובה (ערוץ מימון בתקציב, תפקיד או יעד בדירוג, נימוק"
                " בכרטיס).",
                "Each row here names its file, row and column: ask who sent the file for the"
                " value.",
                "לכל שורה מצוינים קובץ, שורה ועמודה: יש לבקש את הערך משולח הקובץ.",
            ),
            (_not_among("reason_code", ["missing"]),),
            ("reason_code",),
        ),
        Check(
            "nothing_twice",
            "ERROR",
            "uniqueness",
            ANALYST,
            Says(
                "No row is in quarantine because another has the same key (a school, a pupil or a"
                " test that comes twice).",
                "אין בהסגר שורות שמפתחן מופיע גם בשורה אחרת (בית ספר, תלמיד או מבחן שנרשמו"
                " פעמיים).",
                "Look at the rows shown, keep the right one and run again.",
                "יש לבדוק את השורות המוצגות, להשאיר את הנכונה ולהריץ שוב.",
            ),
            (_not_among("reason_code", ["duplicate_key"]),),
            ("reason_code",),
        ),
    ),
    "core_source_file": (
        Check(
            "rows_add_up",
            "ERROR",
            "completeness",
            ANALYST,
            Says(
                "Of every file, rows in = rows staged + rows in quarantine; the staged ones are"
                " counted in staging.",
                "בכל קובץ מספר השורות שנקראו שווה למספר השורות שנקלטו ושבהסגר; השורות שנקלטו נספרות"
                " בטבלת הקליטה עצמה.",
                "Rows of the file named were lost or counted twice between reading and staging:"
                " load all years again, and report it if that does not help.",
                "שורות מהקובץ הנקוב אבדו או נספרו פעמיים בדרך לקליטה: יש לקלוט שוב את כל השנים,"
                " ולדווח אם אין בכך די.",
            ),
            (_between("rows_lost", 0, 0),),
            ("rows_lost",),
            blocks=True,
        ),
        Check(
            "quarantined_share",
            "ERROR",
            "validity",
            ANALYST,
            Says(
                "At most 5 % of a file's rows are in quarantine, of what people write at most"
                " half.",
                "לכל היותר 5% משורות הקובץ בהסגר, ובקבצים שאנשים ממלאים לכל היותר מחצית.",
                "More means that the mapping or the file is wrong as a whole: look at the reasons.",
                "שיעור גבוה יותר מעיד שהמיפוי או הקובץ כולו שגויים: יש לבדוק את הסיבות.",
            ),
            (_at_least("quarantine_limit_pct", "quarantined_pct", where_known=True),),
            ("quarantine_limit_pct", "quarantined_pct"),
            blocks=True,
        ),
        Check(
            "schema_drift",
            "WARN",
            "drift",
            ANALYST,
            Says(
                "A file has the same columns as the other files of its source.",
                "לקובץ אותן עמודות כמו לשאר הקבצים של המקור.",
                "Look whether a column was renamed, added or removed, and map it.",
                "יש לבדוק אם עמודה שונתה, נוספה או הוסרה, ולמפות אותה.",
            ),
            (_among("is_odd_file", [False]),),
            ("is_odd_file",),
        ),
    ),
    "core_source_year": (
        Check(
            "volume",
            "ERROR",
            "completeness",
            ANALYST,
            Says(
                "A school year has between 75 % and 133 % of the rows the source usually has.",
                "לשנת לימודים יש בין 75% ל-133% ממספר השורות הרגיל של המקור.",
                "A file that was cut off or came twice: ask for the whole file again.",
                "קובץ קטוע או כפול: יש לבקש את הקובץ המלא.",
            ),
            (_between("rows_ratio", 0.75, 1.33),),
            ("rows_ratio",),
            blocks=True,
        ),
        Check(
            "freshness",
            "WARN",
            "freshness",
            ANALYST,
            Says(
                "The newest school year of a source is the city's reference year.",
                "השנה האחרונה במקור היא שנת הייחוס של העיר.",
                "Ask the source's owner for the year that is missing; until then results rest on"
                " the year before.",
                "יש לבקש מבעל המקור את השנה החסרה; עד אז התוצאות נשענות על השנה שלפניה.",
            ),
            (_between("years_late", 0, 0),),
            ("years_late",),
        ),
    ),
    "core_coverage": (
        Check(
            "undeclared_silence",
            "ERROR",
            "coverage",
            TESTS,
            Says(
                "Every school of the plan has rows in every pupil-level source, or city.yaml says"
                " why not (not_reporting). A silent school is not measured; it is never read as"
                " zero.",
                "לכל בית ספר בתוכנית יש נתונים בכל מקור ברמת תלמיד, או שסיבת ההיעדר מוצהרת"
                ' ב-city.yaml. בית ספר שלא דיווח הוא "לא נמדד", ולעולם לא אפס.',
                "Ask the school for its data, or state the reason under not_reporting.",
                "יש לבקש מבית הספר את נתוניו, או לציין את הסיבה תחת not_reporting.",
            ),
            (
                Expectation(
                    "expect_column_pair_values_to_be_equal",
                    {"column_A": "is_silent", "column_B": "is_declared_silent"},
                ),
            ),
            ("is_silent", "is_declared_silent"),
        ),
    ),
    "core_repair": (
        Check(
            "codes",
            "WARN",
            "validity",
            REGISTRAR,
            Says(
                "Institution codes arrive as text with all their digits.",
                "סמלי מוסד מגיעים כטקסט, על כל ספרותיהם.",
                "They were completed; save the column as text in the source file.",
                "הקודים הושלמו; יש לשמור את העמודה כטקסט בקובץ המקור.",
            ),
            (_not_among("repair_code", ["code_repaired"]),),
            ("repair_code",),
        ),
        Check(
            "dates",
            "WARN",
            "validity",
            ANALYST,
            Says(
                "No column of dates mixes day–month with month–day.",
                "אין עמודת תאריכים שמעורבים בה יום־חודש וחודש־יום.",
                "Days that can be read either way were read in the mapping's order: write the"
                " column's dates in one way (best year-month-day) and run again.",
                "תאריכים שאפשר לקרוא בשתי דרכים נקראו לפי הסדר שבמיפוי: יש לכתוב את כל התאריכים"
                " בעמודה באופן אחיד (רצוי שנה-חודש-יום) ולהריץ שוב.",
            ),
            (_not_among("repair_code", ["day_month_unsure"]),),
            ("repair_code",),
        ),
        Check(
            "personal",
            "ERROR",
            "privacy",
            PRIVACY,
            Says(
                "No file brings names, phones, e-mails or id numbers in its texts.",
                'אין בקבצים שמות, טלפונים, דוא"ל או מספרי זהות בתוך טקסט.',
                "They were masked before storing. Ask the sender to remove them and to send the"
                " file again.",
                "הפרטים הוסתרו לפני השמירה. יש לבקש מן השולח להסירם ולשלוח את הקובץ שוב.",
            ),
            (_not_among("repair_code", ["personal_masked"]),),
            ("repair_code",),
        ),
    ),
    "core_school_code": (
        Check(
            "city_has_schools",
            "ERROR",
            "completeness",
            REGISTRAR,
            Says(
                "The register holds schools of this city of the plan's stage, type and legal status"
                " (`scope` in city.yaml), with pupils.",
                "במרשם יש בתי ספר של העיר בשלב, בסוג ובמעמד של התוכנית (scope ב-city.yaml), ובהם"
                " תלמידים.",
                "If not, there is nothing to plan for: the city has no such school, or `authority`"
                " in city.yaml is spelt otherwise than in the register.",
                "אם לא, אין למי לתכנן: אין בעיר בית ספר כזה, או ששם הרשות ב-city.yaml כתוב אחרת"
                " מאשר במרשם.",
            ),
            (Expectation("expect_table_row_count_to_be_between", {"min_value": 1}),),
            ("semel_mosad_old",),
            blocks=True,
        ),
    ),
    "core_school_change": (
        Check(
            "register_change",
            "WARN",
            "consistency",
            REGISTRAR,
            Says(
                "No school changed its stream or legal status, opened or closed within a school"
                " year.",
                "אין בית ספר ששינה זרם או מעמד, נפתח או נסגר במהלך שנת הלימודים.",
                "Confirm the change; the school's years before and after are read with their own"
                " stream.",
                "יש לאשר את השינוי; כל שנה נקראת לפי הזרם שהיה בה.",
            ),
            (_among("change_kind", ["opened", "closed", "merged"]),),
            ("change_kind",),
        ),
    ),
    "core_participation": (
        Check(
            "eligibility",
            "ERROR",
            "consistency",
            RESPONSES,
            Says(
                "No school has a response whose rule does not admit it (for example MILAT below a"
                " nurture index of 5).",
                'אין בית ספר שמקבל מענה שהכלל שלו אינו מתיר (למשל מיל"ת במדד טיפוח נמוך מ-5).',
                "Correct the delivery file or the school's nurture index, or record the exception"
                " in the policy.",
                "יש לתקן את קובץ המענים או את מדד הטיפוח, או לרשום את החריג במדיניות.",
            ),
            (_among("is_eligible_school", [True]),),
            ("is_eligible_school",),
            blocks=True,
        ),
        Check(
            "within_school",
            "ERROR",
            "validity",
            RESPONSES,
            Says(
                "No response has more participants than the school has pupils.",
                "אין מענה שמספר משתתפיו גדול ממספר תלמידי בית הספר.",
                "Correct the number of participants.",
                "יש לתקן את מספר המשתתפים.",
            ),
            (_at_least("school_pupils", "participants"),),
            ("school_pupils", "participants"),
            blocks=True,
        ),
        Check(
            "assignment",
            "WARN",
            "completeness",
            RESPONSES,
            Says(
                "How participants were chosen is written down wherever a response runs; without it"
                " no fair comparison is possible later (R63).",
                "בכל מקום שבו פועל מענה רשום כיצד נבחרו המשתתפים; בלי זה לא תיתכן אחר כך השוואה"
                " הוגנת.",
                "Ask the school how its participants were chosen, and fill assignment_mechanism in"
                " both files.",
                "יש לברר עם בית הספר כיצד נבחרו המשתתפים ולמלא את אופן השיבוץ בשני הקבצים.",
            ),
            (_not_among("assignment_mechanism", ["unknown"]),),
            ("assignment_mechanism",),
        ),
        Check(
            "list_agrees",
            "WARN",
            "consistency",
            RESPONSES,
            Says(
                "The number of participants a school reports is the number of pupils on its list,"
                " where it has one.",
                "מספר המשתתפים שבית הספר מדווח שווה למספר התלמידים ברשימתו, אם יש רשימה.",
                "Correct the number or the list; the response map counts the list.",
                "יש לתקן את המספר או את הרשימה; מפת המענים סופרת לפי הרשימה.",
            ),
            (
                Expectation(
                    "expect_column_pair_values_to_be_equal",
                    {
                        "column_A": "participants",
                        "column_B": "listed_participants",
                        "ignore_row_if": "either_value_is_missing",
                    },
                ),
            ),
            ("participants", "listed_participants"),
        ),
    ),
    "core_budget_line": (
        Check(
            "year_type",
            "WARN",
            "consistency",
            TREASURER,
            Says(
                "Budget lines are by school year; a calendar-year amount is not added to them"
                " unconverted (R7).",
                "שורות התקציב הן לפי שנת לימודים; אין לחבר אליהן סכום של שנה קלנדרית ללא המרה.",
                "Convert the amount, or ask for it by school year.",
                "יש להמיר את הסכום או לבקש אותו לפי שנת לימודים.",
            ),
            (_among("year_type", ["school_year"]),),
            ("year_type",),
        ),
        Check(
            "double_counted",
            "ERROR",
            "consistency",
            TREASURER,
            Says(
                "The same amount does not stand in a Gefen and in a separate channel of one"
                " response.",
                'אותו סכום אינו מופיע גם בגפ"ן וגם בתקציב נפרד של אותו מענה.',
                "Keep the line that paid; the other counts the money twice.",
                "יש להשאיר את השורה שממנה שולם; האחרת סופרת את הכסף פעמיים.",
            ),
            (_among("is_double_counted", [False]),),
            ("is_double_counted",),
            blocks=True,
        ),
        Check(
            "overspent",
            "WARN",
            "consistency",
            TREASURER,
            Says(
                "No line spent more than three times its plan.",
                "אין שורה שהביצוע בה עולה על פי שלושה מהתכנון.",
                "Look for a slipped digit or a plan that was never updated.",
                "יש לחפש ספרה שגויה או תכנון שלא עודכן.",
            ),
            (_between("spent_ratio", None, 3),),
            ("spent_ratio",),
        ),
    ),
    "core_climate": (
        Check(
            "respondents_within_eligible",
            "ERROR",
            "validity",
            TESTS,
            Says(
                "No facet has more respondents than eligible pupils.",
                "אין היבט שמספר המשיבים בו גדול ממספר הזכאים.",
                "Correct the survey file.",
                "יש לתקן את קובץ הסקר.",
            ),
            (_at_least("eligible_pupils", "respondents"),),
            ("eligible_pupils", "respondents"),
            blocks=True,
        ),
        Check(
            "response_rate",
            "WARN",
            "coverage",
            TESTS,
            Says(
                "At least 60 % of the pupils answered the climate survey.",
                "לפחות 60% מהתלמידים השיבו על סקר האקלים.",
                "Read the result with care: those who did not answer may differ.",
                "יש לקרוא את התוצאה בזהירות: מי שלא השיבו עשויים להיות שונים.",
            ),
            (_between("response_rate_pct", 60, None),),
            ("response_rate_pct",),
        ),
        Check(
            "small_n",
            "WARN",
            "coverage",
            TESTS,
            Says(
                "At least 10 pupils stand behind each climate result.",
                "לפחות 10 משיבים מאחורי כל תוצאת אקלים.",
                "The result is hidden outside the analysts' copy.",
                "התוצאה מוסתרת מחוץ לעותק האנליסטים.",
            ),
            (_between("respondents", 10, None),),
            ("respondents",),
        ),
    ),
    "core_school_subject_year": (
        Check(
            "tested_share",
            "WARN",
            "coverage",
            TESTS,
            Says(
                "The share of a cell's pupils who were tested is not surely below 85 % (upper end"
                " of its 99 % interval); otherwise the mean may rest on an exclusion of weak pupils"
                " (R26).",
                "שיעור הנבחנים בתא אינו נמוך בוודאות מ-85% (גבול עליון של רווח 99%); אחרת ייתכן"
                " שהממוצע נשען על אי־בחינת תלמידים חלשים.",
                "Ask the school who was not tested and why; the cell is marked.",
                "יש לברר עם בית הספר מי לא נבחן ומדוע; התא מסומן.",
            ),
            (_between("tested_share_hi_pct", 85, None),),
            ("tested_share_hi_pct",),
        ),
    ),
    "core_test_selection": (
        Check(
            "weak_tested",
            "WARN",
            "coverage",
            TESTS,
            Says(
                "No school left more of its weak pupils untested than the city's other schools did,"
                " beyond what chance does once in a hundred tests (R26).",
                "אין בית ספר שהותיר מחוץ למבחן יותר מתלמידיו החלשים מכפי שעשו בתי הספר האחרים, מעבר"
                " למה שקורה במקרה במבחן אחד ממאה.",
                "Ask the school who was not tested and why: its mean may speak of other pupils than"
                " its own.",
                "יש לברר עם בית הספר מי לא נבחן ומדוע: ייתכן שהממוצע מדבר על חלק מתלמידיו.",
            ),
            (_between("selection_p", 0.01, None),),
            ("selection_p",),
        ),
    ),
    "mart_trend": (
        Check(
            "unlinked_scales",
            "WARN",
            "consistency",
            TESTS,
            Says(
                "Every change from one year to the next is measured on one scale or on linked"
                " scales; across unlinked scales the change stays empty (R9).",
                "כל שינוי משנה לשנה נמדד באותו סולם או בסולמות מקושרים; בין סולמות שאינם מקושרים"
                " השינוי נשאר ריק.",
                "If the test's owner published a link between the scales, map it (link_id);"
                " otherwise the years before and after are not one trend.",
                "אם בעל המבחן פרסם קישור בין הסולמות יש למפות אותו (link_id); אחרת השנים שלפני"
                " ואחרי אינן מגמה אחת.",
            ),
            (_not_among("break_kind", ["scale"]),),
            ("break_kind",),
        ),
    ),
    "mart_gap_area": (
        Check(
            "areas_add_up",
            "ERROR",
            "consistency",
            ANALYST,
            Says(
                "The gaps of the areas, each weighted by its tested pupils, sum to the gap of the"
                " city (R6).",
                "פערי האזורים, כל אחד במשקל הנבחנים שבו, מסתכמים לפער העיר.",
                "A school of the city is in no area, or counted twice: look at the register's"
                " areas.",
                "יש בית ספר שאינו באף אזור או שנספר פעמיים: יש לבדוק את האזורים במרשם.",
            ),
            (_between("sum_less_city_sd", -1e-9, 1e-9),),
            ("sum_less_city_sd",),
            blocks=True,
        ),
    ),
    "mart_budget_tag": (
        Check(
            "tags_reconcile",
            "ERROR",
            "consistency",
            TREASURER,
            Says(
                "The money of a school year is the same sum by every tag: formal and informal,"
                " pedagogical and physical, channel, Gefen and separate, who pays (R17).",
                "כספי שנת הלימודים הם אותו סכום לפי כל תיוג: פורמלי ובלתי פורמלי, פדגוגי ופיזי,"
                ' ערוץ, גפ"ן ונפרד, ומי מממן.',
                "A line falls out of a tag: the channel it names is missing in"
                " sql/mart/mart_budget_tag.sql.",
                "יש שורה שאינה נספרת בתיוג: הערוץ שלה חסר ב-sql/mart/mart_budget_tag.sql.",
            ),
            (
                Expectation(
                    "expect_column_pair_values_to_be_equal",
                    {"column_A": "tag_plan_agorot", "column_B": "year_plan_agorot"},
                ),
                Expectation(
                    "expect_column_pair_values_to_be_equal",
                    {"column_A": "tag_actual_agorot", "column_B": "year_actual_agorot"},
                ),
            ),
            ("tag_plan_agorot", "year_plan_agorot", "tag_actual_agorot", "year_actual_agorot"),
            blocks=True,
        ),
    ),
    "mart_test_participation": (
        Check(
            "adapted_share",
            "WARN",
            "coverage",
            TESTS,
            Says(
                "No school had surely more than 15 % of its tests adapted (99 % interval);"
                " otherwise its mean may speak of other pupils than its own (R26).",
                "אין בית ספר שבו יותר מ-15% מן המבחנים היו מותאמים בוודאות (רווח 99%); אחרת ייתכן"
                " שהממוצע אינו של כלל תלמידיו.",
                "Ask the school who sat an adapted test and why; its means of that year are read"
                " with care.",
                "יש לברר עם בית הספר מי נבחן במבחן מותאם ומדוע; את ממוצעי אותה שנה יש לקרוא"
                " בזהירות.",
            ),
            (_among("is_adapted_high", [False]),),
            ("is_adapted_high",),
        ),
    ),
    "core_score_spike": (
        Check(
            "zero_spike",
            "ERROR",
            "validity",
            TESTS,
            Says(
                "At most 0.5 % of the scores on a scale are exactly zero; more are absent pupils"
                " entered as zero.",
                "לכל היותר 0.5% מהציונים בסולם הם אפס; יותר מכך הם נעדרים שנרשמו כאפס.",
                "Leave the score of an absent pupil empty.",
                "יש להשאיר ריק את ציונו של תלמיד שנעדר.",
            ),
            (_between("zero_pct", 0, 0.5),),
            ("zero_pct",),
            blocks=True,
        ),
    ),
    "core_scale_year": (
        Check(
            "scale_break",
            "WARN",
            "consistency",
            TESTS,
            Says(
                "A scale does not come back after another replaced it, and the city mean does not"
                " move by more than .3 SD within a year: otherwise a scale was labelled wrongly.",
                "סולם אינו חוזר לאחר שהוחלף, וממוצע העיר אינו זז ביותר מ-0.3 סטיות תקן בשנה: אחרת"
                " סולם תויג בשגגה.",
                "Check the scale of the year's scores with the test's owner.",
                "יש לבדוק עם בעל המבחן את הסולם של אותה שנה.",
            ),
            (_among("is_returning_scale", [False]), _between("shift_sd", -0.3, 0.3)),
            ("is_returning_scale", "shift_sd"),
        ),
    ),
    "core_school_drift": (
        Check(
            "mean_drift",
            "WARN",
            "drift",
            TESTS,
            Says(
                "No school's mean over its internal tests moved by more than .6 SD within a year.",
                "אין בית ספר שממוצעו במבחנים הפנימיים זז ביותר מ-0.6 סטיות תקן בשנה.",
                "Look for another test form, another scoring key or other pupils before"
                " believing it.",
                "יש לבדוק נוסח מבחן אחר, מחוון אחר או תלמידים אחרים לפני שמאמינים לשינוי.",
            ),
            (_between("change_sd", -0.6, 0.6),),
            ("change_sd",),
        ),
    ),
    "core_dropout_claim": (
        Check(
            "transfers_counted",
            "ERROR",
            "consistency",
            WELFARE,
            Says(
                "No pupil counted as overt dropout is registered in another school of the city.",
                "אין תלמיד שנספר כנושר והוא רשום בבית ספר אחר בעיר.",
                "Correct the destination code: a transfer is not dropout.",
                "יש לתקן את קוד היעד: מעבר אינו נשירה.",
            ),
            (_between("found_elsewhere", 0, 0),),
            ("found_elsewhere",),
            blocks=True,
        ),
    ),
    "core_card_tally": (
        Check(
            "quota",
            "ERROR",
            "validity",
            COMMITTEE,
            Says(
                "Nobody chose more cards in a category than its quota (5/4/3/2/1).",
                "איש לא בחר בקטגוריה יותר כרטיסים מן המכסה (5/4/3/2/1).",
                "Ask the participant which cards to keep.",
                "יש לברר עם המשתתף אילו כרטיסים להשאיר.",
            ),
            (_at_least("card_quota", "nominations"),),
            ("card_quota", "nominations"),
        ),
    ),
    "mart_allocation_rule": (
        Check(
            "rules_kept",
            "ERROR",
            "consistency",
            ANALYST,
            Says(
                "Every rule, recomputed without the solver, is kept by the plan.",
                "כל כלל, בחישוב חוזר ללא הפותרן, מתקיים בתוכנית.",
                "A broken rule is a fault of the software: report it; nothing is published.",
                "כלל שהופר הוא תקלת תוכנה: יש לדווח; דבר אינו מתפרסם.",
            ),
            (_among("is_satisfied", [True]),),
            ("is_satisfied",),
            blocks=True,
        ),
    ),
    "mart_allocation_certificate": (
        Check(
            "gap_is_small",
            "WARN",
            "validity",
            ANALYST,
            Says(
                "The plan is proven to be within 0.1 % of the best possible one.",
                "הוכח שהתוכנית רחוקה לכל היותר 0.1% מן הטובה ביותר.",
                "Allow the solver more time in policy.yaml.",
                "יש לתת לפותרן זמן רב יותר ב-policy.yaml.",
            ),
            (_between("optimality_gap_pct", 0, 0.1),),
            ("optimality_gap_pct",),
        ),
    ),
    "mart_need_index": (
        Check(
            "interval_holds_value",
            "ERROR",
            "validity",
            ANALYST,
            Says(
                "The need index lies within its own interval.",
                "מדד הצורך נמצא בתוך הרווח שלו.",
                "A fault of the software: report it.",
                "תקלת תוכנה: יש לדווח.",
            ),
            (_at_least("need", "need_lo"), _at_least("need_hi", "need")),
            ("need", "need_lo", "need_hi"),
            blocks=True,
        ),
    ),
}

RAW_ROWS = Check(
    "provenance",
    "ERROR",
    "consistency",
    ANALYST,
    Says(
        "Every raw row carries its file, the file's hash and its row, once.",
        "כל שורה גולמית נושאת את הקובץ, חתימתו ומספר השורה, פעם אחת.",
        "A fault of the reader: report it.",
        "תקלה בקורא הקבצים: יש לדווח.",
    ),
    (
        Expectation(
            "expect_compound_columns_to_be_unique", {"column_list": ["file_name", "file_row"]}
        ),
        *(_not_null(column) for column in ("file_name", "file_hash", "file_row")),
    ),
    ("file_name", "file_hash", "file_row"),
    blocks=True,
)
RAW_MAPPED = Check(
    "has_rows",
    "ERROR",
    "completeness",
    ANALYST,
    Says(
        "A source that city.yaml maps has rows.",
        "במקור שמופה ב-city.yaml יש שורות.",
        "Put the file in place, or remove the mapping.",
        "יש להניח את הקובץ במקומו או להסיר את המיפוי.",
    ),
    (Expectation("expect_table_row_count_to_be_between", {"min_value": 1}),),
    ("file_row",),
    blocks=True,
)


def checks_of(table: Table) -> tuple[Check, ...]:
    """Return the checks of a staged, core or mart table.

    A staged row has passed the same rules on its way out of quarantine, so only the schema is left.
    """
    if table.layer == "staging":
        return (_SCHEMA,)
    general = (_SCHEMA, _key(table), _values(table), _references(table))
    return tuple(check for check in (*general, *SPECIAL.get(table.name, ())) if check is not None)
