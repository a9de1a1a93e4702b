"""From any published cell back to its files (R116)."""

import contextlib
import hashlib
import io
import os
import random
import re
import shutil
from unittest.mock import patch

import polars as pl
import pytest

from pipelines.act.trace import find, graph, trace
from pipelines.commands.trace import main
from pipelines.definitions import STEPS
from pipelines.settings.city import CityError
from pipelines.sources.files import source_files
from tests.runs import copy_or_link, place_at

CELL = re.compile(r'data-cell="([^"]+)" data-value="([^"]*)"')


@pytest.fixture(scope="module")
def cells(published):
    """Every cell on every page of the committee, and the value the page gives it."""
    found = {}
    for page in (published.current / "committee").rglob("*.html"):
        found |= dict(CELL.findall(page.read_text(encoding="utf-8")))
    return found


def test_a_hundred_random_cells_end_at_files_whose_hashes_match(published, cells):
    city = published.workspace().city()
    assert len(cells) > 1000
    for address in random.Random(20261130).sample(sorted(cells), 100):
        found = trace(published.current.resolve(), address.replace("&amp;", "&"), STEPS)
        assert str(found.cell.value) == cells[address] or float(found.cell.value) == pytest.approx(
            float(cells[address])
        )
        assert found.files or found.settings, address
        sources = {file.source_id for file in found.files}
        places = {
            (source, path.name): path
            for source in sources
            for path, _, _ in source_files(city, source, city.city.school_years.all())
        }
        for file in found.files:
            content = places[file.source_id, file.name].read_bytes()
            assert file.sha256 == hashlib.sha256(content).hexdigest(), (address, file.name)
            assert file.rows is None or file.rows >= (file.aside or 0)
        for name, sha256 in found.settings.items():
            kept = (published.current / "analyst" / name).read_bytes()
            assert sha256 == hashlib.sha256(kept).hexdigest()
        assert len(found.code) == 64


def test_the_way_is_that_of_the_tables_it_names(published):
    found = trace(published.current.resolve(), _need(published), STEPS)
    made = graph(STEPS)
    tables = {origin.table for origin in found.origins}
    assert {"mart_need_index", "mart_gap_school", "stg_tests__pupil_scores"} <= tables
    assert "mart_allocation" not in tables  # the plan follows from the need, not the other way
    for origin in found.origins:
        assert set(made.get(origin.table, ("", ()))[1]) <= tables
    assert {f"raw_{file.source_id}" for file in found.files} <= tables
    assert "policy.yaml" in found.settings


def test_what_is_made_while_publishing_comes_from_the_whole_release(published):
    figures = pl.read_parquet(published.current / "analyst" / "mart_quality_drift.parquet")
    key = figures.select("figure_id", "school_year").row(0)
    address = f"mart_quality_drift/figure_id={key[0]};school_year={key[1]}/observed_value"
    found = trace(published.current.resolve(), address, STEPS)
    assert "while publishing" in found.origins[0].made_by
    assert {"mart_source_file", "mart_gap_school"} <= {origin.table for origin in found.origins}
    assert found.files


def _need(published):
    school = pl.read_parquet(published.current / "analyst" / "mart_need_index.parquet")
    return f"mart_need_index/semel_mosad={school['semel_mosad'][0]}/need"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mart_need_index", "is no address of a cell"),
        ("mart_nothing/semel_mosad=1/need", "no table mart_nothing is published"),
        ("mart_need_index/semel_mosad=1/need", "has no such row"),
        ("mart_need_index/school=1/need", "has the key semel_mosad"),
        ("mart_need_index/semel_mosad=1/neeed", "has the key semel_mosad"),
    ],
)
def test_an_address_that_answers_to_nothing_is_refused(published, address, said):
    with pytest.raises(CityError, match=said) as refused:
        find(published.current / "analyst", address)
    assert any("א" <= letter <= "ת" for letter in refused.value.he)


def test_the_command_tells_which_file_is_another_one_today(published, tmp_path):
    place = place_at(tmp_path, published.raw.name)
    shutil.copytree(published.raw, place.raw)
    shutil.copytree(published.marts, place.marts, symlinks=True, copy_function=copy_or_link)
    changed = next((place.raw / "files").glob("climate*"))
    changed.write_bytes(changed.read_bytes() + b"\n")
    said = io.StringIO()
    with patch.dict(os.environ, place.env), contextlib.redirect_stdout(said):
        assert main([place.raw.name, _need(place)]) == 0
        assert main([place.raw.name, "mart_need_index/semel_mosad=1/need"]) == 1
    lines = said.getvalue().splitlines()
    assert [line for line in lines if changed.name in line and "another today" in line]
    assert [line for line in lines if "exits_" in line and "the same today" in line]
