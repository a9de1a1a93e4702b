"""The list of the annexes: what each detailed page answers."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.publish.pages.base import ReportContext, page


def render_annexes(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the list of annexes as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    return page("first/annexes", tables, context, at="annex/index")
