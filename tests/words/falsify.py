"""Falsehoods that the checks of words must find: one sentence, number or cell at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.words.checks import CHECKS, is_sheet, numbers
from tests.words.concepts import CONCEPTS, Concept
from tests.words.reading import Release


@dataclass(frozen=True)
class Falsehood:
    """One change to a text of a release that makes it say what is not so.

    Attributes:
        name: what is falsified.
        place: where.
        faults: what the check that must find it says of that place.
    """

    name: str
    place: str
    faults: list[str]


def falsehoods(release: Release) -> Iterator[Falsehood]:
    """Try every falsehood that the release has a place for."""
    for concept in CONCEPTS:
        for place, said in _another_number(release, concept):
            changed = Release(release.tables, {}, {place: said})
            yield Falsehood(concept.name, place, _of(place, numbers(changed, [concept])))
    for name, check, place, pattern, false in _PAGES:
        markup = release.markup[place]
        if found := re.search(pattern, markup, re.S):
            said = markup[: found.start()] + found.expand(false) + markup[found.end() :]
            changed = Release(release.tables, {place: said}, {})
            yield Falsehood(name, place, _of(place, CHECKS[check](changed)))


def _of(place: str, faults: Iterator[str]) -> list[str]:
    return [fault for fault in faults if fault.startswith(f"{place}:")]


def _another_number(release: Release, concept: Concept) -> Iterator[tuple[str, str]]:
    """A place that tells a concept, and its text with the last number of the sentence changed."""
    for place, text in release.texts.items():
        for match in (pattern.search(text) for pattern in concept.patterns()):
            if match and not is_sheet(place):
                start, end = match.span(match.lastindex or 0)
                yield place, text[:start] + _another(text[start:end]) + text[end:]
                return


def _another(number: str) -> str:
    """A number with its last digit another one."""
    place = max(i for i, sign in enumerate(number) if sign.isdigit())
    return number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]


_PAGES: tuple[tuple[str, str, str, str, str], ...] = (
    # name, check, page, what stands there, what is put in its place
    (
        "a cell shows another number",
        "cells",
        "annex/report.html",
        r'(data-value="\d{4,}">)\d',
        r"\g<1>9,9",
    ),
    (
        "a cell has another address",
        "cells",
        "annex/allocation.html",
        r'data-value="(\d+)"',
        r'data-value="\g<1>7"',
    ),
    (
        "a tier that no school has",
        "quantifiers",
        "annex/report.html",
        r"<h2>",
        r"<h2>רוב בתי הספר מתחת ליעד בוודאות. ",
    ),
    (
        "all of them",
        "quantifiers",
        "annex/diagnosis.html",
        r"<main id=.content.>",
        r"\g<0><p>כולם מתחת ליעד.</p>",
    ),
    (
        "none of them",
        "quantifiers",
        "annex/scenarios.html",
        r"<main id=.content.>",
        r"\g<0><p>אף בית ספר אינו מפסיד.</p>",
    ),
    (
        "a stable plan",
        "quantifiers",
        "annex/allocation.html",
        r"<main id=.content.>",
        r"\g<0><p>התוכנית יציבה.</p>",
    ),
    (
        "most that are no majority",
        "quantifiers",
        "annex/report.html",
        r"יותר מכול ב|רובם ב",
        "רובם באומנות וב",
    ),
    (
        "a cap that does not hold",
        "quantifiers",
        "annex/report.html",
        r"<main id=.content.>",
        r"\g<0><p>אף בית ספר אינו מקבל יותר מ־1 ₪ לתלמיד.</p>",
    ),
    (
        "another spelling",
        "spelling",
        "annex/responses.html",
        r"<main id=.content.>",
        r"\g<0><p>התכנית.</p>",
    ),
    (
        "another spelling of SD",
        "spelling",
        "annex/diagnosis.html",
        r"<main id=.content.>",
        r'\g<0><p>0.2 ס"ת.</p>',
    ),
    (
        "an English word",
        "letters",
        "annex/allocation.html",
        r"<main id=.content.>",
        r"\g<0><p>התוכנית optimal.</p>",
    ),
    (
        "an identifier",
        "letters",
        "annex/wellbeing.html",
        r"<main id=.content.>",
        r"\g<0><p>chronic_absence</p>",
    ),
    (
        "a letter for a tier",
        "letters",
        "annex/scenarios.html",
        r"<main id=.content.>",
        r"\g<0><p>דרגה D</p>",
    ),
    (
        "not measured without a row",
        "not_measured",
        "annex/criteria.html",
        r"<main id=.content.>",
        r'\g<0><p class="weak">ההגינות לא נמדדה.</p>',
    ),
    (
        "an item that is no row",
        "not_measured",
        "annex/wellbeing.html",
        r"<main id=.content.>",
        r'\g<0><p class="weak" data-item="shoes">לא נמדד: נעליים.</p>',
    ),
    (
        "a cell that a row does not tell of",
        "not_measured",
        "annex/scenarios.html",
        r"<main id=.content.>",
        r'\g<0><table data-mart="mart_city"><tr><td>לא נמדד</td></tr></table>',
    ),
    ("a row that no page tells", "not_measured", "annex/quality.html", r"הבנה קוגניטיבית", "הבנה"),
    (
        "one of many",
        "agreement",
        "annex/report.html",
        r"<main id=.content.>",
        r"\g<0><p>נותרו 1 צעדים.</p>",
    ),
    (
        "a number turned round",
        "direction",
        "annex/diagnosis.html",
        r"<main id=.content.>",
        r"\g<0><p>464=n</p>",
    ),
    (
        "a fraction turned round",
        "direction",
        "annex/responses.html",
        r"<main id=.content.>",
        r"\g<0><p>36 / 1</p>",
    ),
    (
        "a range turned round",
        "direction",
        "annex/scenarios.html",
        r"<main id=.content.>",
        r"\g<0><p>0.4 עד −0.2</p>",
    ),
    (
        "money of lines called firm",
        "quantifiers",
        "index.html",
        r"<bdi dir=.ltr.>[\d.]+%</bdi></b> מן הכסף לבתי הספר",
        "99.9%</b> מן הכסף לבתי הספר",
    ),
    (
        "a majority that nobody counted",
        "quantifiers",
        "index.html",
        r"<h2>מה על הוועדה להחליט</h2>",
        r"\g<0><p>רובם מקבלים פחות</p>",
    ),
    ("SD on the first page", "units", "index.html", r"<main id=.content.>", r"\g<0><p>0.3 ס״ת</p>"),
    (
        "a hedge",
        "hedging",
        "annex/allocation.html",
        r"<main id=.content.>",
        r"\g<0><p>עולה כ־300 ₪.</p>",
    ),
    (
        "SD outside an annex",
        "units",
        "annex/report.html",
        r"<main id=.content.>",
        r"\g<0><p>0.3 ס״ת</p>",
    ),
)
