"""A changed scenario makes again only what depends on it, and the same bytes as a whole run
(R98).
"""

import polars as pl
import pytest

from pipelines.decide import scenarios as step
from pipelines.settings.fields import dictionary
from pipelines.settings.scenario_files import CONFIRMED
from pipelines.warehouse.database import Warehouse
from tests.integration.conftest import hashes
from tests.integration.test_run_errors import expect_error

BASE_FILES = (
    "budget_minus_tenth",
    "more_excellence",
    "need_blind",
    "stronger_preference",
    "without_amirim",
)


@pytest.fixture
def solved(monkeypatch):
    """The γ of every scenario that is solved in this process."""
    seen = []
    real = step.best_near

    def watched(asked, base, **how):
        seen.append(asked.equity_gamma)
        return real(asked, base, **how)

    monkeypatch.setattr(step, "best_near", watched)
    return seen


def mart(place, name="mart_scenario"):
    return pl.read_parquet(place.current / "analyst" / f"{name}.parquet")


def write(place, name, text):
    (place.raw / "scenarios" / f"{name}.yaml").write_text(text, encoding="utf-8")


def made_when(place):
    """When each table of the warehouse was last made, by Dagster's records of the runs."""
    import os
    from unittest.mock import patch

    import dagster as dg

    with patch.dict(os.environ, place.env), dg.DagsterInstance.get() as instance:
        records = instance.get_asset_records(instance.all_asset_keys())
        return {
            record.asset_entry.asset_key.path[
                -1
            ]: record.asset_entry.last_materialization_storage_id
            for record in records
        }


def test_every_scenario_is_a_row_beside_the_plan(published):
    rows = mart(published).sort("scenario_order")
    assert rows["scenario_id"].to_list() == ["base", CONFIRMED, *BASE_FILES]
    by_id = {row["scenario_id"]: row for row in rows.iter_rows(named=True)}
    certificate = mart(published, "mart_allocation_certificate").row(0, named=True)
    assert by_id["base"]["cost_agorot"] == certificate["cost_agorot"]
    assert by_id["base"]["optimality_gap_pct"] == certificate["optimality_gap_pct"]
    assert by_id["without_amirim"]["scenario_status"] == "infeasible"
    assert "must_drop" in by_id["without_amirim"]["conflict_en"]
    assert "אין תוכנית" in by_id["without_amirim"]["conflict_he"]
    assert by_id["without_amirim"]["cost_agorot"] is None
    for name in (CONFIRMED, *BASE_FILES[:4]):
        row = by_id[name]
        assert row["scenario_status"] == "solved"
        # Half of the gap, .01 %, is counted from what the plan in hand is worth under the scenario.
        assert row["optimality_gap_pct"] <= 0.03
        assert row["cost_change_agorot"] == row["cost_agorot"] - certificate["cost_agorot"]
    # Sums of schools, with the services of the city, and of responses are the plan's, to the agora.
    for part, apart in (("school", "city_services_agorot"), ("response", None)):
        sums = dict(
            mart(published, f"mart_scenario_{part}")
            .group_by("scenario_id")
            .agg(pl.col("cost_agorot").sum())
            .iter_rows()
        )
        for name, total in sums.items():
            assert total + (by_id[name][apart] if apart else 0) == by_id[name]["cost_agorot"]
    assert (
        mart(published, "mart_scenario_school")
        .filter(scenario_id="base")
        .sort("semel_mosad")["cost_agorot"]
        .to_list()
        == mart(published, "mart_allocation_school").sort("semel_mosad")["cost_agorot"].to_list()
    )
    sure = by_id[CONFIRMED]
    # Beside the municipality only the Ministry confirms all that is asked, of one response.
    letters = mart(published, "mart_confirmation").filter(lacking_agorot=0)
    whole = letters.filter(pl.col("asked_agorot") > 0, funding_channel="ministry_other")
    assert whole["response_id"].to_list() == ["milat"]
    others = sure["cost_agorot"] - sure["municipal_agorot"]
    of_milat = mart(published, "mart_scenario_response").filter(
        scenario_id=CONFIRMED, response_id="milat"
    )
    assert others == (of_milat["cost_agorot"] - of_milat["municipal_agorot"]).item() > 0
    assert sure["parents_agorot"] == 0 < by_id["base"]["parents_agorot"]
    assert sure["city_services_agorot"] == certificate["city_services_agorot"] > 0
    assert not (published.current / "committee" / "scenarios" / "need_blind.yaml").exists()
    assert (published.current / "analyst" / "scenarios" / "need_blind.yaml").is_file()


