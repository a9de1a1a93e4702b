"""The scope is a parameter of a run, and what comes out says which it was (R3)."""

import json

import duckdb
import polars as pl
import pytest

from pipelines.publish.marts import DATABASE, write_marts
from pipelines.publish.release import publish
from pipelines.rehearsal import rehearse
from pipelines.settings.city import CityError, load_city
from pipelines.sources.fingerprint import fingerprints
from pipelines.warehouse.database import Warehouse


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.fixture(scope="module")
def asked(city, published):
    """A function that asks the tables up to core, by scope: rehearsed, and of the whole run."""
    warehouse = Warehouse(path=str(published.workspace().warehouse_path))
    return {
        "official": rehearse(city.within("official"), checked=False).table,
        "all": warehouse.read,
    }


def test_the_plan_covers_the_official_schools_or_all(asked):
    planned = {}
    for name, ask in asked.items():
        assert ask("SELECT scope FROM core.core_city").item() == name
        planned[name] = ask("SELECT legal_status FROM core.core_school WHERE is_in_plan")
    assert set(planned["official"]["legal_status"]) == {"official"}
    assert planned["all"].height == planned["official"].height + 1


@pytest.mark.parametrize(
    "table",
    ["core_school_subject_year", "core_attendance", "core_budget_line", "core_pupil_outcome"],
)
def test_only_the_schools_of_the_scope_are_counted(asked, table):
    for name, ask in asked.items():
        counted = set(ask(f"SELECT semel_mosad FROM core.{table}")["semel_mosad"])
        planned = set(ask("SELECT semel_mosad FROM core.core_school_code")["semel_mosad"])
        assert counted == planned, name


def test_totals_of_both_scopes_stand_side_by_side_in_every_run(asked):
    query = "SELECT scope, pupils FROM core.core_pupil_total WHERE stream = 'total' ORDER BY scope"
    totals = {name: dict(ask(query).iter_rows()) for name, ask in asked.items()}
    assert totals["official"] == totals["all"]
    assert totals["all"]["all"] == totals["all"]["official"] + totals["all"]["unofficial"]
    assert totals["all"]["official"] < totals["all"]["all"]


def test_another_scope_is_another_run(city):
    official, every = (fingerprints(city.within(name)) for name in ("official", "all"))
    assert official != every == fingerprints(city)


def test_all_cannot_be_asked_of_a_city_that_names_official_schools_alone(city):
    with pytest.raises(CityError, match="legal_statuses"):
        city.within("official").within("all")


def test_a_scope_is_named_for_what_it_covers(city):
    scope = city.city.scope.model_dump()
    for wrong in ({"name": "official"}, {"legal_statuses": ("official",)}):
        with pytest.raises(ValueError, match="official schools alone"):
            type(city.city.scope)(**scope | wrong)


def test_files_database_and_manifest_carry_the_scope(tmp_path):
    tables = {
        "mart_city": pl.DataFrame({"city_id": ["a"], "scope": ["official"]}),
        "mart_group": pl.DataFrame({"group_id": ["g"]}),
    }

    def build(folder):
        write_marts(folder / "analyst", tables)

    release = publish(tmp_path, build, lambda _: None, about={"scope": "official"})
    assert (
        json.loads((release / "manifest.json").read_text(encoding="utf-8"))["scope"] == "official"
    )
    for name in tables:
        held = pl.read_parquet_metadata(release / "analyst" / f"{name}.parquet")
        assert held["scope"] == "official"
    with duckdb.connect(str(release / "analyst" / DATABASE), read_only=True) as connection:
        said = connection.execute("SELECT comment FROM duckdb_tables()").fetchall()
    assert all("Scope: official" in comment for (comment,) in said)


@pytest.mark.slow
def test_a_run_over_the_official_schools_publishes_only_them(published, tmp_path):
    from tests.runs import make_place

    place = make_place(tmp_path, published.raw)
    done = place.run("--scope", "official", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((place.current / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["scope"] == "official"
    need = pl.read_parquet(place.current / "committee" / "mart_need_index.parquet")
    everyone = pl.read_parquet(published.current / "committee" / "mart_need_index.parquet")
    assert need.height == everyone.height - 1
    assert "recognised_unofficial" not in set(need["stream"])
    for mart in ("mart_gap_school", "mart_gap_city"):
        gaps, others = (
            pl.read_parquet(where.current / "committee" / f"{mart}.parquet")
            for where in (place, published)
        )
        if mart == "mart_gap_school":
            assert set(gaps["semel_mosad"]) == set(need["semel_mosad"])
        assert gaps["gap_sd"].to_list() != others["gap_sd"].to_list()
    for page in (place.current / "committee").rglob("*.html"):
        assert "בתי הספר הרשמיים" in page.read_text(encoding="utf-8"), page.name
