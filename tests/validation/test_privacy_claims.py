"""The claims about privacy (make validate; R111): the intruder's table of the small city.

Releases of both scopes and of two nights, between which the file of leavers changed, for every
audience and two policies. `python -m tests.validation.privacy_attack` prints it for any run.
"""

import shutil

import polars as pl
import pytest
import yaml

from pipelines.settings.audiences import AUDIENCES, WHOLE
from pipelines.settings.city import load_city
from tests.runs import run_of
from tests.validation.privacy_attack import FIRST, POLICIES, marts_of, table

pytestmark = pytest.mark.slow
KEPT_PCT = 85
SECONDS = 15


def variant(small_city, folder, **settings):
    """Copy the small city with other settings; what its files must hold is not looked at."""
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    path = folder / "city.yaml"
    held = yaml.safe_load(path.read_text(encoding="utf-8")) | {"expected": {}} | settings
    path.write_text(yaml.safe_dump(held, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def official(small_city, tmp_path_factory):
    """The same city, its plan over the official schools alone."""
    folder = tmp_path_factory.mktemp("official") / small_city.name
    scope = load_city(small_city).within("official").city.scope
    return variant(small_city, folder, scope=scope.model_dump(mode="json"))


@pytest.fixture(scope="module")
def next_night(small_city, tmp_path_factory):
    """The same city, a few dropouts of the last year taken back and the rest as it was."""
    folder = variant(small_city, tmp_path_factory.mktemp("next_night") / small_city.name)
    path = folder / "files" / "exits_2026.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    gone = [line for line in lines if line.rstrip().endswith(",unknown")][:5]
    path.write_text("".join(line for line in lines if line not in gone), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(small_city, official, next_night):
    runs = {
        FIRST: run_of(small_city),
        "official": run_of(official),
        "night": run_of(next_night),
    }
    for run in runs.values():
        assert run.code == 0, run.said
    marts = {name: marts_of(run.place.workspace().warehouse_path) for name, run in runs.items()}
    exits = [marts[name]["mart_pupil_share"].filter(share_id="overt_dropout") for name in marts]
    assert not exits[0].equals(exits[2]), "nothing changed between the nights"
    rows = table(marts)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=1):
        print(rows)
    return rows


def test_nothing_hidden_is_found_by_any_audience_in_any_scope_or_night(found):
    engine = found.filter("engine")
    assert engine.height == found.height / 2 == len(AUDIENCES) * 3 * len(POLICIES)
    whole = engine.filter(pl.col("audience").is_in(WHOLE))
    assert whole["attacked"].min() > 100
    assert engine.select("exact", "near", "narrower").sum().row(0) == (0, 0, 0)


def test_each_release_would_leak_without_the_engine(found):
    alone = found.filter(~pl.col("engine"), pl.col("audience").is_in(WHOLE))
    assert alone["exact"].min() > 10


def test_most_cells_of_enough_children_stay_and_the_intruder_is_quick(found):
    engine = found.filter("engine")
    assert engine["kept_pct"].min() >= KEPT_PCT
    assert engine["seconds"].max() <= SECONDS
