"""Draft the settings of a city from the files in its folder, and keep what was settled.

Every table is drafted by `propose`; what that leaves open becomes a question, once for the city: an
answer serves all later files. A file that no mapping takes yet is read by the mapping of a file of
another year, if its headers are there; only what changed is asked. What stands in `city.yaml`
stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.settings.fields import dictionary
from pipelines.settings.mapping import FACTORS, SourceMapping
from pipelines.settings.policy_defaults import DEFAULTS, OPEN
from pipelines.settings.yaml_files import CityError, read_yaml
from pipelines.sources import normalise
from pipelines.sources.admission import header_shown
from pipelines.sources.guess import describe, rank
from pipelines.sources.personal import mask_personal
from pipelines.sources.propose import (
    FITS,
    Draft,
    Layout,
    draft,
    form_of,
    form_sheets,
    layouts,
    proposals,
    said_above,
)
from pipelines.sources.workbook import UnreadableError

NONE = "none"
"""The answer that a table, a column or a programme is none of those that are known."""
NEW = "new"
"""The answer that a programme is one of the city's own; `new=<id>` names it."""
_YES, _NO = "yes", "no"
_NOTHING = 0.15  # a table that fits a source less well is no source's, and nobody is asked
_SAME_LAYOUT = 0.6  # share of a mapping's headers that a changed file still has
_PLACE = ("format", "encoding", "delimiter", "sheet", "header_row", "header_rows")
_WORDS = Path(__file__).parents[1] / "settings" / "new_city.yaml"
REGISTER, FORECAST, DELIVERY, BUDGET = (
    "register__schools",
    "register__forecast",
    "programmes__delivery",
    "finance__budget_lines",
)


@cache
def words() -> dict[str, Any]:
    """Return what is known of a city that says nothing yet (`settings/new_city.yaml`)."""
    return dict(read_yaml(_WORDS))


@cache
def catalogue() -> dict[str, Any]:
    """Return the programmes that are registered for every city, by id."""
    held = read_yaml(DEFAULTS)["where_named"]["responses"]
    return {key: entry for key, entry in held.items() if key in words()["responses"]}


# ---- questions --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """One thing that the files do not say.

    Attributes:
        id: what is asked, in words that stay the same in later years.
        en, he: the question.
        choices: possible answers; any text if there are none.
        default: what holds until somebody answers; None = nothing.
    """

    id: str
    en: str
    he: str
    choices: tuple[str, ...] = ()
    default: str | None = None


@dataclass
class Answers:
    """What was answered, by question; who is asked further; and what nobody answered.

    Attributes:
        given: id of a question → answer, or `OPEN`.
        ask: whom to ask; None = nobody, so that a question stays open.
        asked: all questions that came up, answered or not.
        open: those that nobody answered.
    """

    given: dict[str, str]
    ask: Callable[[Question], str | None] | None = None
    asked: list[Question] = field(default_factory=list)
    open: list[Question] = field(default_factory=list)

    def of(self, question: Question) -> str | None:
        """Return the answer, or what holds until there is one."""
        if question.id not in {one.id for one in self.asked}:
            self.asked.append(question)
        if self.given.get(question.id, OPEN) != OPEN:
            return str(self.given[question.id])
        if self.ask and (reply := self.ask(question)):
            self.given[question.id] = reply
            return reply
        self.given[question.id] = OPEN
        if question.id not in {one.id for one in self.open}:
            self.open.append(question)
        return question.default

    def knows(self, question_id: str) -> bool:
        """Whether something was asked before, so that its answer is to be heeded again."""
        return question_id in self.given


# ---- tables -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """A table of a file and how it is read.

    Attributes:
        path: the file.
        layout: where the table stands, and its rows.
        source_id: what it holds.
        mapping: how it is read, as `city.yaml` holds it.
    """

    path: Path
    layout: Layout
    source_id: str
    mapping: dict[str, Any]

    def column(self, name: str) -> list[str]:
        """Return a column as the mapping reads it, in the contract's spelling where that is known;
        empty where the table has none.
        """
        constants = self.mapping.get("constants", {})
        if name in constants:
            return [constants[name]] * len(self.layout.rows)
        header = self.mapping.get("columns", {}).get(name) or self._melted(name)
        if header not in self.layout.rows.columns:
            return []
        held = self.mapping.get("values", {}).get(name, {})
        texts = [(value or "").strip() for value in self.layout.rows[header]]
        return [held.get(text) or _spelt(name, text) for text in texts]

    def numbers(self, name: str) -> list[float]:
        """Return a column of numbers in the contract's unit; what is no number is 0."""
        factor = float(FACTORS[self.mapping.get("units", {}).get(name, "nis")])
        return [float(normalise.number(text) or 0) * factor for text in self.column(name)]

    def _melted(self, name: str) -> str | None:
        if name == self.mapping.get("unpivot", {}).get("column"):
            return dictionary().fields[name].he
        for groups in self.layout.wide.values():
            held = self.mapping.get("unpivot", {}).get("values", {})
            for value, group in groups.items():
                for label, header in group.items():
                    if held.get(value, {}).get(name) == header:
                        return label
        return None


