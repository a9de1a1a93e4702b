"""Pages of the first layer as readers count them: words that stand, words that are folded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from posixpath import dirname, join, normpath

from pipelines.publish.pages.base import ANNEXES
from tests.words.reading import Node, Page

_WORD = re.compile(r"[^\W_]")
# What stands on every page alike, and what is no text of the page.
_FRAME = ("nav", "footer", "title", "script", "style", "option")


@dataclass
class Layer:
    """The pages of a folder by their place, without the annexes."""

    folder: Path

    @cached_property
    def names(self) -> list[str]:
        """Places of the pages, in order."""
        every = (
            path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*.html"))
        )
        annexes = {f"annex/{name}.html" for name in ANNEXES}
        return [name for name in every if name not in annexes]

    def page(self, name: str) -> Page:
        """Read a page."""
        return Page((self.folder / name).read_text(encoding="utf-8"))


def visible(page: Page) -> str:
    """Return what a reader sees before anything is unfolded."""
    return _text(node for node in _own(page) if not _is_folded(node))


def folded(page: Page) -> str:
    """Return what a reader sees only after unfolding."""
    return _text(node for node in _own(page) if _is_folded(node))


def words(text: str) -> int:
    """Count the words; signs alone are none."""
    return sum(_WORD.search(word) is not None for word in text.split())


def _own(page: Page) -> list[Node]:
    return [node for node in page.nodes if not any(node.within(tag) for tag in _FRAME)]


def _is_folded(node: Node) -> bool:
    return node.within("details") and not node.within("summary")


def _text(nodes: Iterable[Node]) -> str:
    return " ".join(node.text for node in nodes)


def links(name: str, page: Page) -> list[tuple[str, str]]:
    """Return where a page's links lead within the release: the place, and the id there."""
    found = []
    for href in re.findall(r'<a\b[^>]*\shref="([^"]*)"', page.markup):
        if not re.match(r"https?:|mailto:", href):
            place, _, anchor = href.partition("#")
            found.append((normpath(join(dirname(name), place)) if place else name, anchor))
    return found
