"""The papers of a release, made aside from the plan so that a run does not wait for them.

    <marts>/papers/<release>/<audience>/...   and manifest.json: the hash of each paper

They are made from what the release shows an audience, and are not part of it: the same release and
code give the same papers, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.papers.docx import write_docx
from pipelines.publish.papers.packs.cells import cells_text
from pipelines.publish.papers.packs.meeting_1 import meeting_1
from pipelines.publish.papers.packs.meeting_2 import meeting_2
from pipelines.publish.papers.packs.meeting_3 import meeting_3
from pipelines.publish.papers.packs.pdf import write_pack_pdf
from pipelines.publish.papers.packs.pptx import write_pptx
from pipelines.publish.papers.policy_document import policy_document
from pipelines.publish.papers.to_cut import sheets_to_cut, write_sheet
from pipelines.publish.papers.typst_pdf import write_pdf
from pipelines.publish.papers.verify import render_verify
from pipelines.publish.redraw import context_of
from pipelines.publish.release import hashes, manifest_text
from pipelines.settings.audiences import WHOLE
from pipelines.settings.city import CityFolder
from pipelines.settings.private import close_to_others
from pipelines.sources.forms import write_entry_sheet

FOLDER, MANIFEST = "papers", "manifest.json"
VERIFY, POLICY, CELLS = "verify.html", "policy_document", "meetings_cells.csv"
ENTRY = "entry_sheet.xlsx"
MEETINGS = {"meeting_1": meeting_1, "meeting_2": meeting_2, "meeting_3": meeting_3}


@dataclass(frozen=True)
class Source:
    """What papers are made of.

    Attributes:
        shown: the tables of an audience, after suppression.
        context: what pages say of the city.
        release: id of the release.
    """

    shown: Mapping[str, pl.DataFrame]
    context: ReportContext
    release: str


def _verify(source: Source, place: Path) -> None:
    text = render_verify(source.shown, source.context, source.release)
    (place / VERIFY).write_text(text, encoding="utf-8")


def _policy_document(source: Source, place: Path) -> None:
    paper = policy_document(source.shown, source.context, source.release)
    write_pdf(paper, place / f"{POLICY}.pdf")
    write_docx(paper, place / f"{POLICY}.docx")


def _to_cut(source: Source, place: Path) -> None:
    for name, sheet in sheets_to_cut(source.shown, source.context, source.release).items():
        write_sheet(sheet, place / f"{name}.pdf")


def _meetings(source: Source, place: Path) -> None:
    packs = {
        name: describe(source.shown, source.context, source.release)
        for name, describe in MEETINGS.items()
    }
    for name, pack in packs.items():
        write_pptx(pack, place / f"{name}.pptx")
        write_pack_pdf(pack, place / f"{name}.pdf")
    (place / CELLS).write_text(cells_text(packs), encoding="utf-8")


OF_BOTH: tuple[Callable[[Source, Path], None], ...] = (_verify,)
OF_COMMITTEE: tuple[Callable[[Source, Path], None], ...] = (
    _policy_document,
    _meetings,
    _to_cut,
)


def make_papers(root: Path, release: Path, city: CityFolder) -> Path:
    """Make all papers of a release; return their folder, which appears whole or not at all.

    Args:
        root: the city's marts folder.
        release: the folder of the release.
        city: what the papers say of the city, and whose entry sheet is written beside them.
    """
    context = context_of(city)
    folder = root / FOLDER / release.name
    building = folder.with_name(f".building-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    for audience in WHOLE:
        place = building / audience
        place.mkdir(parents=True)
        source = Source(read_database(release / audience / DATABASE), context, release.name)
        for make in (*OF_BOTH, *(OF_COMMITTEE if audience == "committee" else ())):
            make(source, place)
    write_entry_sheet(building / "committee" / ENTRY, city)
    close_to_others(building / "analyst")
    told = manifest_text({"release": release.name, "files": hashes(building)})
    (building / MANIFEST).write_text(told, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return folder
