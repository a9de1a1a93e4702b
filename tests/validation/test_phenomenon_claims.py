"""Phenomena on generated cities: false discoveries on `null`, planted patterns found (make validate; R44)."""

import numpy as np
import polars as pl
import pytest

from models.causes import phenomena
from models.gaps import fit_components
from pipelines.policy import DiagnosePolicy
from tests.validation.planted import planted_city

pytestmark = pytest.mark.slow


def listed(seed, profile):
    _, cells = planted_city(seed, profile)
    fdr = DiagnosePolicy().false_discovery_rate.value
    return phenomena(cells, fit_components(cells), fdr=fdr).filter("is_phenomenon")


def test_false_discoveries_on_null():
    # The internal target lies .07 SD above the city's mean: within the margin, so nothing is to be found.
    counts = np.array([listed(seed, "null").height for seed in range(301, 351)])
    print(
        f"null cities with any phenomenon: {np.mean(counts > 0):.2f}; mean number {counts.mean():.2f}"
    )
    assert np.mean(counts > 0) <= 0.10


def test_planted_patterns_are_found():
    low = ["900011", "900020", "900031"]  # S11, R03, U02 of the `local` profile
    hits, subject = [], []
    for seed in range(301, 321):
        found = listed(seed, "local").filter(
            pl.col("scope") == "school", pl.col("direction") == "below"
        )
        hits += [code in found["semel_mosad"] for code in low]
        one = listed(seed, "one_subject").filter(
            pl.col("scope") == "subject", pl.col("direction") == "below"
        )
        subject.append(one["subject"].to_list() == ["math"])
    print(
        f"low schools found {np.mean(hits):.2f}; the low subject found alone {np.mean(subject):.2f}"
    )
    assert np.mean(hits) >= 0.80
    assert np.mean(subject) >= 0.80
