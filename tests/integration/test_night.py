"""The night, by the schedule's own request: it publishes, rests, and goes on from what it
published.
"""

import os
from unittest.mock import patch

import dagster as dg
import polars as pl
import pytest

from pipelines.definitions import CHAIN, build
from pipelines.publish.release import current_release, manifest, verify
from pipelines.settings.workspace import workspace
from pipelines.sources import fingerprint
from pipelines.warehouse.run_store import CITY, instance
from tests.examples import part_of
from tests.integration.conftest import change_policy
from tests.runs import make_place

DAYS = {"unit": "days", "source": "test", "reason": "one day more"}


def ask(place, history):
    """Let the schedule decide, and return its request or why it asks none."""
    definitions = build(place.workspace())
    schedule = definitions.resolve_schedule_def("nightly")
    tick = schedule.evaluate_tick(dg.build_schedule_context(instance=history))
    if not tick.run_requests:
        return definitions, tick.skip_message
    (request,) = tick.run_requests
    return definitions, request


def night(place):
    """Run what the schedule asks for, and return its request or why it asks none."""
    with patch.dict(os.environ, place.env), instance(place.workspace()) as history:
        definitions, request = ask(place, history)
        if isinstance(request, str):
            return request
        done = definitions.resolve_job_def(CHAIN).execute_in_process(
            instance=history, tags=request.tags, asset_selection=request.asset_selection
        )
        assert done.success
        return request


def drift(release):
    return pl.read_parquet(release / "analyst" / "mart_quality_drift.parquet").sort(
        "figure_id", "school_year"
    )


@pytest.fixture
def looks(monkeypatch):
    """How often the inputs are looked at while a run begins."""
    seen = []
    real = fingerprint.RunInputs

    def counted(*given):
        seen.append(given)
        return real(*given)

    monkeypatch.setattr(fingerprint, "RunInputs", counted)
    return seen


def test_a_city_without_a_release_is_run_whole(small_city, tmp_path):
    place = make_place(tmp_path, small_city)
    with patch.dict(os.environ, place.env), instance(place.workspace()) as history:
        _, request = ask(place, history)
    assert request.asset_selection is None
    assert request.tags[CITY] == "demo_city"


@pytest.mark.sampled
def test_nights(place, looks):
    """The night knows what the command published, rests, and goes on from it: one night, and in
    `make validate` a second.

    What it asks for after a change of the policy is looked at here, and run below.
    """
    one = current_release(place.marts)
    assert manifest(one)["compared_with"] is None
    assert "nothing has changed" in night(place)
    assert current_release(place.marts) == one

    policy = (place.raw / "policy.yaml").read_bytes()
    change_policy(place, "act", value={"overdue_days": {"value": 31, **DAYS}})
    with patch.dict(os.environ, place.env), instance(place.workspace()) as history:
        assert ask(place, history)[1].asset_selection is None
    (place.raw / "policy.yaml").write_bytes(policy)

    was = one
    for gone in part_of(("need_blind", "more_excellence"), 2):
        (place.raw / "scenarios" / f"{gone}.yaml").unlink()
        looks.clear()
        asked = night(place).asset_selection
        assert len(looks) == 1  # once a run, not once a step
        assert dg.AssetKey(["mart", "mart_scenario"]) in asked
        assert dg.AssetKey(["mart", "mart_allocation"]) not in asked
        now = verify(place.marts)
        assert now != was
        assert manifest(now)["compared_with"] == was.name
        assert drift(now)["previous_value"].to_list() == drift(was)["observed_value"].to_list()
        was = now
    assert "nothing has changed" in night(place)
    assert "nothing has changed" in place.call().stdout

    with patch.dict(os.environ, place.env), instance(place.workspace()) as history:
        runs = history.get_runs()
        assert {run.tags[CITY] for run in runs} == {"demo_city"}
        assert len(runs) == 1 + len(part_of(range(2), 2))


@pytest.mark.slow
def test_a_night_after_a_change_of_the_policy(place, looks):
    """What only the last steps read: the night takes the others as they were remembered."""
    one = current_release(place.marts)
    change_policy(place, "act", value={"overdue_days": {"value": 31, **DAYS}})
    looks.clear()
    assert night(place).asset_selection is None
    assert len(looks) == 1
    two = verify(place.marts)
    assert two != one
    assert manifest(two)["compared_with"] == one.name
    assert drift(two)["previous_value"].to_list() == drift(one)["observed_value"].to_list()
    assert "nothing has changed" in night(place)


def test_two_cities_side_by_side_share_no_history(tmp_path, monkeypatch):
    """What one city made is not seen from the other, though one folder holds both histories."""
    monkeypatch.setenv("TIKKUN_DAGSTER", str(tmp_path / "dagster"))
    monkeypatch.setenv("TIKKUN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("DAGSTER_HOME", "")

    @dg.asset
    def table():
        return None

    key = table.key
    with instance(workspace("city_one")) as history:
        assert dg.materialize([table], instance=history).success
        assert history.get_latest_materialization_event(key)
    with instance(workspace("city_two")) as history:
        assert history.get_latest_materialization_event(key) is None
        assert not history.get_runs()
    with instance(workspace("city_one")) as history:
        assert history.get_latest_materialization_event(key)
