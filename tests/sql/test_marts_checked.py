"""Checks of marts on what the SQL makes: they hold on sound input and name what is wrong
otherwise.
"""

import duckdb
import numpy as np
import pytest

from pipelines.settings.fields import dictionary
from pipelines.warehouse.checks import run_checks
from pipelines.warehouse.suites import SPECIAL
from tests.sql.test_golden import run


def found(name, check_id, given):
    """Return the result of one check of a mart over the rows its SQL makes of the input."""
    connection = duckdb.connect()
    connection.register("made", run(name, given))
    connection.execute("CREATE TABLE relation AS SELECT * FROM made")
    connection.execute("CREATE SCHEMA core")
    table = dictionary().tables[name]
    for column, parent in table.references:
        connection.execute(f"CREATE TABLE core.{parent} ({column} VARCHAR)")
    checks = [check for check in SPECIAL[name] if check.id == check_id]
    return run_checks(connection, table, "relation", checks)[0]


def line(**other):
    return {
        "semel_mosad": "1",
        "school_year": 2026,
        "response_id": "a",
        "funding_channel": "municipal_own",
        "is_formal": True,
        "is_pedagogical": True,
        "plan_agorot": 100,
        "actual_agorot": 90,
    } | other


def test_a_channel_that_no_funder_pays_blocks_the_budget_tags():
    sound = found(
        "mart_budget_tag",
        "tags_reconcile",
        {"core_budget_line": [line(), line(funding_channel="parents")]},
    )
    assert sound.is_passed
    lost = found(
        "mart_budget_tag",
        "tags_reconcile",
        {"core_budget_line": [line(), line(funding_channel="new_fund")]},
    )
    assert not lost.is_passed
    assert lost.check.blocks
    assert "funder/municipality/2026" in lost.failing_keys


@pytest.mark.parametrize(("adapted", "passes"), [(9, True), (30, False)])
def test_many_adapted_tests_are_warned_of(adapted, passes):
    scores = [
        {
            "pupil_hash": str(n),
            "school_year": 2026,
            "semel_mosad": "1",
            "test_source": "internal",
            "is_tested": True,
            "is_adapted": n < adapted,
        }
        for n in range(60)
    ]
    given = {
        "core_school_code": [{"semel_mosad_old": "1", "semel_mosad": "1"}],
        "stg_tests__pupil_scores": scores,
    }
    result = found("mart_test_participation", "adapted_share", given)
    assert result.is_passed == passes
    assert result.check.severity == "WARN"
    assert result.failing_keys == (() if passes else ("1/2026/internal",))


def means(*rulers):
    """Two years of one school in one subject, each year on its own scale, by this ruler."""
    return {
        "core_school_subject_year": [
            {
                "semel_mosad": "1",
                "subject": "math",
                "grade": 5,
                "scale_id": f"L{n}",
                "school_year": 2024 + n,
                "group_id": "all",
                "is_measured": True,
                "score_mean": 500 + 30 * n,
            }
            for n in (1, 2)
        ],
        "core_scale": [
            {
                "scale_id": f"L{n}",
                "school_year": 2024 + n,
                "grade": 5,
                "subject": "math",
                "reference_mean": 500,
                "reference_sd": 100,
            }
            for n in (1, 2)
        ],
        "core_scale_link": [
            {"scale_id": f"L{n}", "school_year": 2024 + n, "ruler": ruler}
            for n, ruler in enumerate(rulers, start=1)
        ],
    }


@pytest.mark.parametrize(
    ("rulers", "change"),
    [(("link A", "link A"), 0.3), (("link A", "link B"), None), (("scale L1", "scale L2"), None)],
)
def test_a_trend_across_unlinked_scales_is_empty_and_warned_of(rulers, change):
    trend = run("mart_trend", means(*rulers)).row(0, named=True)
    assert trend["change_sd"] == (pytest.approx(change) if change else None)
    result = found("mart_trend", "unlinked_scales", means(*rulers))
    assert result.is_passed == (change is not None)
    assert result.check.severity == "WARN"
    assert not result.check.blocks
    assert result.failing_keys == (() if change else ("1/math/5/L2/2026",))


@pytest.mark.parametrize("is_flipped", [False, True])
def test_deciles_that_lie_the_wrong_way_round_in_one_year_are_an_error(is_flipped):
    """A usual correlation of pupils' deciles and levels, -.25, turned in one of two years (R13)."""
    rng = np.random.default_rng(1)
    level = rng.normal(size=800)
    decile = np.argsort(np.argsort(-0.25 * level + 0.97 * rng.normal(size=800))) // 80 + 1
    pupils = [
        {
            "pupil_hash": str(place),
            "school_year": year,
            "semel_mosad": str(place % 9),
            "nurture_decile": int(11 - one if is_flipped and year == 2026 else one),
            "pupil_level_sd": float(own),
        }
        for year in (2025, 2026)
        for place, (one, own) in enumerate(zip(decile, level, strict=True))
    ]
    result = found("core_direction", "direction", {"core_pupil_level": pupils})
    assert (result.check.severity, result.check.blocks) == ("ERROR", True)
    assert result.failing_keys == (("nurture_decile/2026",) if is_flipped else ())
