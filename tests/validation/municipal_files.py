"""Files as Israeli municipalities export them, with the truth of each: what `propose` is judged on.

Kept apart: headers, titles and values are written here as offices write them and are never read by
what guesses; whoever changes the guessing does not look here for words. Eleven kinds of tables in
four habits make 44 files: a plain workbook, a workbook with titles and a header of two rows, a
semicolon CSV in cp1255 below a preamble, a UTF-8 CSV with totals and footnotes.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import xlsxwriter

HABITS = ("plain", "two_rows", "cp1255", "footnotes")


@dataclass(frozen=True)
class Truth:
    """What is true of a file.

    Attributes:
        source_id: what it holds.
        columns: header as the reader names it → contract column.
        header_row, header_rows: where the header stands.
        units: contract column → unit of the file, where it is not the contract's.
    """

    source_id: str
    columns: dict[str, str]
    header_row: int
    header_rows: int
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of table.

    Attributes:
        source_id: what it holds.
        title: what stands above it.
        columns: contract column ("" = none of the contract's) → spellings of its header.
        row: makes the cells of a row.
        money: contract columns that may be in thousands.
    """

    source_id: str
    title: str
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    row: Callable[[random.Random, int], tuple[object, ...]]
    money: tuple[str, ...] = ()


CODE = ("semel_mosad", ("סמל מוסד", 'סמל ביה"ס', "קוד מוסד", "סמל המוסד"))
NAME = ("", ("שם מוסד", "בית הספר", 'שם ביה"ס', "מוסד חינוכי"))
PUPIL = ("pupil_hash", ("תעודת זהות", "ת.ז. תלמיד", "מספר זהות", "ת.ז."))
YEAR = ("school_year", ("שנת לימודים", 'שנה"ל', "שנה", "שנת הלימודים"))
GRADE = ("grade", ("שכבה", "דרגת כיתה", "כיתה", "שכבת גיל"))
PROGRAMME = ("response_id", ("תוכנית", "שם התכנית", "שם המענה", "מיזם / תוכנית"))


def _code(at: int) -> int:
    return 512_300 + 7 * (at % 9)


def _name(at: int) -> str:
    return ("הרצל", "אורנים", "שרת", "נופים", "גולדה", "רעות", "יובל", "כרמים", "אלמוג")[at % 9]


def _id(rng: random.Random) -> str:
    digits = [rng.randrange(10) for _ in range(8)]
    total = sum(sum(divmod(d * (1 + i % 2), 10)) for i, d in enumerate(digits))
    return "".join(map(str, digits)) + str(-total % 10)


def _year(rng: random.Random) -> str:
    return rng.choice(('תשפ"ה', 'תשפ"ו'))


def _grade(rng: random.Random) -> str:
    return rng.choice("אבגדהו") + "'"


def _programme(rng: random.Random) -> str:
    return rng.choice(('פר"ח', "אמירים", "רבדים", 'מיל"ת', "מרחב"))