def _spelt(name: str, text: str) -> str:
    if name == "school_year":
        return normalise.school_year(text) or normalise.whole_number(text) or text
    if dictionary().fields[name].allowed:
        return normalise.known_spellings(name).get(normalise.spelling(text), text)
    return text


@dataclass
class NewCity:
    """A city as it was drafted.

    Attributes:
        tables: what is read, and how.
        forms: filled forms of the product: source → its mapping.
        left: file (and sheet) that is not read, and why in both languages.
        notes: what was taken for granted, in both languages.
        sheets: file that was looked at → its sheets with a table.
        own: the city's own programmes that no catalogue has: id → name.
    """

    tables: list[Read] = field(default_factory=list)
    forms: dict[str, dict[str, str]] = field(default_factory=dict)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    sheets: dict[str, set[str]] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def of(self, source_id: str) -> list[Read]:
        """Return the tables of a source."""
        return [table for table in self.tables if table.source_id == source_id]

    def has(self, source_id: str, column: str | None = None) -> bool:
        """Whether any table is of a source, and brings a column."""
        return source_id in self.forms or any(
            column is None or table.column(column) for table in self.of(source_id)
        )


def look(folder: Path, settled: dict[str, Any], answers: Answers) -> NewCity:
    """Look at every file of a city's folder and say how it is read.

    Args:
        folder: the city's folder; its files lie in `files/`.
        settled: what `city.yaml` holds already; empty for a city that is new.
        answers: what people said, and whom to ask.
    """
    city = NewCity()
    known = [
        (source_id, dict(mapping))
        for source_id, held in settled.get("sources", {}).items()
        for mapping in (held if isinstance(held, list) else [held])
    ]
    for path in sorted((folder / "files").glob("*")):
        if path.name.startswith(("~$", ".")) or not path.is_file():
            continue
        try:
            if forms := form_sheets(layouts(path)):
                city.forms |= {name: form_of(path.name, sheet) for name, sheet in forms.items()}
                continue
            drafts = proposals(path)
        except UnreadableError as error:
            city.left.append((path.name, str(error), error.he))
            continue
        city.sheets[path.name] = {str(one.layout.options.get("sheet", "")) for one in drafts}
        for found in drafts:
            read = _read(path, found, known, answers, city)
            if read:
                city.tables.append(read)
                known.append((read.source_id, read.mapping))
    _name_responses(city, answers)
    return city


