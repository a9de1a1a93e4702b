"""The town's files as other offices keep them: from the first day to a release of its own plan."""

import polars as pl
import pytest

from pipelines.commands.check import main as check
from pipelines.commands.new_city import main as new_city
from pipelines.rehearsal import rehearse
from pipelines.settings.city import load_city, load_sources
from pipelines.settings.fields import dictionary
from tests.cities.first_day import ANSWERS, account_quickly
from tests.cities.habits import write_one_workbook, write_semicolons
from tests.cities.test_five_schools import MOST_OPEN
from tests.runs import run_of

HABITS = (write_semicolons, write_one_workbook)
# What of a decision tells where it was read, and decides nothing.
TOLD_ABOUT = {"source", "reason", "funding_source"}
# What the town is told: who needs what, who gets what, for how much.
TOLD = ("mart_need_index", "mart_gap_school_subject", "mart_allocation", "mart_work_plan")


@pytest.mark.parametrize("write", HABITS)
def test_other_habits_ask_no_more_and_pass_the_check(write, tmp_path, capsys):
    folder = tmp_path / "givat_alonim"
    write(folder / "files", tmp_path / "aside", 2025, 2026)
    assert new_city([str(folder)]) in (0, 1)
    said = capsys.readouterr().out
    asked = int(said.split(" question(s)")[0].rpartition("\n")[2])
    assert asked <= MOST_OPEN, said
    new_city([str(folder), "--answers", str(ANSWERS)])
    city = load_city(folder).city
    assert {"register__schools", "tests__school_means", "programmes__delivery"} <= set(city.sources)
    assert {"finance__budget_lines", "finance__school_money"} <= set(city.sources)
    assert all(len(mappings) == 2 for mappings in city.sources.values())
    assert city.subjects == ("english", "hebrew", "math")
    assert check([str(folder)]) == 0, capsys.readouterr().out


def _staged(folder):
    """Every staged row of a town, source by source, wherever it stood."""
    city = load_sources(folder)
    done = rehearse(city, checked=False)
    rows = {}
    for source_id in city.city.sources:
        table = dictionary().contract(source_id)
        columns = ", ".join(table.columns)
        rows[source_id] = done.table(
            f"SELECT {columns} FROM staging.{table.name} ORDER BY {', '.join(table.key)}"
        )
    return rows


def _decided(folder):
    """All that a run takes from a town's settings but where its rows stand."""
    city = load_city(folder)
    return _without_sources(city.policy.model_dump()), city.city.model_dump(exclude={"sources"})


def _without_sources(held):
    if not isinstance(held, dict):
        return held
    return {key: _without_sources(value) for key, value in held.items() if key not in TOLD_ABOUT}


@pytest.fixture(scope="module")
def staged(town):
    return _staged(town)


@pytest.mark.parametrize("write", HABITS)
def test_other_habits_stage_the_same_rows_and_draft_the_same_policy(write, town, staged, tmp_path):
    """Of these two a release is made: that it is the same one is held by whole runs, below."""
    other = tmp_path / "other" / "givat_alonim"
    write(other / "files", tmp_path / "aside", 2025, 2026)
    assert new_city([str(other), "--answers", str(ANSWERS)]) == 0
    assert _decided(other) == _decided(town)
    expected, found = staged, _staged(other)
    assert set(found) == set(expected)
    for source_id, rows in expected.items():
        assert rows.height > 4, source_id
        assert found[source_id].equals(rows), source_id


@pytest.fixture
def published(copy):
    """The town's own release, from the files as its offices keep them."""
    return _release_of(copy)


def _release_of(folder):
    account_quickly(folder)
    run = run_of(folder)
    assert run.code == 0, run.said
    return run.place.current


@pytest.mark.slow  # the same staged rows and the same policy, above, are quick
@pytest.mark.parametrize("write", HABITS)
def test_other_habits_come_to_the_same_release(write, published, tmp_path):
    folder = tmp_path / "other" / "givat_alonim"
    write(folder / "files", tmp_path / "aside", 2025, 2026)
    assert new_city([str(folder), "--answers", str(ANSWERS)]) == 0
    current = _release_of(folder)
    for name in TOLD:
        told, own = (
            pl.read_parquet(release / "analyst" / f"{name}.parquet")
            for release in (current, published)
        )
        assert len(own) > 0, name
        assert told.equals(own), name
    assert (current / "committee" / "index.html").is_file()
