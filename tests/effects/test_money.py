"""Cost per participant and per month of progress, by hand and in the demonstration city."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.effects.cost import MONTHS_PER_SD, cost_per_month, response_money
from tests.made import made

LINE = {
    "semel_mosad": pl.String,
    "response_id": pl.String,
    "funding_channel": pl.String,
    "plan_agorot": pl.Int64,
    "actual_agorot": pl.Int64,
}
PEOPLE = {
    "semel_mosad": pl.String,
    "response_id": pl.String,
    "participants": pl.Int32,
    "dose": pl.Float64,
}


def lines(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LINE, orient="row").with_columns(school_year=2026)


def people(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PEOPLE, orient="row").with_columns(school_year=2026)


def effect(value: float | None, lo: float | None, hi: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"response_id": ["r"], "effect_sd": [value], "effect_lo_sd": [lo], "effect_hi_sd": [hi]},
        schema_overrides=dict.fromkeys(("effect_sd", "effect_lo_sd", "effect_hi_sd"), pl.Float64),
    )


LINES = lines(
    ("a", "r", "municipal_own", 1000, 900),
    ("a", "r", "gefen_school", 500, 500),
    ("b", "r", "municipal_own", 250, 251),
    ("b", "r", "gefen_municipal", 250, 200),
    ("b", "r", "partner_ngo", 1, 0),
)
PEOPLE_AB = people(("a", "r", 10, 1.0), ("b", "r", 10, 0.5))


def test_sums_by_hand():
    row = response_money(LINES, PEOPLE_AB).row(0, named=True)
    assert (row["schools"], row["schools_unmatched"], row["participants"]) == (2, 0, 20)
    assert [row[f"{kind}_plan_agorot"] for kind in ("total", "gefen", "separate", "municipal")] == [
        2001,
        750,
        1251,
        1250,
    ]
    assert [
        row[f"{kind}_actual_agorot"] for kind in ("total", "gefen", "separate", "municipal")
    ] == [
        1851,
        700,
        1151,
        1151,
    ]
    assert row["municipal_share_pct"] == pytest.approx(100 * 1250 / 2001)
    assert row["cost_per_participant_plan_agorot"] == 100  # 100.05
    assert row["cost_per_participant_actual_agorot"] == 93  # 92.55
    assert row["mean_dose"] == 0.75


def test_halves_round_up():
    row = response_money(lines(("a", "r", "parents", 5, 5)), people(("a", "r", 2, 1.0))).row(
        0, named=True
    )
    assert row["cost_per_participant_plan_agorot"] == 3


def test_half_a_sum_is_no_sum():
    missing = LINES.with_columns(
        pl.when(pl.col("funding_channel") != "partner_ngo")
        .then("actual_agorot")
        .alias("actual_agorot")
    )
    row = response_money(missing, PEOPLE_AB).row(0, named=True)
    assert (row["total_actual_agorot"], row["separate_actual_agorot"]) == (None, None)
    assert row["gefen_actual_agorot"] == 700
    assert row["cost_per_participant_actual_agorot"] is None
    assert row["cost_per_participant_plan_agorot"] == 100


def test_a_school_that_reported_one_half_does_not_distort_the_cost():
    row = response_money(LINES, people(("a", "r", 10, 1.0), ("c", "r", 90, 1.0))).row(0, named=True)
    assert (row["schools"], row["schools_unmatched"], row["participants"]) == (2, 2, 100)
    assert row["cost_per_participant_plan_agorot"] == 150  # school a alone


def test_absence_is_not_zero():
    free = response_money(LINES.clear(), PEOPLE_AB).row(0, named=True)
    assert (free["schools"], free["total_plan_agorot"], free["gefen_plan_agorot"]) == (
        0,
        None,
        None,
    )
    assert (free["cost_per_participant_plan_agorot"], free["municipal_share_pct"]) == (None, None)
    silent = response_money(LINES, PEOPLE_AB.clear()).row(0, named=True)
    assert (silent["participants"], silent["cost_per_participant_plan_agorot"]) == (None, None)
    assert silent["total_plan_agorot"] == 2001


def test_cost_per_month_by_hand():
    """100 agorot at a mean dose of .75 are 133.3 a full dose; .1 SD are 1.2 months."""
    money = response_money(LINES, PEOPLE_AB)
    row = cost_per_month(money, effect(0.1, 0.05, 0.15)).row(0, named=True)
    assert row["progress_months"] == pytest.approx(1.2)
    assert row["cost_per_month_plan_agorot"] == 111
    assert row["cost_per_month_plan_agorot_lo"] == 74
    assert row["cost_per_month_plan_agorot_hi"] == 222
    assert row["cost_per_month_actual_agorot"] == 103
    assert row["is_cost_per_month_bounded"] is True


def test_an_effect_that_may_be_nothing_has_no_upper_end():
    money = response_money(LINES, PEOPLE_AB)
    row = cost_per_month(money, effect(0.05, -0.02, 0.12)).row(0, named=True)
    assert row["is_cost_per_month_bounded"] is False
    assert row["cost_per_month_plan_agorot_hi"] is None
    assert row["cost_per_month_plan_agorot_lo"] < row["cost_per_month_plan_agorot"]
    none = cost_per_month(money, effect(-0.05, -0.1, -0.01)).row(0, named=True)
    assert [none[f"cost_per_month_plan_agorot{end}"] for end in ("", "_lo", "_hi")] == [None] * 3
    unknown = cost_per_month(money, effect(0.1, 0.1, 0.1).clear()).row(0, named=True)
    assert (unknown["total_plan_agorot"], unknown["cost_per_month_plan_agorot"]) == (2001, None)


@given(st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_never_a_negative_cost_and_the_ends_are_in_order(value, reach):
    money = response_money(LINES, PEOPLE_AB)
    row = cost_per_month(money, effect(value, value - reach, value + reach)).row(0, named=True)
    ends = [row[f"cost_per_month_plan_agorot{end}"] for end in ("_lo", "", "_hi")]
    known = [end for end in ends if end is not None]
    assert known == sorted(known)
    assert all(end >= 0 for end in known)
    assert row["is_cost_per_month_bounded"] == (ends[2] is not None)


def test_the_line_of_months_follows_the_published_steps():
    """EEF toolkit: months of progress and the effect sizes they stand for."""
    steps = [
        (0.02, 0.09),
        (0.10, 0.18),
        (0.19, 0.26),
        (0.27, 0.35),
        (0.36, 0.44),
        (0.45, 0.52),
        (0.53, 0.61),
        (0.62, 0.69),
        (0.70, 0.78),
        (0.79, 0.87),
        (0.88, 0.95),
        (0.96, 1.00),
    ]
    for months, (low, high) in enumerate(steps, start=1):
        assert abs(MONTHS_PER_SD * (low + high) / 2 - months) <= 0.5


def test_order_of_rows_decides_nothing_and_bad_rows_are_named():
    found = response_money(LINES, PEOPLE_AB)
    turned = LINES[::-1].select(reversed(LINES.columns))
    assert response_money(turned, PEOPLE_AB[::-1]).equals(found)
    with pytest.raises(ValueError, match="budget lines repeat"):
        response_money(pl.concat([LINES, LINES]), PEOPLE_AB)
    with pytest.raises(ValueError, match="without an amount of 0 or more"):
        response_money(LINES.with_columns(plan_agorot=-1), PEOPLE_AB)
    with pytest.raises(ValueError, match="a dose from 0 to 1"):
        response_money(LINES, PEOPLE_AB.with_columns(dose=1.5))
    with pytest.raises(ValueError, match="pass one year"):
        cost_per_month(pl.concat([found, found]), effect(0.1, 0.1, 0.1))


def test_the_demonstration_city_to_the_agora():
    """The plan is fixed cost × schools + unit cost × participants, as the generator has it."""
    city = made(1, "clean")
    year = max(city.years)
    budget = city.files[f"budget_{year}.csv"].with_columns(
        (100 * pl.col("plan_nis")).cast(pl.Int64).alias("plan_agorot"),
        (100 * pl.col("actual_nis")).cast(pl.Int64).alias("actual_agorot"),
    )
    found = response_money(budget, city.files[f"delivery_{year}.csv"])
    milat = found.row(by_predicate=pl.col("response_id") == "milat", named=True)
    plan = 100 * (10 * 40_000 + 4_800 * milat["participants"])
    assert milat["total_plan_agorot"] == plan
    assert milat["municipal_share_pct"] == pytest.approx(25)
    assert milat["cost_per_participant_plan_agorot"] == round(plan / milat["participants"])
    rvadim = found.row(by_predicate=pl.col("response_id") == "rvadim", named=True)
    assert rvadim["gefen_plan_agorot"] * 65 == rvadim["separate_plan_agorot"] * 35
    funded = found.filter(pl.col("total_plan_agorot").is_not_null())
    assert funded["schools_unmatched"].to_list() == [0] * 12
    assert found.filter(pl.col("response_id") == "posh")["mean_dose"].item() == pytest.approx(
        0.85, abs=0.04
    )
