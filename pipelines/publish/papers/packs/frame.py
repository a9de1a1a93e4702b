"""What the packs of all three meetings share: the first page, the foot, and how a page is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipelines.publish import words
from pipelines.publish.pages.base import ANNEXES, ReportContext, first_row
from pipelines.publish.papers.content import Line, Piece, Table, number, said
from pipelines.publish.papers.packs.content import (
    MOST_ROWS,
    Chart,
    Form,
    Pack,
    Page,
    Tables,
    form_of,
)

MOST_PAGES = 10
_ASSOCIATION = "מה שמוצג הוא קשר בנתונים; אין בו הוכחה שדבר אחד גורם לאחר."
_RANGE = (
    "לכל אומדן יש טווח, והערך האמיתי נמצא בו בסבירות של 90 אחוז. הבדל שקטן מהטווח אינו הבדל"
    " שאפשר להחליט לפיו."
)
_UNKNOWN = "מה שלא נמדד אינו אפס: אין להסיק מן החסר שאין בעיה."
BESIDE = {"association": _ASSOCIATION, "range": _RANGE, "unknown": _UNKNOWN}
"""What whoever leads the meeting must say beside some kinds of numbers."""


def asked(
    question: str,
    answer: Sequence[Line | str],
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Line | Piece]],
    *,
    decided: Sequence[str],
    notes: Sequence[str],
    annex: str,
    form: Form | None = None,
    chart: Chart | None = None,
    missing: Sequence[Line] = (),
    lacking: Sequence[Line] = (),
    most: int = MOST_ROWS,
) -> Page:
    """Return a page; where it has no rows it says what is missing instead of answer and table.

    Args:
        question: the title.
        answer: sentences that the rows bear out; texts are read for numbers.
        caption: of the table.
        heads: of the table.
        rows: of the table, the ones to read first before the others.
        decided: what the people in the room decide.
        notes: what to say beside it: texts, or keys of `BESIDE`.
        annex: the page of the release with all the rows (`base.ANNEXES`).
        form: where it is written down.
        chart: drawn from the table.
        missing: what would bring the rows, if there are none.
        lacking: what they do not tell, and what would bring it.
        most: rows of the table that are shown.
    """
    told = [_lines(row) for row in rows]
    lines: list[Line] = [said(text) if isinstance(text, str) else text for text in answer]
    if len(told) > most:
        lines.append(said(f"בטבלה {most} מתוך {len(told)} שורות; השאר בנספח {ANNEXES[annex][0]}."))
    table = Table(caption, tuple(heads), tuple(told[:most])) if told else None
    where: Line = (f"הפירוט המלא: הנספח {ANNEXES[annex][0]} של המהדורה.",)
    beside = [said(BESIDE.get(text, text)) for text in notes]
    if table is None:
        return Page(
            question,
            (),
            tuple(decided),
            (*map(said, notes[:1]), (_UNKNOWN,), where),
            form,
            missing=tuple(missing),
        )
    return Page(
        question,
        tuple(lines),
        tuple(decided),
        (*beside, where),
        form,
        table,
        chart,
        tuple(lacking),
    )


def _lines(row: Sequence[Line | Piece]) -> tuple[Line, ...]:
    """Return the cells of a row as lines, the numbers in their texts apart."""
    return tuple(
        cell if isinstance(cell, tuple) else said(cell) if isinstance(cell, str) else (cell,)
        for cell in row
    )


def pack(
    meeting: int,
    name: str,
    shown: Tables,
    context: ReportContext,
    release: str,
    pages: Sequence[Page],
) -> Pack:
    """Return the pack of a meeting: its first page, which names the questions, and the others.

    Raises:
        ValueError: if there are more than ten pages.
    """
    if len(pages) >= MOST_PAGES:
        raise ValueError(f"the pack of meeting {meeting} has {len(pages) + 1} pages")
    title = f"מפגש {meeting}: {name} – {context.city_name_he}"
    mark = "נתונים סינתטיים · " if context.is_synthetic else ""
    foot = f"{mark}{context.city_name_he} · מפגש {meeting} · מהדורה {release}"
    return Pack(title, foot, (_first(title, shown, context, pages), *pages))


def _standing(page: Page) -> str:
    """Return whether a page has data."""
    if page.table is None:
        return "חסרים נתונים"
    return "חלקם חסרים" if page.missing else "יש נתונים"


def _first(title: str, shown: Tables, context: ReportContext, pages: Sequence[Page]) -> Page:
    year = words.year(context.planning_year)
    decided = first_row(
        shown["mart_decided"].filter("is_in_force", planning_year=context.planning_year)
    )
    if decided is None:
        standing = said(f"התוכנית לשנת {year} היא טיוטה: טרם הוחלט עליה.")
    else:
        on = f"על התוכנית לשנת {year} הוחלט ביום {words.day(decided['decided_on'])}, גרסה "
        version = number("mart_decided", decided, "decision_version")
        only = ". מה שמחושב כאן הוא מה שנתוני היום היו נותנים, לידיעה בלבד."
        standing = (*said(on), version, only)
    basis = said(f"היקף: {context.scope_he}. {context.data_years_he}.")
    told: list[Line] = [(*standing, " ", *basis)]
    if context.is_synthetic:
        told.insert(0, ("נתונים סינתטיים: אינם מתארים בית ספר, תלמיד או עיר כלשהם.",))
    rows = [
        ((str(place),), (page.question,), (_standing(page),))
        for place, page in enumerate(pages, start=2)
    ]
    return Page(
        title,
        tuple(told),
        (
            "על אילו שאלות נדבר היום, ובאיזה סדר.",
            "מי רושם את ההחלטות, ומי חסר סביב השולחן.",
        ),
        (
            ("כל עמוד שואל שאלה אחת. המסגרת הכחולה אומרת מה מחליטים, והטופס – היכן רושמים.",),
            (_RANGE,),
            (_UNKNOWN,),
            *(said(note) for note in context.notes_he),
        ),
        form_of("decide__meetings", "role", "held_on", "is_expected", "is_present"),
        Table("השאלות של המפגש", ("העמוד", "השאלה", "הנתונים"), tuple(rows)),
    )