def _read(
    path: Path,
    found: Draft,
    known: list[tuple[str, dict[str, Any]]],
    answers: Answers,
    city: NewCity,
) -> Read | None:
    """Return how one table is read: as settled, as in another year, or as it looks."""
    headers = _headers(found.layout)
    for source_id, mapping in known:
        if _takes(mapping, path, found.layout):
            if answers.knows(f"files/{_place(path, found.layout)}/source"):
                meant = _ask_source(path, found, answers)
                if meant != source_id:
                    return _fresh(path, found, answers, city)
            same = _renewed(path, found.layout, source_id, mapping, answers, is_new=False)
            return Read(path, found.layout, source_id, same)
    alike = [
        (len(_named(mapping) & headers) / max(1, len(_named(mapping))), number)
        for number, (source_id, mapping) in enumerate(known)
    ]
    share, number = max(alike, default=(0.0, -1))
    if share == 1 or (share >= _SAME_LAYOUT and known[number][0] == found.source_id):
        source_id, mapping = known[number]
        again = _renewed(path, found.layout, source_id, mapping, answers, is_new=True)
        return Read(path, found.layout, source_id, again)
    return _fresh(path, found, answers, city)


def _headers(layout: Layout) -> set[str]:
    groups = [group for values in layout.wide.values() for group in values.values()]
    return {*layout.rows.columns, *(header for group in groups for header in group.values())}