HALF = "name_he: חצי\nname_en: Half\nreason: why\nchanges: {equity_gamma: 0.5}\n"
GHOST = (
    "name_he: שם\nname_en: Name\nreason: why\nchanges:\n  rules:\n    must_keep: [{response: milat,"
    " schools: ['999999'], source: s, reason: r}]\n"
)
SCENARIO_TABLES = {
    "core_scenario",
    "core_scenario_line",
    "mart_formula_school",
    "mart_scenario_change",
    "mart_scenario",
    "mart_scenario_group",
    "mart_scenario_school",
    "mart_scenario_response",
    "mart_scenario_line",
}


def test_a_changed_scenario_makes_again_only_what_depends_on_it(place, solved):
    """One changed, one renamed, one gone, one that names what is not there: one is solved."""
    before, made, rows = hashes(place), made_when(place), mart(place)
    write(place, "need_blind", HALF)
    write(place, "ghost", GHOST)
    folder = place.raw / "scenarios"
    (folder / "more_excellence.yaml").unlink()
    renamed = (folder / "stronger_preference.yaml").read_text(encoding="utf-8")
    write(place, "stronger_preference", renamed.replace("name_en: 'Stronger", "name_en: 'Strong"))
    done = place.call()
    assert done.returncode == 0, done.stdout
    assert "only scenarios have changed" in done.stdout
    assert solved == [0.5]
    again = {name for name, at in made_when(place).items() if made[name] != at}
    assert again == SCENARIO_TABLES | {"mart_data_quality", "release"}
    now = mart(place)
    expected = {"base", CONFIRMED, "ghost", *BASE_FILES} - {"more_excellence"}
    assert set(now["scenario_id"]) == expected
    assert "more_excellence" not in mart(place, "mart_scenario_school")["scenario_id"].to_list()
    same = pl.col("scenario_id").is_in(["base", CONFIRMED, "budget_minus_tenth", "without_amirim"])
    # Where they stand, and what is known to keep their rules, hangs on the others too.
    apart = ["scenario_order", "worth_change_pct"]
    assert now.filter(same).drop(apart).equals(rows.filter(same).drop(apart))
    assert now.filter(scenario_id="need_blind")["equity_gamma"].item() == 0.5
    strong = now.filter(scenario_id="stronger_preference")["scenario_name_en"].item()
    assert strong == "Strong corrective preference"
    ghost = now.filter(scenario_id="ghost").row(0, named=True)
    assert ghost["scenario_status"] == "invalid"
    assert "999999" in ghost["conflict_en"]
    assert ghost["conflict_en"].startswith("scenarios/ghost.yaml: line 6")
    after = hashes(place)
    assert after["committee/annex/scenarios.html"] != before["committee/annex/scenarios.html"]
    assert after["committee/mart_allocation.parquet"] == before["committee/mart_allocation.parquet"]
    assert "nothing has changed" in place.call().stdout


@pytest.mark.slow
def test_a_short_run_makes_the_bytes_of_a_whole_one(place, solved):
    write(place, "need_blind", HALF)
    assert "only scenarios" in place.call().stdout
    after = hashes(place)
    solved.clear()
    assert place.call("--force").returncode == 0
    assert len(solved) == len((CONFIRMED, *BASE_FILES))
    assert hashes(place) == after


@pytest.fixture
def asked(published):
    """The city after its run, and what the step was given and made."""
    space = published.workspace()
    solve = step.STEPS[0]
    tables = Warehouse(path=str(space.warehouse_path)).tables((*solve.reads, *solve.remembers))
    return space.city(), tables


def test_what_has_not_changed_is_not_solved(asked, solved):
    city, tables = asked
    made = step.solve_scenarios(city, tables)
    assert solved == []
    for name in step.STEPS[0].remembers:
        key = dictionary().tables[name].key
        held = made[name].select(dictionary().tables[name].columns).sort(key)
        assert held.cast(dict(tables[name].schema)).equals(tables[name])


def test_a_changed_effect_solves_every_scenario(asked, solved):
    city, tables = asked
    larger = tables["mart_effect"].with_columns(pl.col("effect_sd") * 1.5)
    step.solve_scenarios(city, tables | {"mart_effect": larger})
    assert len(solved) == len((CONFIRMED, *BASE_FILES))


def test_an_invalid_scenario_stops_before_any_work(place):
    write(place, "wrong", "name_he: שם\nname_en: Name\nreason: why\nchanges:\n  need: {}\n")
    expect_error(place, "scenarios/wrong.yaml", "line 5", "changes.need", "אינו החלטה")
