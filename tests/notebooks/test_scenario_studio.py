"""The studio over a published release: the plan itself when nothing is moved, a new one when
something is.
"""

import shutil
import time
from dataclasses import replace

import polars as pl
import pytest

from pipelines.decide.studio import Studio
from pipelines.publish.studio_words import picture, said
from pipelines.settings.city import CityError, load_city
from pipelines.settings.scenario_files import load_scenarios, save_scenario


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


def test_a_sentence_says_what_was_moved_and_who_gains_and_loses(studio):
    base = studio.settings
    assert said(base, base, studio.draft(base)) == ["הטיוטה היא התוכנית שפורסמה: דבר לא הוזז."]
    assert picture(studio.draft(base)) is None
    less = replace(base, municipal_nis=base.municipal_nis // 2, gamma=base.gamma + 1)
    draft = studio.draft(less)
    moved, *rest = said(less, base, draft)
    text = " ".join(rest).translate({0x2066: None, 0x2069: None})
    assert moved.startswith("תקציב הרשות:")
    assert "העדפה מתקנת:" in moved
    for direction, verb in ((-1, "מפסיד"), (1, "מרוויח")):
        rows = draft.schools.filter(pl.col("cost_change_agorot") * direction > 0)
        assert (verb in text) == (rows.height > 0)
        if rows.height > 1:
            total = abs(rows["cost_change_agorot"].sum()) / 100
            assert f"{rows.height} בתי ספר {verb}ים יחד {round(total):,} ₪" in text
    total = draft.totals
    sure = total["benefit_change_hi_sd_pupils"] < 0 or total["benefit_change_lo_sd_pupils"] > 0
    assert ("אי אפשר לדעת" in text) != sure
    tiers = draft.schools["need_tier"].drop_nulls().n_unique()
    assert str(picture(draft).desk).count("<rect") >= tiers


def test_what_has_no_plan_names_what_was_moved_and_draws_nothing(studio):
    asked = replace(studio.settings, municipal_nis=0, floor_nis=1500)
    draft = studio.draft(asked)
    (only,) = said(asked, studio.settings, draft)
    assert "תקציב הרשות" in only
    assert "רצפה לתלמיד" in only
    assert picture(draft) is None


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


def test_a_draft_is_saved_as_a_scenario_of_the_city(studio, small_city, tmp_path):
    city = tmp_path / small_city.name
    shutil.copytree(small_city, city)
    base = studio.settings
    moved = replace(base, municipal_nis=base.municipal_nis // 2, excellence_pct=(10, 15), gamma=2.0)
    changes = studio.changes(moved)
    path = save_scenario(city, "half", "מחצית", "half", "האם די במחצית", changes)
    saved = {one.scenario_id: one for one in load_scenarios(load_city(city))}["half"]
    rules, channel = saved.policy.rules, saved.policy.channels["municipal_own"]
    assert (rules.excellence_min.value, rules.excellence_max.value) == (10, 15)
    assert channel.budget.value == moved.municipal_nis
    assert saved.policy.equity_gamma.value == 2.0
    assert {"channels", "rules", "equity_gamma"} == changes.keys()
    with pytest.raises(CityError, match="already"):
        save_scenario(city, "half", "מחצית", "half", "האם די במחצית", changes)
    with pytest.raises(CityError):
        save_scenario(city, "ba se", "ריק", "empty", "אין", changes)
    assert [p.name for p in path.parent.glob("*half*")] == ["half.yaml"]
    assert not (path.parent / "ba se.yaml").exists()


def test_a_floor_that_the_policy_lacks_is_saved_with_its_unit(studio, small_city, tmp_path):
    city = tmp_path / small_city.name
    shutil.copytree(small_city, city)
    changes = studio.changes(replace(studio.settings, floor_nis=200))
    save_scenario(city, "floor", "רצפה", "floor", "מה עולה רצפה", changes)
    saved = {one.scenario_id: one for one in load_scenarios(load_city(city))}["floor"]
    assert saved.policy.rules.school_floor_per_pupil.value == 200
