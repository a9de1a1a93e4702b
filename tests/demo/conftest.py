"""One generated city of each profile, shared by the tests of this folder."""

from __future__ import annotations

import polars as pl
import pytest

from models.demo import SyntheticCity
from tests.made import made


@pytest.fixture(scope="session")
def city_of():
    """Return a function that gives the city of a profile (generated once)."""
    return lambda profile, seed=1: made(seed, profile)


@pytest.fixture(scope="session")
def clean(city_of) -> SyntheticCity:
    return city_of("clean")


def all_years(city: SyntheticCity, name: str) -> pl.DataFrame:
    """Return one source over all years."""
    return pl.concat(city.files[f"{name}_{year}.csv"] for year in city.years)
