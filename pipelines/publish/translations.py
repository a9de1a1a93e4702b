"""What pages and the form for parents and residents say, in Hebrew and in other languages (R75).

Each text has a key. Hebrew and English are the product's own (`pages/outside/texts.yaml`,
`labels.yaml`, the dictionary, the names in the policy); a city fills a file a language, which
`make forms` writes with the Hebrew beside. What it leaves open stays in Hebrew and is counted; what
is broken in it is refused with its row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NoReturn

import xlsxwriter

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.policy import Policy
from pipelines.settings.translation_files import translation_files
from pipelines.settings.yaml_files import CityError, read_yaml
from pipelines.sources.forms import A4
from pipelines.sources.workbook import ERROR_CELL, UnreadableError, read_sheet

_TEXTS = Path(__file__).parent / "pages" / "outside"
HEBREW, ENGLISH = "he", "en"
LANGUAGES = {"en": "English", "ru": "Русский", "am": "አማርኛ"}
"""Languages beside Hebrew, each by its own name; all of them run left to right."""
HEAD = ("key", "עברית", "English", "תרגום")
"""Header of a file of translations: what is filled in stands in the last column."""
SHEET = "תרגום"
_CREATED = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes
_LONGEST = 600
_LINE, _IN_A_LINE = 15, 60  # points of a line, and characters in it
_HOLE = re.compile(r"\{([a-z_]*)\}")
_FORMULA = re.compile(r"^\s*[=+@＝＋＠]")
# Signs that turn the direction of what follows them, or cannot be seen.
_UNSEEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ITEM = re.compile(r"item\.[a-z0-9_.:-]{1,80}")


@dataclass(frozen=True)
class Text:
    """One text: its Hebrew, and its English where the product has it."""

    he: str
    en: str = ""


@dataclass(frozen=True)
class Translation:
    """A text as a city translated it, and the Hebrew it was translated from."""

    text: str
    of: str


@dataclass(frozen=True)
class Language:
    """One language beside Hebrew.

    Attributes:
        code: `en`, `ru` or `am`.
        name: what it calls itself.
        texts: translations by key; those that were made from other words than today's are left out
            by whoever asks (`Translation.of`).
    """

    code: str
    name: str
    texts: Mapping[str, Translation]


@cache
def page_texts() -> Mapping[str, Text]:
    """Return what the product's pages say, by key."""
    said = read_yaml(_TEXTS / "texts.yaml")
    return {key: Text(text[HEBREW], text[ENGLISH]) for key, text in said.items()}


@cache
def _labels() -> Mapping[str, Text]:
    english = read_yaml(_TEXTS / "labels.yaml")
    return {
        f"label.{field}.{value}": Text(dictionary().label(field, value), text)
        for field, values in english.items()
        for value, text in values.items()
    }


def fixed_texts() -> dict[str, Text]:
    """Return what every city's pages say: sentences and names of values."""
    return {**page_texts(), **_labels()}


def catalogue(policy: Policy) -> dict[str, Text]:
    """Return every text of a city that can be translated, by key.

    Names of responses, goals, needs and groups are those of its policy; names of schools are not
    translated.
    """
    held = policy.response_map.needs
    groups = {key: versions[-1] for key, versions in policy.groups.items()}
    return {
        **fixed_texts(),
        **{f"name.group.{key}": Text(one.name_he) for key, one in groups.items()},
        **{f"name.need.{key}": Text(one.name_he, one.name_en) for key, one in held.items()},
        **{f"name.goal.{key}": Text(one.name_he, one.name_en) for key, one in policy.goals.items()},
        **{
            f"name.response.{key}": Text(one.name_he, one.name_en)
            for key, one in policy.responses.items()
        },
    }


def languages_of(city: CityFolder) -> tuple[Language, ...]:
    """Return the languages beside Hebrew in which the pages of a city are drawn.

    English is the product's, with what the city says otherwise; another language is drawn where the
    city has filled its file.

    Raises:
        CityError: if a file of translations is broken, with its row.
    """
    known, filled = catalogue(city.policy), read_translations(city)
    own = {key: Translation(text.en, text.he) for key, text in known.items() if text.en}
    told = {ENGLISH: own | filled.get(ENGLISH, {})}
    told |= {code: texts for code, texts in filled.items() if code != ENGLISH and texts}
    return tuple(Language(code, LANGUAGES[code], told[code]) for code in LANGUAGES if code in told)


def missing(city: CityFolder, language: str) -> list[str]:
    """Return the keys that a city's file of a language leaves open, or translates from old words.

    Raises:
        CityError: as `languages_of`.
    """
    known = catalogue(city.policy)
    filled = read_translations(city).get(language, {})
    return [key for key, text in known.items() if key not in filled or filled[key].of != text.he]


# ---- reading ----------------------------------------------------------------------------------


