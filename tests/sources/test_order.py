"""A source is loaded behind those it is held against, in whatever order the dictionary has them."""

import re
import shutil
from dataclasses import replace
from graphlib import CycleError

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import Workspace
from pipelines.sources import order as ordered
from pipelines.sources.collect import all_years, raw_assets
from pipelines.sources.files import read_source
from pipelines.sources.order import held_against, in_order, is_yearly, operations
from pipelines.sources.quarantine import quarantine_query
from pipelines.sources.references import city_references
from pipelines.sources.whole_files import KNOWN_IN
from pipelines.warehouse.database import Warehouse

DECLARED = list(dictionary().sources)


def declared_as(order):
    """The dictionary with its sources declared in another order."""
    tables = dictionary().tables
    staged = [f"stg_{source_id}" for source_id in order]
    others = [name for name in tables if name not in staged]
    return replace(dictionary(), tables={name: tables[name] for name in [*staged, *others]})


def placed(order):
    return {source_id: place for place, source_id in enumerate(order)}


@given(st.permutations(DECLARED))
def test_each_source_stands_behind_those_it_is_held_against(order):
    before = held_against()
    shuffled = {source_id: before[source_id] for source_id in order}
    place = placed(in_order(shuffled))
    assert set(place) == set(DECLARED)
    assert all(place[name] < place[own] for own, names in before.items() for name in names)
    # So do operations, and the sources within one; each has sources of one kind.
    made = operations(shuffled)
    turn = {name: n for n, sources in enumerate(made) for name in sources}
    assert all(turn[name] <= turn[own] for own, names in before.items() for name in names)
    for sources in made:
        assert len({is_yearly(source_id) for source_id in sources}) == 1
        inner = placed(sources)
        assert all(inner.get(n, -1) < inner[own] for own in sources for n in before[own])


@given(st.permutations(DECLARED))
def test_what_needs_nobody_stays_as_it_was_declared(order):
    """The sort is stable: an order that will do is left alone, and so is what it leads to."""
    before = held_against()
    found = in_order({source_id: before[source_id] for source_id in order})
    assert in_order({source_id: before[source_id] for source_id in found}) == found
    free = [source_id for source_id in order if not before[source_id]]
    assert [source_id for source_id in found if not before[source_id]] == free


def test_a_circle_is_refused_by_name():
    with pytest.raises(CycleError, match="first"):
        in_order({"first": ["second"], "second": ["first"], "third": []})


def test_whatever_a_rule_reads_is_loaded_before(small_city):
    """The rows that the rules of a source ask for are those it is said to be held against."""
    known = city_references(load_city(small_city))
    assert known.is_municipal
    before = held_against()
    for source_id in DECLARED:
        read = set(re.findall(r"raw\.raw_(\w+)", quarantine_query(source_id, "given", known)))
        assert read & set(DECLARED) <= {*before[source_id], source_id}, source_id
        columns = dictionary().contract(source_id).contract
        named = {register for column, register in KNOWN_IN.items() if column in columns}
        assert named <= {*before[source_id], source_id}, source_id


def collected(folder, place):
    """What a first load of a city leaves: reasons to set rows aside, and what is odd."""
    space = Workspace(str(folder), str(place / "marts"), str(place / "work"))
    warehouse = Warehouse(path=str(space.warehouse_path))
    with warehouse.held(print), dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            raw_assets(space.city().city.school_years.all()),
            resources={"workspace": space, "warehouse": warehouse},
            instance=instance,
            tags=all_years(space.city()),
        )
        assert done.success
        with warehouse.connect() as connection:
            return [
                sorted(connection.execute(f"SELECT * FROM raw.{name}").fetchall(), key=str)
                for name in ("raw_quarantine", "raw_file_finding")
            ]


def rows(folder, source_id):
    """The rows of a source of a city, as they are read."""
    city = load_city(folder)
    return read_source(city, source_id, city.city.school_years.all()).rows


def test_a_shuffled_declaration_loads_the_same(small_city, tmp_path, monkeypatch):
    """A code that no register knows, and areas that no file of areas knows, are told each time."""
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    money = folder / "files" / "budget_2026.csv"
    header, first, *rest = money.read_text(encoding="utf-8").splitlines()
    code = rows(folder, "finance__budget_lines")["semel_mosad"][0]
    assert code in first
    stranger = first.replace(code, "999999")
    money.write_text("\n".join([header, first, stranger, *rest]) + "\n", encoding="utf-8")
    own = rows(folder, "register__schools").unique("semel_mosad", keep="last")["stat_area"]
    rare = own.value_counts().sort("count", "stat_area")["stat_area"][0]
    areas = folder / "files" / "stat_areas.csv"
    lines = areas.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if rare not in line.split(",")]
    assert len(kept) == len(lines) - 1
    areas.write_text("\n".join(kept) + "\n", encoding="utf-8")

    as_declared = collected(folder, tmp_path / "declared")
    aside, odd = as_declared
    assert [row[4] for row in aside if row[0] == "finance__budget_lines"] == ["unknown_reference"]
    assert {row[0] for row in odd if row[2] == "unknown_ids"} >= {"register__schools"}
    monkeypatch.setattr(ordered, "dictionary", lambda: declared_as(DECLARED[::-1]))
    assert collected(folder, tmp_path / "turned") == as_declared
