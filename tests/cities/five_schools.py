"""The Excel files of a town of five schools, a folder a year, as its offices would send them.

Titles above the table, headers of two rows, merged cells, Hebrew values, totals and footnotes.
Nothing here is taken from the words by which the product guesses.
"""

import random
from datetime import datetime
from pathlib import Path

import xlsxwriter

SCHOOLS = (  # code, name, supervision, status, pupils, classes, nurture index
    (412316, "אילנות", "ממלכתי", "רשמי", 412, 16, 3.4),
    (412324, "נווה שקד", "ממלכתי", "רשמי", 296, 12, 7.9),
    (413148, "אור תורה", "ממלכתי-דתי", "רשמי", 238, 10, 6.2),
    (413520, "רמון", "ממלכתי", "רשמי", 351, 14, 8.6),
    (414775, "מעלות הבנים", "ממלכתי-דתי", "מוכש״ר", 187, 8, 5.1),
)
HEBREW_YEAR = {2025: 'תשפ"ה', 2026: 'תשפ"ו', 2027: 'תשפ"ז'}
PROGRAMMES = {  # as the town calls them: schools (by number), pupils in each, thousands of NIS
    'תוכנית מיל"ת': ((1, 3), 46, 210.5),
    "רבדים": ((1, 2, 3), 38, 92),
    'חונכות פר"ח': ((1, 3, 4), 14, 15.4),
    "אמירים": ((0, 2), 33, 27.25),
    "תזמורת עירונית": ((0,), 20, 40),
}


class Sheet:
    """A sheet with the town's title, written row by row."""

    def __init__(self, path, title, changed, name="גיליון1"):
        self.changed = changed
        self.book = xlsxwriter.Workbook(path)
        # The same bytes at every hour, so that a run of the town is found again by its content.
        self.book.set_properties({"created": datetime(2026, 1, 1)})
        self.sheet = self.book.add_worksheet(name)
        self.sheet.right_to_left()
        self.sheet.write(0, 0, "עיריית גבעת אלונים – מינהל החינוך")
        self.sheet.write(1, 0, changed.get(title, title))
        self.row = 3

    def add(self, *cells):
        self.sheet.write_row(self.row, 0, [self.changed.get(cell, cell) for cell in cells])
        self.row += 1

    def heads(self, single, grouped):
        """Write a header of two rows: single columns merged downwards, groups sideways."""
        for column, text in enumerate(single):
            self.sheet.merge_range(self.row, column, self.row + 1, column, text)
        column = len(single)
        for text, parts in grouped.items():
            end = column + len(parts) - 1
            self.sheet.merge_range(self.row, column, self.row, end, text)
            self.sheet.write_row(self.row + 1, column, parts)
            column = end + 1
        self.row += 2


def write_year(folder: Path, year: int, changed: dict[str, str] | None = None) -> None:
    """Write the files of one school year (the year in which it ends).

    `changed`: titles and headers that the offices write otherwise this time.
    """
    changed = changed or {}
    folder.mkdir(parents=True, exist_ok=True)
    rng, called = random.Random(year), HEBREW_YEAR[year]
    short = called.replace('"', "")
    drift = year - 2026

    page = Sheet(
        folder / f"מצבת מוסדות {short}.xlsx",
        f"מצבת מוסדות חינוך יסודיים לשנת הלימודים {called}",
        changed,
    )
    page.add("סמל מוסד", "שם המוסד", "פיקוח", "מעמד משפטי", "מס' תלמידים", "מס' כיתות", "מדד טיפוח")
    for code, name, stream, status, pupils, classes, nurture in SCHOOLS:
        page.add(code, name, stream, status, pupils + 4 * drift, classes, nurture)
    total = sum(school[4] + 4 * drift for school in SCHOOLS)
    page.add('סה"כ', "", "", "", total, sum(school[5] for school in SCHOOLS))
    page.row += 1
    page.add("* נכון ליום 1 באוקטובר; כולל תלמידי שילוב")
    page.book.close()

    page = Sheet(folder / f"מבחני סוף שנה {year}.xlsx", f"תוצאות מבחנים עירוניים {called}", changed)
    parts = ("ממוצע", "מס' נבחנים")
    page.heads(("סמל מוסד", "בית ספר", "שכבה"), {"מתמטיקה": parts, "שפה": parts, "אנגלית": parts})
    for number, school in enumerate(SCHOOLS):
        for grade in ("ד'", "ה'", "ו'"):
            level = 84 - 2.6 * school[6] + 0.5 * drift
            scores = [round(level + rng.gauss(0, 2) - 2 * s, 1) for s in range(3)]
            tested = [rng.randrange(40, 60) for _ in range(3)]
            cells = [cell for pair in zip(scores, tested, strict=True) for cell in pair]
            if number == 4 and grade == "ו'":
                cells[4:6] = ["-", "-"]
            page.add(school[0], school[1], grade, *cells)
    page.book.close()

    page = Sheet(
        folder / f"תוכניות בבתי הספר {short}.xlsx",
        f'תוכניות התערבות, שנה"ל {called}',
        changed,
        "ריכוז",
    )
    page.add("סמל מוסד", "בית ספר", "שם התוכנית", "מספר משתתפים", "הערות")
    for name, (places, pupils, _) in PROGRAMMES.items():
        for place in places:
            page.add(SCHOOLS[place][0], SCHOOLS[place][1], name, pupils + rng.randrange(4), "")
    page.book.close()

    page = Sheet(
        folder / f"תקציב תוכניות {short}.xlsx", f'תקציב תוכניות לשנת {called} (באלפי ש"ח)', changed
    )
    page.add("סמל מוסד", "שם התוכנית", "מקור מימון", "תקציב מאושר", "ביצוע בפועל")
    spent = 0.0
    for name, (places, _, thousands) in PROGRAMMES.items():
        for place in places:
            for payer, share in (("עירייה", 0.6), ("משרד החינוך", 0.4)):
                planned = round(thousands * share, 3)
                spent += planned
                page.add(SCHOOLS[place][0], name, payer, planned, round(planned * 0.97, 3))
    page.add('סה"כ', "", "", round(spent, 3))
    page.book.close()

    page = Sheet(folder / f"גפן ומשרד {short}.xlsx", f'הקצאות לבתי הספר, {called}, בש"ח', changed)
    page.add("סמל מוסד", "שם בית ספר", "תקציב משרד החינוך", 'סל גפ"ן')
    for code, name, _, _, pupils, _, nurture in SCHOOLS:
        page.add(code, name, 14_300 * pupils, round(400 * pupils + 1_000 * nurture))
    page.book.close()
