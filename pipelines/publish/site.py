"""The pages of a release: where each stands, how an audience's are drawn, and what none may hold.

What only draws pages anew (`redraw.py`) needs this and nothing of how counts are protected.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl

from pipelines.publish.drawings import Drawings
from pipelines.publish.known import of_schools
from pipelines.publish.marts import DATABASE, read_database, read_marts, write_database
from pipelines.publish.pages.allocation import render_allocation
from pipelines.publish.pages.base import ReportContext, is_plain
from pipelines.publish.pages.criteria import render_criteria
from pipelines.publish.pages.decisions import render_decisions
from pipelines.publish.pages.diagnosis import render_diagnosis
from pipelines.publish.pages.first.annexes import render_annexes
from pipelines.publish.pages.first.index import render_index
from pipelines.publish.pages.first.questions import render_questions
from pipelines.publish.pages.first.responses import render_every_response
from pipelines.publish.pages.first.responses import render_responses as render_response_list
from pipelines.publish.pages.first.scenarios import render_plans
from pipelines.publish.pages.first.schools import (
    render_every_school,
    render_schools,
)
from pipelines.publish.pages.guide import render_guide
from pipelines.publish.pages.outside.pages import render_inspectors, render_outside
from pipelines.publish.pages.plan import render_plan
from pipelines.publish.pages.quality import render_quality
from pipelines.publish.pages.report import render_report
from pipelines.publish.pages.responses import render_responses
from pipelines.publish.pages.scenarios import render_scenarios
from pipelines.publish.pages.wellbeing import render_wellbeing
from pipelines.publish.release import MANIFEST
from pipelines.publish.translations import HEBREW, LANGUAGES
from pipelines.publish.workbook import WORKBOOK, tables_of_book, write_workbook
from pipelines.settings.audiences import WHOLE, AudienceName

Tables = Mapping[str, pl.DataFrame]
# Each page by its place in the release.
PAGES: dict[str, Callable[[Tables, ReportContext], str]] = {
    "index.html": render_index,
    "questions.html": render_questions,
    "schools.html": render_schools,
    "responses.html": render_response_list,
    "scenarios.html": render_plans,
    "annex/index.html": render_annexes,
    "annex/report.html": render_report,
    "annex/diagnosis.html": render_diagnosis,
    "annex/wellbeing.html": render_wellbeing,
    "annex/criteria.html": render_criteria,
    "annex/responses.html": render_responses,
    "annex/allocation.html": render_allocation,
    "annex/scenarios.html": render_scenarios,
    "annex/decisions.html": render_decisions,
    "annex/plan.html": render_plan,
    "annex/quality.html": render_quality,
    "annex/guide.html": render_guide,
}
# Pages of which there is one a school or a response: by their folder, what draws them all by name.
FAMILIES: dict[str, Callable[[Tables, ReportContext], Mapping[str, str]]] = {
    "schools": render_every_school,
    "responses": render_every_response,
}
# Pages of those outside the administration, by their place in the audience's folder.
OUTSIDE: dict[AudienceName, Callable[[Tables, ReportContext], Mapping[str, str]]] = {
    "inspectors": render_inspectors,
    "parents": render_outside,
    "public": render_outside,
}
SYNTHETIC_MARK = "נתונים סינתטיים"
# What makes a browser ask a host: a link that a reader follows is none.
_ASKS = re.compile(
    r"http://(?!www\.w3\.org/)|<(?:link|img|iframe|object)\b|\s(?:src|action)\s*=|url\("
)


class AuditError(Exception):
    """A release is not fit to be published; the last one stays."""


def draw_again(folder: Path, release: Path, context: ReportContext) -> None:
    """Write a release that is another one with its pages drawn anew; what stays is linked.

    The pages of single schools stay: what they were drawn from is not in the release.
    """

    def left(place: str, names: list[str]) -> list[str]:
        of = Path(place).relative_to(release).parts[:1]
        return [
            name
            for name in names
            if name == MANIFEST or (name.endswith(".html") and of and of[0] in again)
        ]

    alone = of_schools(release)
    again = [
        name
        for name in (*WHOLE, *OUTSIDE)
        if name not in alone and (release / name / DATABASE).is_file()
    ]
    shutil.copytree(release, folder, ignore=left, dirs_exist_ok=True, copy_function=os.link)
    drawings = Drawings(context)
    for audience in again:
        draw(folder / audience, read_database(folder / audience / DATABASE), drawings)


def draw_from_marts(place: Path, context: ReportContext) -> None:
    """Write an audience's database, workbook and pages from the Parquet files in its folder."""
    shown = read_marts(place)
    write_database(place, shown)
    write_workbook(place / WORKBOOK, tables_of_book(place.name, shown), context)
    draw(place, shown, Drawings(context))


def draw(place: Path, shown: Mapping[str, pl.DataFrame], drawings: Drawings) -> None:
    """Write the pages of an audience, by the name of its folder.

    Args:
        place: its folder.
        shown: the marts, as it may see them.
        drawings: what was drawn for audiences before, in the same context.
    """
    outside = next((render for name, render in OUTSIDE.items() if name == place.name), None)
    pages = drawings.of(outside, shown).items() if outside else drawn(shown, drawings)
    for name, text in pages:
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def drawn(shown: Mapping[str, pl.DataFrame], drawings: Drawings) -> Iterator[tuple[str, str]]:
    """Draw every page: its place in the release, and its text.

    Args:
        shown: the marts, as the audience may see them.
        drawings: what was drawn for audiences before, in the same context.
    """
    for name, render in PAGES.items():
        yield name, drawings.of(render, shown)
    for folder, render_each in FAMILIES.items():
        for code, text in drawings.of(render_each, shown).items():
            yield f"{folder}/{code}.html", text


def audit_pages(folder: Path, context: ReportContext) -> None:
    """Refuse pages that lack the synthetic mark, run scripts of others or ask another host.

    Raises:
        AuditError: naming the page and what is wrong.
    """
    for place in (folder / audience / name for audience in WHOLE for name in PAGES):
        expect(place.is_file(), place, "is missing")
    for place in sorted(folder.rglob("*.html")):
        text = place.read_text(encoding="utf-8")
        is_marked = not context.is_synthetic or SYNTHETIC_MARK in text
        expect(is_marked, place, "lacks the synthetic mark")
        code = place.parent.name if place.parent.name in LANGUAGES else HEBREW
        runs = f'<html lang="{code}" dir="{"rtl" if code == HEBREW else "ltr"}">'
        is_own = runs in text and is_plain(text)
        expect(is_own, place, f"is not a page {runs} without scripts of others")
        is_alone = _ASKS.search(text) is None
        expect(is_alone, place, "refers to another host")


def expect(holds: bool, where: Path, what: str) -> None:
    """Refuse a release of which something does not hold.

    Raises:
        AuditError: naming the place and what is wrong there.
    """
    if not holds:
        raise AuditError(f"{where}: {what}; nothing was published")
