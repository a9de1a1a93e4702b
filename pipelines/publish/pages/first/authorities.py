"""What a country's readers see first: districts and authorities, and a page for each authority.

A ministry decides between authorities, and an authority knows its schools. Need is told in tiers,
never as a number beside a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.publish import words
from pipelines.publish.pages.base import (
    Names,
    ReportContext,
    Rows,
    decision_of,
    names_of,
    page,
)
from pipelines.publish.pages.first.facts import rows_by
from pipelines.settings.fields import dictionary

Tables = Mapping[str, pl.DataFrame]
_NAMELESS = "רשות שלא נרשמה"


def render_authorities(tables: Tables, context: ReportContext) -> str:
    """Return the districts and the authorities, by name.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    rows = _authorities(tables)
    tiers = _tiers(tables)
    return page(
        "first/authorities",
        tables,
        context,
        at="schools",
        decided=decision_of(tables, context),
        authorities=rows,
        districts=_districts(rows),
        district_names={row["district_name"]: row["district_name"] for row in rows},
        tiers=tiers,
        tier_heads={tier: words.label("need_tier", tier).split(" ")[0] for tier in tiers},
        most=max((row["cost_agorot"] or 0 for row in rows), default=0),
    )


def render_every_authority(tables: Tables, context: ReportContext) -> dict[str, str]:
    """Return the page of every authority by its code; none in a city.

    Args:
        tables: the marts, as the audience may see them.
        context: what the pages say about themselves.
    """
    lines = rows_by(
        tables["mart_plan_line"].drop_nulls("semel_mosad").sort("semel_mosad", "response_id"),
        "semel_mosad",
    )
    schools = rows_by(
        tables["mart_allocation_school"]
        .join(tables["mart_authority_school"], on="semel_mosad")
        .sort("school_name_he", "semel_mosad"),
        "authority_code",
    )
    names = names_of(tables)
    return {
        row["authority_code"]: _draw(
            tables, names, context, row, schools[row["authority_code"]], lines
        )
        for row in _authorities(tables)
    }


def _draw(
    tables: Tables,
    names: Names,
    context: ReportContext,
    own: dict[str, Any],
    schools: Rows,
    lines: Mapping[str, Rows],
) -> str:
    return page(
        "first/authority",
        tables,
        context,
        at=f"authorities/{own['authority_code']}",
        names=names,
        decided=decision_of(tables, context),
        own=own,
        own_tiers=[own["tiers"][tier] for tier in sorted(own["tiers"])],
        schools=schools,
        lines=lines,
        tier_names=_named("need_tier", schools),
        stream_names=_named("stream", schools),
        most=max((row["cost_agorot"] or 0 for row in schools), default=0),
    )


def districts(tables: Tables) -> Rows:
    """Return what the schools of each district add up to, by name; none in a city.

    Keys: district_name, authorities, schools, pupils, cost_agorot, per_pupil_agorot, tiers (schools
    by tier).
    """
    return _districts(_authorities(tables))


def _authorities(tables: Tables) -> Rows:
    """Return the rows of `mart_authority` by name, each with its tiers by their letters."""
    tiers = rows_by(tables["mart_authority_tier"].sort("need_tier"), "authority_code")
    return [
        row
        | {
            "name": row["authority_name"] or _NAMELESS,
            "district_name": row["district_name"] or dictionary().fields["district_name"].empty,
            "tiers": {own["need_tier"]: own for own in tiers.get(row["authority_code"], [])},
        }
        for row in tables["mart_authority"].sort("authority_name", "authority_code").to_dicts()
    ]


def _districts(authorities: Rows) -> Rows:
    """Return what the authorities of each district add up to, by name."""
    found: dict[str, dict[str, Any]] = {}
    for row in authorities:
        own = found.setdefault(
            row["district_name"],
            {"district_name": row["district_name"], "authorities": 0, "tiers": {}}
            | dict.fromkeys(_SUMMED, 0),
        )
        own["authorities"] += 1
        for name in _SUMMED:
            own[name] += row[name] or 0
        for tier, counted in row["tiers"].items():
            own["tiers"][tier] = own["tiers"].get(tier, 0) + (counted["schools"] or 0)
    return [
        found[name]
        | {"per_pupil_agorot": own["cost_agorot"] // own["pupils"] if own["pupils"] else None}
        for name, own in sorted(found.items())
    ]


_SUMMED = ("schools", "pupils", "cost_agorot")


def _tiers(tables: Tables) -> list[str]:
    return sorted(tables["mart_authority_tier"]["need_tier"].unique().to_list())


def _named(field: str, rows: Rows) -> dict[str, str]:
    """Return the values of a field that rows have, with what they are called."""
    return {value: words.label(field, value) for value in sorted({row[field] for row in rows})}