def read_translations(city: CityFolder) -> dict[str, dict[str, Translation]]:
    """Return the translations of a city's files, by language and key; empty cells are left out.

    Raises:
        CityError: naming the file, the row and what to do, if one is broken.
    """
    known = catalogue(city.policy)
    found: dict[str, dict[str, Translation]] = {}
    for path in translation_files(city.folder):
        code, kind = path.stem, path.suffix.lower()
        if kind not in (".xlsx", ".csv") or code not in LANGUAGES:
            names = ", ".join(f"{code}.xlsx" for code in LANGUAGES)
            _refuse(
                path,
                0,
                f"no file of translations is called so; write {names}, or .csv",
                f"אין קובץ תרגום בשם כזה; השמות הם {names}, או csv",
            )
        if code in found:
            _refuse(
                path,
                0,
                f"there are two files of {LANGUAGES[code]}; keep one of them",
                f"יש שני קבצים לשפה {LANGUAGES[code]}; יש להשאיר אחד",
            )
        found[code] = _read(path, known)
    return found


def _read(path: Path, known: Mapping[str, Text]) -> dict[str, Translation]:
    rows = _rows(path)
    at = next((n for n, row in enumerate(rows) if row[:1] == [HEAD[0]]), None)
    if at is None or not {HEAD[1], HEAD[3]} <= set(rows[at]):
        _refuse(
            path,
            0,
            f"there is no header {', '.join(HEAD)}; write the file again (`make forms`)",
            f"אין שורת כותרות {', '.join(HEAD)}; יש לכתוב את הקובץ מחדש (make forms)",
        )
    heads = rows[at]
    places = {name: heads.index(name) for name in (HEAD[0], HEAD[1], HEAD[3])}
    held: dict[str, int] = {}
    found = {}
    for number, row in enumerate(rows[at + 1 :], start=at + 2):
        key, he, text = (
            row[place].strip() if place < len(row) else "" for place in places.values()
        )
        if not key and not he and not text:
            continue
        _check_key(path, number, key, known, held)
        held[key] = number
        if text:
            source = he if key.startswith("item.") else known[key].he
            _check_text(path, number, key, source, text)
            found[key] = Translation(text, he)
    return found