KINDS = (
    Kind(
        "register__schools",
        "רשימת מוסדות החינוך היסודי",
        (
            CODE,
            YEAR,
            ("school_name_he", ("שם בית הספר", "שם מוסד", "שם המוסד", "בית ספר")),
            ("supervision_stream", ("פיקוח", "סוג פיקוח", "זרם פיקוח", "פיקוח")),
            ("legal_status", ("מעמד משפטי", "מעמד", "סטטוס משפטי", "מעמד משפטי")),
            ("education_stage", ("שלב חינוך", "שלב", "שלב חינוך", "שלב חינוך")),
            ("pupils", ("תלמידים", "מס' תלמידים", "מספר תלמידים", 'סה"כ תלמידים')),
            ("classes", ("כיתות", "מס' כיתות", "מספר כיתות", 'סה"כ כיתות')),
            ("nurture_index", ("מדד טיפוח", "מדד הטיפוח", "מדד טיפוח", "ציון טיפוח")),
            ("", ("טלפון", "מזכירות", "הערות", "מנהל/ת")),
        ),
        lambda r, i: (
            *(_code(i), _year(r), _name(i)),
            *(r.choice(("ממלכתי", 'ממ"ד', "ממלכתי-דתי")), r.choice(("רשמי", 'מוכש"ר'))),
            *("יסודי", r.randrange(150, 700), r.randrange(6, 24), round(r.uniform(1, 10), 2), ""),
        ),
    ),
    Kind(
        "tests__school_means",
        "תוצאות מבחני מעקב עירוניים",
        (
            CODE,
            NAME,
            YEAR,
            GRADE,
            ("subject", ("מקצוע", "תחום דעת", "מקצוע הבחינה", "מקצוע")),
            ("score_mean", ("ציון ממוצע", "ממוצע", "ממוצע ציונים", "ציון ממוצע בית ספרי")),
            ("tested_pupils", ("נבחנים", "מס' נבחנים", "מספר הנבחנים", "מספר נבחנים")),
        ),
        lambda r, i: (
            *(_code(i), _name(i), _year(r), _grade(r), r.choice(("מתמטיקה", "שפה", "אנגלית"))),
            *(round(r.uniform(48, 92), 1), r.randrange(18, 90)),
        ),
    ),
    Kind(
        "tests__pupil_scores",
        "ציוני תלמידים במבחנים פנימיים",
        (
            PUPIL,
            YEAR,
            CODE,
            GRADE,
            ("subject", ("מקצוע", "תחום דעת", "מקצוע הבחינה", "מקצוע")),
            ("test_date", ("תאריך מבחן", "תאריך", "מועד המבחן", "תאריך הבחינה")),
            ("is_tested", ("נבחן", "נבחן?", "נבחן/ה", "האם נבחן")),
            ("score", ("ציון", "ציון סופי", "ציון במבחן", "ציון")),
        ),
        lambda r, i: (
            *(_id(r), _year(r), _code(i), _grade(r), r.choice(("מתמטיקה", "עברית"))),
            *(f"{r.randrange(1, 29):02}/0{r.randrange(1, 7)}/2026", "כן", r.randrange(40, 101)),
        ),
    ),
    Kind(
        "register__pupils",
        "מצבת תלמידים",
        (
            PUPIL,
            YEAR,
            CODE,
            GRADE,
            ("class_id", ("מקבילה", "כיתה", "מספר כיתה", "מקבילה")),
            ("sex", ("מין", "מגדר", "מין", "זכר/נקבה")),
            ("birth_year", ("שנת לידה", "שנת לידה", "שנת הלידה", "שנת לידה")),
            ("nurture_decile", ("עשירון טיפוח", "עשירון", "עשירון טיפוח", "עשירון מדד טיפוח")),
            ("is_sen_integration", ("שילוב", "תלמיד שילוב", "שילוב", "זכאי שילוב")),
            ("is_gifted", ("מחונן", "מחונן/ת", "מחונן", "מחוננים")),
        ),
        lambda r, i: (
            *(_id(r), _year(r), _code(i), "ה'", f"ה'{r.randrange(1, 4)}", r.choice("זנ")),
            *(r.randrange(2013, 2019), r.randrange(1, 11)),
            *(r.choice(("כן", "לא")), r.choice(("לא", "כן"))),
        ),
    ),
    Kind(
        "attendance__pupil_years",
        "ריכוז היעדרויות שנתי",
        (
            PUPIL,
            YEAR,
            CODE,
            ("school_days", ("ימי לימוד", "ימי לימודים", "מס' ימי לימוד", "ימי לימוד בשנה")),
            ("absence_days", ("ימי היעדרות", "היעדרויות", 'סה"כ ימי היעדרות', "ימי חיסור")),
            (
                "absence_days_justified",
                ("ימי היעדרות מוצדקים", "היעדרויות מוצדקות", "מתוכם מוצדקים", "היעדרות מוצדקת"),
            ),
        ),
        lambda r, i: (
            *(_id(r), _year(r), _code(i)),
            *(r.randrange(170, 181), r.randrange(10, 30), r.randrange(0, 10)),
        ),
    ),
    Kind(
        "climate__facets",
        "סקר אקלים וסביבה פדגוגית",
        (
            CODE,
            NAME,
            YEAR,
            GRADE,
            ("facet", ("היבט", "ממד", "תחום", "היבט")),
            ("agree_pct", ("אחוז מסכימים", "% מסכימים", "שיעור המסכימים", "מסכימים באחוזים")),
            ("respondents", ("משיבים", "מס' משיבים", "מספר המשיבים", "השיבו")),
            ("eligible_pupils", ("תלמידים בשכבה", "מספר התלמידים", "זכאים להשיב", "תלמידים")),
        ),
        lambda r, i: (
            *(_code(i), _name(i), _year(r), r.choice(("ה'", "ו'"))),
            *(r.choice(("מוגנות", "יחסים", "איכות ההוראה")), r.randrange(45, 98)),
            *(r.randrange(30, 80), r.randrange(80, 100)),
        ),
    ),
    Kind(
        "programmes__delivery",
        "פריסת תוכניות בבתי הספר",
        (
            CODE,
            NAME,
            YEAR,
            PROGRAMME,
            ("participants", ("משתתפים", "מס' משתתפים", "מספר משתתפים", "תלמידים משתתפים")),
            ("dose", ("מינון", "היקף", "מינון התוכנית", "מינון")),
        ),
        lambda r, i: (
            *(_code(i), _name(i), _year(r), _programme(r)),
            *(r.randrange(8, 120), r.choice((0.5, 0.75, 1))),
        ),
    ),
    Kind(
        "finance__budget_lines",
        "תקציב תוכניות חינוך",
        (
            CODE,
            YEAR,
            PROGRAMME,
            ("funding_channel", ("מקור מימון", "ערוץ מימון", "גורם מממן", "מקור תקציבי")),
            ("year_type", ("סוג שנה", "סוג שנה", "סוג השנה", "שנת תקציב/לימודים")),
            ("plan_nis", ("תקציב", "תקציב מאושר", "תקציב מתוכנן", "הצעת תקציב")),
            ("actual_nis", ("ביצוע", "ביצוע בפועל", "ביצוע", "ביצוע מצטבר")),
        ),
        lambda r, i: (
            *(_code(i), _year(r), _programme(r), r.choice(("רשות", 'גפ"ן', "הורים"))),
            *('שנה"ל', round(r.uniform(9, 300), 1), round(r.uniform(9, 300), 1)),
        ),
        money=("plan_nis", "actual_nis"),
    ),
    Kind(
        "finance__school_money",
        "הקצאות משרד החינוך לבתי הספר",
        (
            CODE,
            NAME,
            YEAR,
            ("ministry_nis", ("תקציב משרד", "תקציב משרד החינוך", "משרד החינוך", "הקצאת המשרד")),
            ("gefen_nis", ('גפ"ן', 'תקציב גפ"ן', 'סל גפ"ן', 'הקצאת גפ"ן')),
        ),
        lambda r, i: (
            *(_code(i), _name(i), _year(r)),
            *(r.randrange(3_000, 9_000), r.randrange(60, 240)),
        ),
        money=("ministry_nis", "gefen_nis"),
    ),
    Kind(
        "programmes__registry",
        "מרשם התוכניות והמיזמים",
        (
            ("response_id", ("מזהה", "קוד תוכנית", "מזהה תוכנית", "מספר תוכנית")),
            ("response_name_he", ("שם התוכנית", "שם המענה", "שם התכנית", "תוכנית")),
            ("intervention_class", ("סוג", "סוג המענה", "סוג התערבות", "סיווג")),
            ("goal_id", ("יעד", "יעד האגף", "מזהה יעד", "יעד")),
            ("delivery_scale", ("היקף", "רמת הפעלה", "רמת ההפעלה", "היכן פועל")),
            ("provider", ("גוף מפעיל", "מפעיל", "גוף מפעיל", "ספק")),
        ),
        lambda r, i: (
            *(f"p{i:02}", f"תוכנית {_name(i)}", r.choice(("תוכנית", "שירות", "התנדבות"))),
            *(f"g{r.randrange(1, 9):02}", r.choice(("בית ספר", "קבוצה", "עיר")), "מתנ״ס"),
        ),
    ),
    Kind(
        "attendance__exits",
        "תלמידים שעזבו במהלך השנה",
        (
            PUPIL,
            YEAR,
            CODE,
            GRADE,
            ("destination", ("יעד", "לאן עבר", "יעד המעבר", "סיבת עזיבה")),
            ("", ("שם המזכירה", "הערות", "תאריך עדכון", "הערה")),
        ),
        lambda r, i: (
            *(_id(r), _year(r), _code(i), _grade(r)),
            *(r.choice(("עבר עיר", 'חו"ל', "לא ידוע", "חינוך מיוחד")), ""),
        ),
    ),
)
GROUPS = ("פרטי המוסד", "נתונים")


