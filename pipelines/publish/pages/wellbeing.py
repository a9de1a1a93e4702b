"""The page of attendance, climate and activity: pupils apart from their tests (R10–R12, R26).

Hebrew, right to left, without scripts. Every share has its n and interval and the address of its
mart cell. What a school did not report is "not measured", and what few pupils stand behind is
hidden; the page says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from models.keys import WHOLE
from pipelines.publish import words
from pipelines.publish.pages.base import ReportContext, Rows, page
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY

STAYING = ("overt_dropout", "transfer", "mobility", "chronic_absence")


def render_wellbeing(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    names = dict(tables["mart_gap_school"].select("semel_mosad", "school_name_he").iter_rows())
    groups = tables["mart_group"].sort("group_dimension", "group_id")["group_id"].to_list()
    shares = tables["mart_pupil_share"]
    of_year = shares.filter(school_year=context.reference_year)
    schools = sorted(names, key=lambda code: (names[code], code))
    informal = of_year.filter(share_id="informal")
    return page(
        "wellbeing",
        tables,
        context,
        staying={place: words.label("share_id", name) for place, name in enumerate(STAYING)},
        years=_table(
            shares.filter(place=CITY, group_id=WHOLE),
            "school_year",
            sorted(shares["school_year"].unique()),
            STAYING,
        ),
        groups=_table(
            of_year.filter(pl.col("place") == CITY, pl.col("group_id") != WHOLE),
            "group_id",
            groups,
            STAYING,
        ),
        schools=_table(of_year.filter(pl.col("place") != CITY), "place", schools, STAYING),
        informal=_table(
            informal.filter(place=CITY, group_id=WHOLE), "place", [CITY], ("informal",)
        ),
        informal_groups=_table(
            informal.filter(pl.col("place") == CITY, pl.col("group_id") != WHOLE),
            "group_id",
            groups,
            ("informal",),
        ),
        informal_schools=_table(
            informal.filter(pl.col("place") != CITY), "place", schools, ("informal",)
        ),
        facets=dictionary().labels["facet"],
        climate=_climate(tables["mart_climate"], names),
        participation=_last(tables["mart_test_participation"], names),
    )


def _table(shares: pl.DataFrame, by: str, order: list[Any], columns: tuple[str, ...]) -> Rows:
    """Return a row for each value of `by` with any share, its share of each kind or None."""
    cells = {(row[by], row["share_id"]): row for row in shares.iter_rows(named=True)}
    rows = [{by: value, "cells": [cells.get((value, name)) for name in columns]} for value in order]
    return [row for row in rows if any(cell and cell["is_measured"] for cell in row["cells"])]


def _last(frame: pl.DataFrame, names: Mapping[str, str]) -> Rows:
    """Return the last school year's rows of the plan's schools, by school name."""
    last = frame.filter(
        pl.col("school_year") == pl.col("school_year").max(),
        pl.col("semel_mosad").is_in(list(names)),
    )
    order = ["test_source"] if "test_source" in frame.columns else ["grade"]
    return (
        last.with_columns(name=pl.col("semel_mosad").replace_strict(names, return_dtype=pl.String))
        .sort("name", "semel_mosad", *order)
        .to_dicts()
    )


def _climate(climate: pl.DataFrame, names: Mapping[str, str]) -> Rows:
    """Return a row a school and grade in the last survey, with its cell for each facet."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in _last(climate, names):
        one = found.setdefault((row["semel_mosad"], row["grade"]), row | {"cells": {}})
        one["cells"][row["facet"]] = row
    return list(found.values())
