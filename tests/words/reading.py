"""A release as a reader meets it: every text of it, and the tables that the texts are about."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import fastexcel
import polars as pl

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.site import OUTSIDE
from pipelines.publish.workbook import WORKBOOK

_BREAKS = {"p", "li", "td", "th", "dt", "dd", "h1", "h2", "h3", "caption", "summary", "div", "tr"}
_SILENT = {"style", "script", "svg"}


@dataclass
class Node:
    """A run of text, and what stands around it.

    Attributes:
        text: with its white space as one blank.
        tags: the open elements, outermost first, each with its attributes.
    """

    text: str
    tags: tuple[tuple[str, Mapping[str, str]], ...]

    def within(self, tag: str = "", **attributes: str) -> bool:
        """Whether an element of that tag and those attributes is open ("*" = any value)."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return any(
            (not tag or tag == name)
            and all(
                key in held and value in ("*", held[key], *held[key].split())
                for key, value in wanted.items()
            )
            for name, held in self.tags
        )

    def value_of(self, attribute: str) -> str | None:
        """The attribute of the innermost element that has it."""
        return next((held[attribute] for _, held in self.tags[::-1] if attribute in held), None)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.nodes: list[Node] = []
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS or tag == "br":
            self.parts.append("\n")
        if tag not in ("br", "meta", "link", "wbr"):
            self.open.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.parts.append("\n")
        while self.open:
            if self.open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if not any(tag in _SILENT for tag, _ in self.open):
            self.parts.append(data)
            if data.strip():
                self.nodes.append(Node(" ".join(data.split()), tuple(self.open)))


@dataclass
class Page:
    """A page: its markup, its runs of text, and its lines as a reader sees them."""

    markup: str
    nodes: list[Node] = field(init=False)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.markup)
        self.nodes = reader.nodes
        lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
        self.text = "\n".join(line for line in lines if line)


@dataclass
class Release:
    """All that is read of a release.

    Attributes:
        tables: the committee's marts.
        markup: of the pages, by name: the committee's, and those of others in Hebrew by the folder
            of their audience.
        others: texts without markup, by where they stand: workbook, terminal, studio, findings.
    """

    tables: dict[str, pl.DataFrame]
    markup: dict[str, str]
    others: dict[str, str]

    @cached_property
    def pages(self) -> dict[str, Page]:
        """The pages, parsed."""
        return {name: Page(text) for name, text in self.markup.items()}

    @cached_property
    def texts(self) -> dict[str, str]:
        """Every text by where it stands."""
        return {name: page.text for name, page in self.pages.items()} | self.others


def read_release(current: Path, terminal: str = "", studio: str = "") -> Release:
    """Read a published release for the committee.

    Args:
        current: its folder.
        terminal: what the command that made it printed.
        studio: what the studio shows of it.
    """
    folder = current / "committee"
    tables = read_database(folder / DATABASE)
    book = fastexcel.read_excel(folder / WORKBOOK)
    sheets = {
        f"workbook: {name}": "\n".join(
            "\t".join("" if cell is None else str(cell) for cell in row)
            for row in book.load_sheet(name, header_row=None).to_polars().iter_rows()
        )
        for name in book.sheet_names
    }
    findings = tables["mart_finding"].sort("finding_order")
    return Release(
        tables=tables,
        markup={
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*.html"))
        }
        | {
            path.relative_to(current).as_posix(): path.read_text(encoding="utf-8")
            for audience in OUTSIDE
            for path in sorted((current / audience).glob("*.html"))
        },
        others=sheets
        | {
            "terminal": terminal,
            "studio": " ".join(re.sub("<[^>]+>", " ", html.unescape(studio)).split()),
        }
        | {
            "findings": "\n".join(findings["finding_he"]),
            "findings in English": "\n".join(findings["finding_en"]),
        },
    )