def _shown(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the headers that may be shown: one that looks like a person's data is none to name."""
    return tuple(header for header in headers if header_shown(header) == header)


def _named(mapping: dict[str, Any]) -> set[str]:
    groups = mapping.get("unpivot", {}).get("values", {}).values()
    grouped = {header for group in groups for header in group.values()}
    return {*mapping.get("columns", {}).values(), *grouped}


def _takes(mapping: dict[str, Any], path: Path, layout: Layout) -> bool:
    if not fnmatch(path.name, str(mapping.get("file", "")).replace("{school_year}", "*")):
        return False
    sheet, mapped = layout.options.get("sheet"), mapping.get("sheet", 0)
    return sheet is None or mapped == sheet or "{school_year}" in str(mapped)


def _renewed(
    path: Path,
    layout: Layout,
    source_id: str,
    mapping: dict[str, Any],
    answers: Answers,
    *,
    is_new: bool,
) -> dict[str, Any]:
    """Return the mapping of another year for this table; what changed is asked."""
    seen = draft(path, layout, rank(describe(layout.rows), [source_id]))
    drawn = seen.mapping
    again = {**mapping, "columns": dict(mapping.get("columns", {}))}
    if is_new:
        again = {name: value for name, value in again.items() if name not in _PLACE}
        again |= {"file": path.name, **layout.options}
        if "school_year" in mapping.get("constants", {}):
            year = _year_of(path, layout, source_id, answers)
            again["constants"] = mapping["constants"] | {"school_year": year}
    elif answers.knows(f"files/{path.name}/school_year"):
        year = _year_of(path, layout, source_id, answers)
        again["constants"] = mapping.get("constants", {}) | {"school_year": year}
    for name in again["columns"]:
        asked = f"{source_id}/columns/{name}/"
        for key in [one for one in answers.given if one.startswith(asked)]:
            if key.removeprefix(asked) not in _headers(layout) and not is_new:
                again["columns"][name] = key.removeprefix(asked)  # its answer is heeded
    for todo in seen.todos:
        if todo.place[:1] == ("fill_down",):
            names = list(todo.place[1:])
            if answers.knows(f"{source_id}/fill_down/{'+'.join(names)}"):
                _fill_down(path, source_id, names, again, answers)
    for name, header in list(again["columns"].items()):
        if header in layout.rows.columns or header in _headers(layout):
            continue
        guessed = drawn.get("columns", {}).get(name)
        reply = answers.of(
            Question(
                f"{source_id}/columns/{name}/{header}",
                f"{path.name}: the header '{header_shown(header)}' is gone; which one is it now?",
                f"{path.name}: הכותרת «{header_shown(header)}» אינה בקובץ; איזו כותרת באה במקומה?",
                _shown(layout.rows.columns),
                guessed,
            )
        )
        if reply in layout.rows.columns:
            again["columns"][name] = reply
        elif name in dictionary().contract(source_id).contract_nullable:
            del again["columns"][name]
    units = dict(mapping.get("units", {}))
    for name in again["columns"]:
        now, before = drawn.get("units", {}).get(name), units.get(name)
        question_id = f"{source_id}/units/{name}/{path.name}"
        is_seen = now != before and name in drawn.get("columns", {})
        if (is_new and is_seen) or answers.knows(question_id):
            unit = answers.of(
                Question(
                    question_id,
                    f"{path.name}: {name} was in {before or 'whole units'} and looks like"
                    f" {now or 'whole units'} now: which is right?",
                    f"{path.name}: היחידה של «{dictionary().fields[name].he}» השתנתה: מה נכון?",
                    tuple(FACTORS),
                    now or "nis",
                )
            )
            units[name] = unit or "nis"
    if units:
        again["units"] = {name: unit for name, unit in units.items() if unit != "nis"}
    _ask_values(path, source_id, seen, again, answers)
    return again


def _year_of(path: Path, layout: Layout, source_id: str, answers: Answers) -> str:
    said = said_above(source_id, {"semel_mosad"}, path, layout).get("school_year")
    if said and not said.others:
        return said.value
    found = (said.value, *said.others) if said else ()
    reply = answers.of(
        Question(
            f"files/{path.name}/school_year",
            f"{path.name}: which school year is it of (the year in which it ends)?",
            f"{path.name}: של איזו שנת לימודים הקובץ (השנה שבה היא מסתיימת)?",
            found,
            found[0] if found else None,
        )
    )
    return _spelt("school_year", reply or "")


def _fresh(path: Path, found: Draft, answers: Answers, city: NewCity) -> Read | None:
    """Return how a table of a new kind is read, after what its draft leaves open was asked."""
    place = _place(path, found.layout)
    if found.candidates[0].score < _NOTHING:
        city.left.append((place, "no source fits it", "אינו מתאים לאף מקור"))
        return None
    if found.is_doubtful:
        reply = _ask_source(path, found, answers)
        if reply not in dictionary().sources:
            city.left.append((place, "no source of the project", "אינו מקור של הפרויקט"))
            return None
        if reply != found.source_id:
            again = rank(describe(found.layout.rows), [reply])
            found = draft(path, found.layout, again)
    source_id, mapping = found.source_id, found.mapping
    mapping["columns"] = mapping.get("columns") or {}
    for todo in found.todos:
        kind, *rest = todo.place or ("",)
        if kind == "columns":
            _settle_column(path, found, rest[0], mapping, answers, city)
        elif kind == "constants":
            mapping["constants"][rest[0]] = _constant(path, found, rest[0], answers)
        elif kind == "fill_down":
            _fill_down(path, source_id, rest, mapping, answers)
    _ask_values(path, source_id, found, mapping, answers)
    if misfit := SourceMapping.model_validate(mapping).misfit(source_id):
        city.left.append((place, misfit, "חסרות עמודות חובה"))
        return None
    return Read(path, found.layout, source_id, mapping)


def _place(path: Path, layout: Layout) -> str:
    sheet = layout.options.get("sheet")
    return path.name + (f" / {sheet}" if sheet else "")


def _ask_source(path: Path, found: Draft, answers: Answers) -> str | None:
    place = _place(path, found.layout)
    choices = tuple(candidate.source_id for candidate in found.candidates[:4])
    named = ", ".join(f"{one}: {dictionary().source_he(one)}" for one in choices)
    named_he = ", ".join(dictionary().source_he(one) for one in choices)
    return answers.of(
        Question(
            f"files/{place}/source",
            f"{place}: what is in it? ({named})",
            f"{place}: מה יש בקובץ? ({named_he})",
            (*choices, NONE),
            choices[0] if found.candidates[0].score >= FITS else NONE,
        )
    )


def _constant(path: Path, found: Draft, name: str, answers: Answers) -> str:
    if name == "school_year":
        return _year_of(path, found.layout, found.source_id, answers)
    held = found.mapping["constants"][name]
    reply = answers.of(
        Question(
            f"files/{path.name}/{name}",
            f"{path.name}: its title and its name say different things: {name}?",
            f"{path.name}: הכותרת והשם אומרים דברים שונים: {dictionary().fields[name].he}?",
            tuple(str(value) for value in dictionary().fields[name].allowed),
            held,
        )
    )
    return reply or held


def _fill_down(
    path: Path, source_id: str, names: list[str], mapping: dict[str, Any], answers: Answers
) -> None:
    labels = ", ".join(dictionary().fields[name].he for name in names)
    question = Question(
        f"{source_id}/fill_down/{'+'.join(names)}",
        f"{path.name}: do empty cells in {', '.join(names)} repeat the cell above?",
        f"{path.name}: האם תאים ריקים ב«{labels}» חוזרים על התא שמעליהם?",
        (_YES, _NO),
        _YES,
    )
    if answers.of(question) == _YES:
        mapping["fill_down"] = names
    else:
        mapping.pop("fill_down", None)


def _settle_column(
    path: Path,
    found: Draft,
    name: str,
    mapping: dict[str, Any],
    answers: Answers,
    city: NewCity,
) -> None:
    """Find a required column that has no header: known of such files, or asked."""
    source_id, label = found.source_id, dictionary().fields[name]
    question_id = f"{source_id}/columns/{name}"
    assumed = words()["assumed"].get(source_id, {}).get(name)
    if assumed and question_id not in answers.given:
        mapping.setdefault("constants", {})[name] = assumed["value"]
        note = (f"{source_id}.{name} is taken as {assumed['value']} everywhere", assumed["he"])
        if note not in city.notes:
            city.notes.append(note)
        return
    free = _shown(
        header for header in found.layout.rows.columns if header not in mapping["columns"].values()
    )
    reply = answers.of(
        Question(
            question_id,
            f"{path.name}: which header is {label.en}? Or '=' and a value for all rows",
            f"{path.name}: איזו כותרת היא «{label.he}»? או '=' וערך שנכון לכל השורות",
            free,
        )
    )
    if reply and reply.startswith("="):
        mapping.setdefault("constants", {})[name] = _spelt(name, reply[1:].strip())
    elif reply in found.layout.rows.columns:
        mapping["columns"][name] = reply


def _ask_values(
    path: Path, source_id: str, found: Draft, mapping: dict[str, Any], answers: Answers
) -> None:
    """Ask what values of categories mean that nobody knows yet."""
    for todo in found.todos:
        if todo.place[:1] != ("values",) or len(todo.place) < 3 or todo.place[1] == "response_id":
            continue
        _, name, value = todo.place
        if name not in mapping["columns"] or value in mapping.get("values", {}).get(name, {}):
            continue
        label = dictionary().fields[name]
        reply = answers.of(
            Question(
                f"{source_id}/values/{name}/{value}",
                f"{path.name}: what is '{value}' in {label.en}?",
                f"{path.name}: מה פירוש «{value}» בעמודה «{label.he}»?",
                (*(str(one) for one in label.allowed), NONE),
            )
        )
        if reply and reply != NONE:
            mapping.setdefault("values", {}).setdefault(name, {})[value] = _spelt(name, reply)


# ---- programmes -------------------------------------------------------------------------------


def _name_responses(city: NewCity, answers: Answers) -> None:
    """Give every programme that a file names its id in the catalogue; ask of those that resemble
    none.
    """
    ids = _registered(city)
    for table in city.tables:
        if "response_id" not in table.mapping.get("columns", {}):
            continue
        header = table.mapping["columns"]["response_id"]
        held = table.mapping.get("values", {}).get("response_id", {})
        written = {(text or "").strip() for text in table.layout.rows[header]} - {""}
        asked = {name for name in held if answers.knows(f"responses/{name}")}
        for name in sorted(written - (held.keys() - asked)):
            if normalise.spelling(name) in ids:
                meant: str | None = ids[normalise.spelling(name)]
            elif table.source_id == "programmes__registry":
                continue  # a programme of the city's own, known by its own id
            elif mask_personal(name) != name:
                continue  # it may name a person, so nobody is shown it: its row is set aside
            else:
                meant = _programme(name, answers)
            if meant and meant.partition("=")[0] == NEW:
                meant = _own_id(meant, name)
                city.own.setdefault(meant, name)
            if (meant in catalogue() or meant in city.own) and meant != name:
                values = table.mapping.setdefault("values", {})
                values.setdefault("response_id", {})[name] = meant
            elif meant == NONE:  # people said so: its rows are left out, and counted
                skipped = table.mapping.setdefault("skip_where", {})
                before = skipped.get("response_id", "")
                if re.fullmatch(before, name) is None or not before:
                    skipped["response_id"] = "|".join(filter(None, (before, re.escape(name))))


def _known_names() -> dict[str, str]:
    return {
        normalise.spelling(str(text)): key
        for key, entry in catalogue().items()
        for text in (key, entry["name_he"], entry["name_en"], entry["name_he"].split("–")[0])
    }


def _registered(city: NewCity) -> dict[str, str]:
    """Return ids by the names of the catalogue, and by those of the city's own list."""
    names = _known_names()
    for table in city.of("programmes__registry"):
        own, called = table.column("response_id"), table.column("response_name_he")
        for key, name in zip(own, called, strict=False):
            if meant := names.get(normalise.spelling(name)):
                names[normalise.spelling(key)] = meant
            else:
                names.setdefault(normalise.spelling(key), key)
                names.setdefault(normalise.spelling(name), key)
    return names


def _programme(name: str, answers: Answers) -> str | None:
    known = _known_names()
    spelt = normalise.spelling(name)
    inside = {key for text, key in known.items() if re.search(rf"\b{re.escape(text)}\b", spelt)}
    if len(inside) == 1:  # תוכנית מיל"ת is מיל"ת
        return inside.pop()
    near = get_close_matches(spelt, known, 1, 0.75)
    return answers.of(
        Question(
            f"responses/{name}",
            f"The programme '{name}' is none of the catalogue: which one is it? ({NEW}: one of the"
            f" city's own, to be described in the policy; {NONE}: it is left out)",
            f"המענה «{name}» אינו מוכר: איזה מענה מן הרשימה הוא? ({NEW}: מענה של העיר, שיתואר"
            f" במדיניות; {NONE}: לא ייכלל)",
            (*catalogue(), NEW, NONE),
            known[near[0]] if near else None,
        )
    )


_LATIN = str.maketrans(
    dict(zip("אבגדהוזטיכלמנסעפקרתךםןף", "abgdhvztyklmnsapkrtkmnp", strict=True))
    | {"ח": "ch", "צ": "tz", "ץ": "tz", "ש": "sh"}
)


def _own_id(reply: str, name: str) -> str:
    """Return the id of a programme of the city's own: as it was given, else by its letters."""
    given = reply.partition("=")[2].strip()
    if given:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", given) or given in catalogue():
            raise CityError(
                f"responses/{name}: '{given}' cannot be the id of a new programme: a–z, 0–9 and _,"
                " beginning with a letter, and none of the catalogue",
                f"responses/{name}: '{given}' אינו יכול להיות מזהה של מענה חדש: אותיות לטיניות"
                " קטנות, ספרות ו־_, אות בתחילתו, ולא מזהה שכבר קיים ברשימה",
            )
        return given
    letters = re.sub("[\"']", "", normalise.spelling(name)).translate(_LATIN)
    found = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    return f"own_{found}" if found in catalogue() or not found[:1].isalpha() else found


# ---- city.yaml --------------------------------------------------------------------------------


def city_settings(
    name: str, settled: dict[str, Any], city: NewCity, answers: Answers
) -> dict[str, Any]:
    """Return what `city.yaml` is to hold: what is settled, and what the files add to it.

    Args:
        name: of the city's folder.
        settled: what it holds already.
        city: how the files are read.
        answers: what people said, and whom to ask.
    """
    # A forecast is of a year that has no data yet.
    measured = [table for table in city.tables if table.source_id != FORECAST]
    years = sorted(int(year) for year in _years(measured) if re.fullmatch(r"20\d\d", year))
    registered = [int(year) for year in _years(city.of(REGISTER)) if year.isdecimal()]
    subjects = {
        value
        for table in city.tables
        for value in table.column("subject")
        if value in ("hebrew", "arabic", "math", "english", "science")
    }
    held = settled.get("school_years", {})
    first = min([*years[:1], held.get("first", 9999)])
    last = max([*years[-1:], held.get("last", 0)])
    notes = [*settled.get("notes_he", []), *(he for _, he in city.notes)]
    return {
        "city": settled.get("city") or _identity(name, answers),
        "scope": settled.get("scope")
        or {
            "name": "all",
            "education_stages": ["elementary"],
            "education_types": ["regular"],
            "legal_statuses": ["official", "recognised_unofficial", "exempt"],
        },
        "school_years": {
            "first": first,
            "last": last,
            "reference": max([*registered, held.get("reference", first)]),
        },
        "subjects": sorted({*subjects, *settled.get("subjects", [])}),
        **{
            key: value
            for key, value in settled.items()
            if key
            not in ("city", "scope", "school_years", "subjects", "scales", "notes_he", "sources")
        },
        "scales": _scales(city) | settled.get("scales", {}),
        "notes_he": list(dict.fromkeys(notes)),
        "sources": _sources(settled, city),
    }


def _years(tables: list[Read]) -> Iterator[str]:
    return (year for table in tables for year in set(table.column("school_year")))


def _identity(name: str, answers: Answers) -> dict[str, Any]:
    he = answers.of(
        Question("city/name_he", "What is the city called in Hebrew?", "מה שם העיר?", (), name)
    )
    return {"id": name, "name_he": he, "name_en": name, "is_synthetic": False}


def _sources(settled: dict[str, Any], city: NewCity) -> dict[str, Any]:
    """Return the mappings: those settled whose file nobody looked at, and those of the tables."""
    read = {
        (table.source_id, table.mapping["file"], str(table.mapping.get("sheet", "")))
        for table in city.tables
    }
    found: dict[str, list[Any]] = {}
    for source_id, held in settled.get("sources", {}).items():
        for mapping in held if isinstance(held, list) else [held]:
            key = (source_id, mapping.get("file"), str(mapping.get("sheet", "")))
            sheets = city.sheets.get(str(mapping.get("file")), {key[2]})
            is_gone = key[2] and "{school_year}" not in key[2] and key[2] not in sheets
            is_form = mapping.get("form") in {form["form"] for form in city.forms.values()}
            if key not in read and not is_form and not is_gone:
                found.setdefault(source_id, []).append(mapping)
    for table in city.tables:
        mappings = found.setdefault(table.source_id, [])
        if table.mapping not in mappings:
            mappings.append(table.mapping)
    for source_id, form in city.forms.items():
        found.setdefault(source_id, []).append(form)
    order = {source_id: number for number, source_id in enumerate(dictionary().sources)}
    return {
        source_id: held[0] if len(held) == 1 else held
        for source_id, held in sorted(found.items(), key=lambda item: order[item[0]])
    }


def _scales(city: NewCity) -> dict[str, Any]:
    """Return the scales that scores stand on, as they look: of percents, or national."""
    found = {}
    for source_id, column in (
        ("tests__school_means", "score_mean"),
        ("tests__pupil_scores", "score"),
    ):
        for scale_id in sorted({one for t in city.of(source_id) for one in t.column("scale_id")}):
            scores = [n for table in city.of(source_id) for n in table.numbers(column) if n]
            if not scores:
                continue
            if max(scores) <= 100:
                held = words()["scale"]["percent"]
                mean = {"mean": round(sum(scores) / len(scores)), "min": 0, "max": 100}
            else:
                held, mean = words()["scale"]["national"], {}
                mean = {"mean": held["mean"]}
            found[scale_id] = {
                "kind": "declared",
                **mean,
                "sd": held["sd"],
                "source": "assumed",
                "reason": held["reason_he"],
            }
    return found


def missing_results(city: NewCity) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the results that no file of the city feeds: in English, in Hebrew, and by which
    source each would be.
    """
    return [
        (result["en"], result["he"], tuple(result["sources"]))
        for result in words()["results"]
        if not any(city.has(source_id) for source_id in result["sources"])
    ]
