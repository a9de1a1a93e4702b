"""A law of twenty parts for ten thousand units: exact, in at most two seconds."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.formula import apply
from pipelines.settings.formula import declaration, engines

UNITS, MOST_S = 10_000, 2.0
CITED = {"source": "benchmark", "reason": "benchmark"}


def law():
    """Eight fixed rates, six derived columns, a solved rate, and five pots with limits."""
    points = [
        {"weights": {"pupils": 1}, **CITED},
        {"weights": {"pupils": 1}, "times": ["need"], **CITED},
    ]
    last = {
        "last_year": "last",
        "guarantee_pct": {"value": 50, "unit": "percent of last year's amount", **CITED},
    }
    stated = {}
    for i in range(6):
        sliding = {"of": "need", "from": 0.1 + i / 20, "to": 0.9, "gives": [0, 1]}
        stated[f"weight_{i}"] = {"column": {"sliding": sliding}, "unit": "weight", **CITED}
    for i in range(8):
        value = {"product": [1_000 + i, "pupils", f"weight_{i % 6}"]}
        rounded = {"of": value, "decimals": 0, "ties": "half_up"}
        stated[f"rate_{i}"] = {"amount": {"rounded": rounded}, **CITED}
    stated["found"] = {
        "rate": {
            "of": {"product": ["found", "pupils"]},
            "target": 10**9,
            "between": [0, 10_000],
            "decimals": 6,
        },
        "unit": "agorot per pupil",
        **CITED,
    }
    for i in range(5):
        pot = {"agorot": {"value": 10**11 + i, "unit": "agorot", **CITED}}
        stated[f"pot_{i}"] = {"pot": pot, "points": points} | (last if i % 2 else {})
    return engines(declaration.validate_python(stated))


def test_twenty_parts_for_ten_thousand_units(benchmark):
    rng = np.random.default_rng(1)
    units = pl.DataFrame(
        {
            "semel_mosad": [f"{i:06d}" for i in range(UNITS)],
            "pupils": rng.integers(20, 900, UNITS),
            "need": np.round(rng.random(UNITS), 4),
            "last": rng.integers(0, 10**7, UNITS),
        }
    )
    parts = law()
    assert len(parts) == 20
    pots = {part.name: 10**11 + i for i, part in enumerate(p for p in parts if p.kind == "pot")}
    found = benchmark.pedantic(apply, (parts, units, pots), rounds=5, warmup_rounds=1)
    assert sum(one.pot_agorot or 0 for one in found) == sum(pots.values())
    assert all(
        one.units["amount_agorot"].sum() == one.pot_agorot for one in found if one.pot_agorot
    )
    assert benchmark.stats.stats.median <= MOST_S
