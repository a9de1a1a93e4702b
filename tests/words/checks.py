"""What must hold of every word of a release (R124); each check returns its faults in words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from pipelines.publish import words
from pipelines.settings.fields import dictionary
from tests.words.claims import CLAIMS
from tests.words.concepts import CONCEPTS, Concept
from tests.words.reading import Release

# Names that stand in Latin letters wherever they are written: statistics, and the formula of W.
LATIN = {"n", "W", "a", "E", "AUC"}
# Pages that show names of columns, files and checks to those who mend them.
IDENTIFIERS = {"annex/quality.html", "annex/guide.html"}
NOT_MEASURED = "לא נמדד"
# Tables of names of files and checks, and columns in which a city writes what it likes.
_FOR_ANALYSTS = {"mart_data_quality", "mart_quarantine", "mart_quarantine_summary", "mart_repair"}
_FREE_TEXT = {"reason_he"}
# Sheets of the workbook that hold sentences.
_SENTENCES = {"שער", "ממצאים", "מה לא נמדד"}
_LETTERS = re.compile(r"[A-Za-z][A-Za-z_.\-]*")
_CELL = re.compile(r'data-cell="([^"]*)" data-value="([^"]*)">([^<]*)<')
_MANY = (
    "בתי ספר|מענים|שורות|צעדים|קבוצות|צירופים|תופעות|החלטות|מקצועות|כללים|נכסים|תאים|משתתפים"
    "|תלמידים|אזהרות|מדרגים"
)
_ONE = re.compile(rf"(?<![\d.,–−+/])(?<!מ־)1 (?:{_MANY})(?![א-ת])")
_RANGE = re.compile(r"(?<![\d.])([+−]?\d[\d,]*(?:\.\d+)?)%? עד ([+−]?\d[\d,]*(?:\.\d+)?)(?![\d/])")
_HEDGED = re.compile(r"כ־(?!\d+\+)\d|בערך \d|בסביבות|ככל הנראה|כנראה כ")


def numbers(release: Release, concepts: Sequence[Concept] = CONCEPTS) -> Iterator[str]:
    """Each concept has one number everywhere, that of the marts, and is told at least once."""
    for concept in concepts:
        wanted = concept.reckon(release.tables)
        found = [
            (place, match)
            for pattern in concept.patterns()
            for place, text in release.texts.items()
            if not is_sheet(place)
            for match in pattern.finditer(text)
        ]
        if wanted is None:
            continue
        if not found and concept.is_always_told:
            yield f"{concept.name}: told nowhere, though it is {wanted}"
        for place, match in found:
            if tuple(map(_plain, match.groups())) != tuple(map(_plain, wanted)):
                yield f"{place}: {concept.name} is {wanted}, not {match.groups()}: {match[0]!r}"


def _plain(text: str) -> str:
    """A number without the percent sign that some sentences have beside it."""
    return text.rstrip("%.,")


def cells(release: Release) -> Iterator[str]:
    """Every number with an address is its mart cell's, and is written the same wherever it is."""
    held: dict[tuple[str, str], dict[str, object]] = {}
    shown: dict[str, set[str]] = {}
    for page, markup in release.markup.items():
        for address, value, text in _CELL.findall(markup):
            address, text = html.unescape(address), html.unescape(text)
            table, key, column = re.fullmatch(r"(\w+)/(.*)/(\w+)", address).groups()
            if (table, column) not in held:
                keys = [part.split("=", 1)[0] for part in key.split(";")]
                frame = release.tables[table]
                names = frame.select(
                    pl.concat_str(
                        [pl.lit(f"{k}=") + pl.col(k).cast(pl.String) for k in keys], separator=";"
                    )
                ).to_series()
                held[table, column] = dict(zip(names, frame[column], strict=True))
            exact = held[table, column].get(key)
            if exact is None or str(exact) != value:
                yield f"{page}: {address} holds {exact}, the page says {value}"
            elif text not in {form(exact) for form in words.FORMS.values()}:
                yield f"{page}: {address} is {exact}, shown as {text}"
            shown.setdefault(address, set()).add(text)
    yield from (
        f"{address} is written {sorted(texts)}"
        for address, texts in shown.items()
        if len(texts) > 1
    )


def quantifiers(release: Release) -> Iterator[str]:
    """Every sentence that counts or is sure is a known one, and true of its table."""
    words_of = [word for item in dictionary().meanings.values() for word in item.words]
    asked = re.compile("|".join(rf"(?<![א-ת]){word}(?![א-ת])" for word in words_of))
    for place, text in release.texts.items():
        for sentence in _sentences(text) if not is_sheet(place) else ():
            if not asked.search(sentence):
                continue
            claims = [(claim, claim.pattern.search(sentence)) for claim in CLAIMS]
            met = [(claim, match) for claim, match in claims if match]
            if not met:
                yield f"{place}: nobody checks {sentence!r}"
            for claim, match in met:
                if not claim.holds(release.tables, match):
                    yield f"{place}: not so: {sentence!r}"


def is_sheet(place: str) -> bool:
    """Whether a text is a table of the workbook: its cells are the marts' own, but of sentences."""
    return place.startswith("workbook: ") and place.removeprefix("workbook: ") not in _SENTENCES


def _sentences(text: str) -> list[str]:
    return [part for line in text.split("\n") for part in re.split(r"(?<=[.;:])\s", line)]


