"""The towns after their first day, drafted once; tests that change one copy it."""

import shutil
from pathlib import Path

import pytest

from tests.cities.first_day import first_day


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """The town of five schools, without a run."""
    return first_day(tmp_path_factory.mktemp("town") / "givat_alonim")


@pytest.fixture(scope="session")
def foreseen(tmp_path_factory):
    """The same, with a registration forecast."""
    return first_day(tmp_path_factory.mktemp("foreseen") / "givat_alonim", with_forecast=True)


@pytest.fixture
def copy(town, tmp_path):
    return Path(shutil.copytree(town, tmp_path / "givat_alonim"))


@pytest.fixture
def copy_foreseen(foreseen, tmp_path):
    return Path(shutil.copytree(foreseen, tmp_path / "givat_alonim"))
