"""How the considerations rank the responses (R71, R72); the counts of what people say are SQL."""

from __future__ import annotations

import polars as pl

from models.voices import acceptability
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing


def ranks(city: CityFolder, tables: Tables) -> Tables:
    """Return how responses rank over all weights of the considerations."""
    policy, scores = city.policy.voices, tables["mart_consideration_score"]
    if scores.is_empty():
        return {"mart_acceptability": nothing("mart_acceptability")}
    # A free consideration has no name but its wording.
    name = pl.when(pl.col("worded_he") == "").then("consideration").otherwise("worded_he")
    found = acceptability(
        scores.select("response_id", name.alias("consideration"), value="consideration_value"),
        tables["mart_consideration"].select(name.alias("consideration"), weight="weight_points"),
        seed=policy.seed.value,
        draws=policy.draws.value,
    )
    return {"mart_acceptability": found.select(nothing("mart_acceptability").columns)}


STEPS = (
    Step(
        "acceptability",
        "decide",
        makes=("mart_acceptability",),
        reads=("mart_consideration", "mart_consideration_score"),
        compute=ranks,
    ),
)
