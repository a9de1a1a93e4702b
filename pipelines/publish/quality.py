"""The data-quality page, in Hebrew, from the results of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from markupsafe import Markup

from pipelines.publish.report.page import ReportContext, environment

_STYLE = Path(__file__).parent / "report" / "report.css"


def render_quality(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page: what needs care, the files as they were read, and every check."""
    checks = tables["mart_data_quality"]
    return environment().get_template("quality.html.j2").render(
        context=context,
        checks=checks.to_dicts(),
        failed=checks.filter(~pl.col("is_passed")).sort("severity", "table_name", "check_id").to_dicts(),
        # Which files a city has is for its analysts; the committee's copy has no such table.
        files=tables["mart_source_file"].to_dicts() if "mart_source_file" in tables else [],
        style=Markup(_STYLE.read_text(encoding="utf-8")),
    )  # fmt: skip