def _rows(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    if path.suffix.lower() == ".csv":
        try:
            text = content.decode("utf-8-sig")
            return [list(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
        except UnicodeDecodeError:
            _refuse(
                path,
                0,
                "it is not in UTF-8; save it as 'CSV UTF-8', or as a workbook",
                "הקובץ אינו ב־UTF-8; יש לשמור אותו כ־CSV UTF-8, או כחוברת",
            )
        except csv.Error:
            _refuse(
                path,
                0,
                "its quotes do not close; save it again as 'CSV UTF-8'",
                "המירכאות אינן נסגרות; יש לשמור את הקובץ שוב כ־CSV UTF-8",
            )
    try:
        cells = read_sheet(content, 0).cells
    except UnreadableError as error:
        _refuse(path, 0, str(error), error.he)
    except Exception as error:  # readers raise what they like on files of other kinds
        _refuse(
            path,
            0,
            f"it is no workbook that can be read ({type(error).__name__}); save it again as .xlsx",
            "הקובץ אינו חוברת שאפשר לקרוא; יש לשמור אותו שוב כ־xlsx",
        )
    return [["" if cell is None else str(cell) for cell in row] for row in cells.iter_rows()]


def _check_key(
    path: Path, row: int, key: str, known: Mapping[str, Text], held: Mapping[str, int]
) -> None:
    if not key:
        _refuse(
            path,
            row,
            "a text without a key; put the key back, or empty the row",
            "יש טקסט בלי מפתח; יש להחזיר את המפתח, או לרוקן את השורה",
        )
    if key not in known and not _ITEM.fullmatch(key):
        shown = key if re.fullmatch(r"[\w.]{1,60}", key) else "?"
        _refuse(
            path,
            row,
            f"no text has the key '{shown}'; take the keys of a file that `make forms` writes",
            f"אין טקסט שמפתחו '{shown}'; יש לקחת את המפתחות מקובץ ש־make forms כותב",
        )
    if key in held:
        _refuse(
            path,
            row,
            f"'{key}' stands in row {held[key]} too; keep one of them",
            f"'{key}' מופיע גם בשורה {held[key]}; יש להשאיר אחד",
        )


def _check_text(path: Path, row: int, key: str, he: str, text: str) -> None:
    if _FORMULA.match(text) or re.match(ERROR_CELL, text):
        _refuse(
            path,
            row,
            f"'{key}': a formula, or the error of one; write the words themselves",
            f"'{key}': נוסחה, או שגיאה של נוסחה; יש לכתוב את המילים עצמן",
        )
    if _UNSEEN.search(text) or "<" in text or ">" in text:
        _refuse(
            path,
            row,
            f"'{key}': it holds < or >, or a sign that cannot be seen; write plain words",
            f"'{key}': יש בו < או >, או סימן שאינו נראה; יש לכתוב מילים בלבד",
        )
    if len(text) > _LONGEST:
        _refuse(
            path,
            row,
            f"'{key}': {len(text)} characters; {_LONGEST} at most",
            f"'{key}': {len(text)} תווים; לכל היותר {_LONGEST}",
        )
    wanted, given = sorted(_HOLE.findall(he)), sorted(_HOLE.findall(text))
    if wanted != given or "{" in _HOLE.sub("", text) or "}" in _HOLE.sub("", text):
        named = ", ".join(f"{{{name}}}" for name in wanted) or "-"
        _refuse(
            path,
            row,
            f"'{key}': what is filled in must stand once each, in braces and in Latin letters as in"
            f" the Hebrew: {named}",
            f"'{key}': כל מה שמתמלא צריך לעמוד פעם אחת, בסוגריים מסולסלים ובאותיות לטיניות כמו"
            f" בעברית: {named}",
        )


def _refuse(path: Path, row: int, en: str, he: str) -> NoReturn:
    where_en, where_he = (f": row {row}", f": שורה {row}") if row else ("", "")
    raise CityError(f"{path}{where_en}: {en}.", f"{path}{where_he}: {he}.")


# ---- writing ----------------------------------------------------------------------------------


def normal_csv(texts: Mapping[str, Translation]) -> str:
    """Return translations as a release keeps them: without whatever else a workbook holds."""
    held = io.StringIO()
    lines = csv.writer(held, lineterminator="\n")
    lines.writerow((HEAD[0], HEAD[1], HEAD[3]))
    lines.writerows((key, one.of, one.text) for key, one in sorted(texts.items()))
    return held.getvalue()


def write_translation_file(
    path: Path, language: str, city: CityFolder, items: Mapping[str, Text]
) -> int:
    """Write the file of texts to translate, with what the city has translated; return how many not.

    Args:
        path: the workbook.
        language: `en`, `ru` or `am`.
        city: whose names can be translated.
        items: what its last release does not measure, by key `item.<id>`.
    """
    filled = read_translations(city).get(language, {})
    texts = catalogue(city.policy) | dict(items)
    is_left = 0
    with xlsxwriter.Workbook(
        path, {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    ) as book:
        book.set_properties({"title": f"{SHEET} – {LANGUAGES[language]}", "created": _CREATED})
        wrapped = {"text_wrap": True, "valign": "top", "border": 1, "border_color": "#b0b0b0"}
        told = book.add_format(wrapped | {"reading_order": 2})
        head = book.add_format(wrapped | {"bold": True, "bg_color": "#d9e2ee", "reading_order": 2})
        left = book.add_format(wrapped | {"reading_order": 1, "bg_color": "#f5f6f3"})
        open_ = book.add_format(wrapped | {"reading_order": 1, "locked": False, "num_format": "@"})
        sheet = book.add_worksheet(SHEET)
        sheet.right_to_left()
        sheet.protect("", {"format_columns": True, "format_rows": True})
        sheet.merge_range(0, 0, 0, 3, _INSTRUCTION.format(name=LANGUAGES[language]), told)
        sheet.set_row(0, 78)
        sheet.write_row(1, 0, HEAD, head)
        for place, width in enumerate((30, _IN_A_LINE, _IN_A_LINE, _IN_A_LINE)):
            sheet.set_column(place, place, width)
        for row, (key, text) in enumerate(texts.items(), start=2):
            held = filled.get(key)
            is_current = held is not None and held.of == text.he
            is_left += not is_current and not (language == ENGLISH and text.en)
            longest = max(len(text.he), len(text.en), len(held.text) if held else 0)
            sheet.set_row(row, _LINE * (1 + longest // _IN_A_LINE))
            sheet.write_string(row, 0, key, left)
            sheet.write_string(row, 1, text.he, told)
            sheet.write_string(row, 2, text.en, left)
            if held is not None and is_current:
                sheet.write_string(row, 3, held.text, open_)
            else:
                sheet.write_blank(row, 3, None, open_)
        sheet.freeze_panes(2, 0)
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(1)
    return is_left


_INSTRUCTION = (
    "תרגום לשפה {name}: ממלאים את העמודה האחרונה. מה שבסוגריים מסולסלים נשאר כמו שהוא, למשל "
    "{{money}}. תא ריק נשאר בעברית. את הקובץ המלא שומרים בתיקייה translations של העיר, באותו שם.\n"
    "Fill the last column; keep what stands in braces as it is; an empty cell stays in Hebrew. Save"
    " the file under its name in the city's folder translations."
)


def told_of(city: CityFolder) -> Iterator[tuple[str, int]]:
    """Yield the languages whose file a city has, and how many texts each leaves in Hebrew.

    Raises:
        CityError: as `languages_of`.
    """
    for code, texts in read_translations(city).items():
        if texts and code != ENGLISH:
            yield LANGUAGES[code], len(missing(city, code))