def write_all(folder: Path) -> Iterator[tuple[Path, str, Truth]]:
    """Write the files; yield each with its habit and its truth."""
    for number, kind in enumerate(KINDS):
        for turn, habit in enumerate(HABITS):
            rng = random.Random(100 * number + turn)
            headers = [spelt[turn] for _, spelt in kind.columns]
            rows = [kind.row(rng, at) for at in range(24)]
            path, truth = _write(folder, f"{number:02}_{habit}", habit, kind, headers, rows)
            yield path, habit, truth


def _write(folder, name, habit, kind, headers, rows):
    is_thousands = bool(kind.money) and habit in ("two_rows", "footnotes")
    title = kind.title + (' (באלפי ש"ח)' if is_thousands else "")
    units = dict.fromkeys(kind.money, "thousand") if is_thousands else {}
    totals = ['סה"כ', *[""] * (len(headers) - 1)]
    if habit in ("plain", "two_rows"):
        path = folder / f"{name}.xlsx"
        book = xlsxwriter.Workbook(path)
        sheet = book.add_worksheet("גיליון1")
        if habit == "plain":
            lines, header_row, header_rows, names = [headers, *rows], 1, 1, headers
        else:
            lines, header_row, header_rows = [["עיריית מעלה ההר"], [title], []], 4, 2
            half = len(headers) // 2
            names = [f"{GROUPS[at >= half]} / {header}" for at, header in enumerate(headers)]
            lines += [[GROUPS[at >= half] for at in range(len(headers))], headers, *rows, totals]
        for at, line in enumerate(lines):
            sheet.write_row(at, 0, line)
        if habit == "two_rows":
            sheet.merge_range(3, 0, 3, half - 1, GROUPS[0])
            sheet.merge_range(3, half, 3, len(headers) - 1, GROUPS[1])
        book.close()
    else:
        path, names, header_rows = folder / f"{name}.csv", headers, 1
        before = [["מערכת המידע העירונית", ""], [title]] if habit == "cp1255" else [[title], []]
        after = [] if habit == "cp1255" else [totals, ["* הנתונים נכונים למועד ההפקה"]]
        header_row = len(before) + 1
        text = io.StringIO()
        mark = ";" if habit == "cp1255" else ","
        csv.writer(text, delimiter=mark).writerows([*before, headers, *rows, *after])
        encoding = "cp1255" if habit == "cp1255" else "utf-8-sig"
        path.write_bytes(text.getvalue().replace("״", '"').encode(encoding))
    columns = {
        name: column for name, (column, _) in zip(names, kind.columns, strict=True) if column
    }
    return path, Truth(kind.source_id, columns, header_row, header_rows, units)
