"""The guide of whoever works with the product, as a page: drawn from `docs/guide.he.md` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import polars as pl
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from pipelines.publish.pages.base import ReportContext, page

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide.he.md"
_TITLE, _SECTION = "h1", "h2"


def render_guide(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the guide as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    title, parts = _parts()
    return page("guide", tables, context, title=title, parts=parts)


@cache
def _parts() -> tuple[str, tuple[tuple[str, Markup], ...]]:
    """Return the guide's title, and for each of its sections the heading and the text below it;
    what stands before the first section has none.
    """
    reader = MarkdownIt("commonmark").enable("table")
    tokens = reader.parse(GUIDE.read_text(encoding="utf-8"))
    heads = [place for place, one in enumerate(tokens) if one.type == "heading_open"]
    title, found, begin, head = "", [], 0, ""
    for place in heads:
        if tokens[place].tag not in (_TITLE, _SECTION):
            continue
        found.append((head, tokens[begin:place]))
        head, begin = tokens[place + 1].content, place + 3
        if tokens[place].tag == _TITLE:
            title, head = head, ""
    found.append((head, tokens[begin:]))
    return title, tuple((name, _drawn(reader, part)) for name, part in found if part)


def _drawn(reader: MarkdownIt, tokens: Sequence[Token]) -> Markup:
    for token in tokens:
        # Commands and names of files keep their language and direction inside a Hebrew sentence.
        for one in (token, *(token.children or ())):
            if one.type == "code_inline":
                one.attrSet("lang", "en")
                one.attrSet("dir", "ltr")
            elif one.type == "th_open":
                one.attrSet("scope", "col")
    html = reader.renderer.render(list(tokens), reader.options, {})
    html = html.replace("<table>", '<div class="wide" role="group" tabindex="0"><table>')
    html = html.replace("</table>", "</table></div>")
    return Markup(html.replace("<pre>", '<pre lang="en" dir="ltr" tabindex="0">'))
