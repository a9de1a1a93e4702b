"""The studio over a published release: the plan itself when nothing is moved, a new one when
something is.
"""

import time
from dataclasses import replace

import polars as pl
import pytest

from pipelines.decide.studio import Studio


@pytest.fixture(scope="module")
def studio(published):
    return Studio.open(published.current / "analyst")


def test_untouched_it_is_the_published_plan(studio, published):
    draft = studio.draft(studio.settings)
    plan = pl.read_parquet(published.current / "analyst" / "mart_allocation_school.parquet")
    assert draft.conflict_he is None
    assert draft.totals["pairs_changed"] == draft.totals["schools_moved"] == 0
    of_city = draft.totals["city_services_agorot"]
    assert draft.totals["cost_agorot"] - of_city == plan["cost_agorot"].sum()
    assert of_city > 0
    both = draft.schools.join(plan, on="semel_mosad", suffix="_plan")
    assert both.height == plan.height
    assert (both["cost_agorot"] == both["cost_agorot_plan"]).all()


def test_the_problem_is_the_one_the_run_solved(studio, published):
    """Built from published tables, it equals the one built from the warehouse."""
    from pipelines.decide import allocation
    from pipelines.warehouse.database import Warehouse

    space = published.workspace()
    tables = Warehouse(path=str(space.warehouse_path)).tables(allocation.STEPS[0].reads)
    asked = allocation.problem(space.city(), tables).canonical()
    for name in ("schools", "options", "costs", "channels", "school_channels", "services"):
        assert getattr(studio.problem, name).equals(getattr(asked, name)), name
    # The studio keeps what the fair plan kept, too.
    kept = {"need_order", "lines_kept"}
    assert {r.rule_id for r in studio.problem.rules} - kept == {r.rule_id for r in asked.rules}


def test_moved_decisions_are_kept_by_the_draft(studio):
    base = studio.settings
    floor = replace(
        base, floor_nis=200, excellence_pct=(10, 15), municipal_nis=base.municipal_nis // 2
    )
    asked = studio.changed(floor)
    assert {"school_floor", "excellence_share_min:municipal_own"} <= {
        r.rule_id for r in asked.rules
    }
    started = time.process_time()
    draft = studio.draft(floor)
    assert time.process_time() - started < 4  # 2 s and a busy machine
    assert draft.conflict_he is None
    assert draft.totals["municipal_agorot"] <= 100 * floor.municipal_nis
    assert (draft.schools["cost_agorot"] >= 20_000 * draft.schools["pupils"].cast(pl.Int64)).all()
    assert draft.gap_pct <= 0.1 + 1e-9


def test_no_plan_is_said_in_words(studio):
    draft = studio.draft(replace(studio.settings, municipal_nis=0))
    assert "אין תוכנית" in draft.conflict_he
    assert draft.gap_pct is None


def test_the_notebook_runs(published, monkeypatch):
    import importlib.util

    from tests.runs import PROJECT

    monkeypatch.setenv("TIKKUN_DATA_MARTS", published.env["TIKKUN_DATA_MARTS"])
    monkeypatch.setenv("TIKKUN_CITY", published.raw.name)
    path = PROJECT / "notebooks" / "scenario_studio.py"
    spec = importlib.util.spec_from_file_location("scenario_studio", path)
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    outputs, defined = notebook.app.run()
    assert defined["draft"].totals["schools_moved"] == 0
    assert any("טיוטה, לא החלטה" in str(getattr(item, "text", "")) for item in outputs)