def spelling(release: Release) -> Iterator[str]:
    """Every term is spelled in one way; names that others gave keep theirs."""
    named = _names(release)
    for place, text in release.texts.items():
        for right, wrong in dictionary().spelled.items():
            for other in wrong:
                for match in re.finditer(rf"[^\n]{{0,30}}{re.escape(other)}[^\n]{{0,30}}", text):
                    if not any(other in name and name in text for name in named):
                        yield f"{place}: {other} is spelled {right}: {match[0]!r}"


def _names(release: Release) -> set[str]:
    """Names of the city's files and decisions: of responses, schools, criteria, and free texts."""
    kept = (
        "response_name_he",
        "school_name_he",
        "criterion_name_he",
        "decision_reason",
        "answers_he",
        "file_name",
        "goal_name_he",
    )
    return {
        value
        for frame in release.tables.values()
        for column in set(kept) & set(frame.columns)
        for value in frame[column].drop_nulls()
    }


def letters(release: Release) -> Iterator[str]:
    """No Latin letters on a Hebrew page, but of the list, of quotations and of identifiers.

    A quotation is marked as English, which is left to the names of sources and what a city wrote.
    """
    for name, page in release.pages.items():
        for node in page.nodes:
            is_quoted = node.within(lang="en") or node.within("title")
            is_named = name in IDENTIFIERS and node.within("bdi")
            for word in _LETTERS.findall(node.text) if not (is_quoted or is_named) else ():
                if word.strip(".-") not in LATIN and not _in_names(release, word):
                    yield f"{name}: {word!r} in {node.text!r}"
    for name, frame in release.tables.items():
        if name not in _FOR_ANALYSTS:
            yield from _latin_sentences(release, name, frame)


def _latin_sentences(release: Release, name: str, frame: pl.DataFrame) -> Iterator[str]:
    for column in frame.columns:
        if column.endswith("_he") and column not in _FREE_TEXT:
            for text in frame[column].drop_nulls().unique().sort():
                for word in _LETTERS.findall(text):
                    if word.strip(".-") not in LATIN and not _in_names(release, word):
                        yield f"{name}.{column}: {word!r} in {text!r}"


def _in_names(release: Release, word: str) -> bool:
    return any(word in name for name in _names(release))


def not_measured(release: Release) -> Iterator[str]:
    """Whatever a page calls not measured is a row of `mart_not_measured`, and each row is told."""
    rows = release.tables["mart_not_measured"]
    weakened = {name for text in rows["weakens"] for name in text.split(",")}
    items = set(rows["item_id"])
    for name, page in release.pages.items():
        for node in page.nodes:
            if (item := node.value_of("data-item")) and item not in items:
                yield f"{name}: {item} is told as not measured and is no row"
            if (
                node.text.strip(" .") != NOT_MEASURED
                or node.within("dl")
                or name == "annex/quality.html"
            ):
                continue
            if node.within("ul", **{"class": "facts"}) or node.value_of("data-item"):
                continue
            mart = node.value_of("data-mart")
            if mart is None or mart not in weakened:
                yield f"{name}: a cell of {mart} is not measured, and no row says so"
    for item in rows["item_he"]:
        for name in {"annex/report.html", "annex/quality.html"} & release.texts.keys():
            if " ".join(item.split()) not in release.texts[name].replace("\n", " "):
                yield f"{name}: does not say that this is not measured: {item}"
    paragraphs = re.compile(r"<p class=\"weak\"(?:(?!</p>|data-item).)*?לא נמד", re.S)
    for name, markup in release.markup.items():
        for match in paragraphs.finditer(markup):
            yield f"{name}: told as not measured without a row: {match[0][-80:]!r}"


def agreement(release: Release) -> Iterator[str]:
    """A count of one has its noun in the singular."""
    for place, text in release.texts.items():
        if not is_sheet(place):
            yield from (f"{place}: {match[0]!r}" for match in _ONE.finditer(text))


def direction(release: Release) -> Iterator[str]:
    """A number and what it counts keep their order, and a range goes from its lower end up."""
    for name, page in release.pages.items():
        for match in re.finditer(r"\d=n|n=\s*\d|\d+ / \d+", page.text):
            yield f"{name}: turned by direction: {match[0]!r}"
        for match in _RANGE.finditer(page.text):
            low, high = (float(end.replace(",", "").replace("−", "-")) for end in match.groups())
            if low > high and not _is_day(page.text, match):
                yield f"{name}: a range from {match[1]} to {match[2]}"


def _is_day(text: str, match: re.Match[str]) -> bool:
    return "." in text[max(match.start() - 1, 0)] or text[match.end() : match.end() + 1] == "."


def hedging(release: Release) -> Iterator[str]:
    """What is not sure is told as a range, not by words that give way."""
    for place, text in release.texts.items():
        if not is_sheet(place):
            yield from (f"{place}: {match[0]!r}" for match in _HEDGED.finditer(text))


def units(release: Release) -> Iterator[str]:
    """SD stand in annexes alone: what is folded away, the list of terms, the page of checks."""
    for name, page in release.pages.items():
        for node in page.nodes:
            is_annex = name in IDENTIFIERS or node.within("details") or node.within("dl")
            if not is_annex and re.search(r"ס״ת|סטיו?ת תקן|סטיית תקן", node.text):
                yield f"{name}: {node.text!r}"


CHECKS: dict[str, Callable[[Release], Iterator[str]]] = {
    check.__name__: check
    for check in (
        numbers,
        cells,
        quantifiers,
        spelling,
        letters,
        not_measured,
        agreement,
        direction,
        hedging,
        units,
    )
}


def faults(release: Release) -> list[str]:
    """All that does not hold, each with the check that says so."""
    return [f"[{name}] {fault}" for name, check in CHECKS.items() for fault in check(release)]
