"""Pupils in need and unmet needs: hand computation, simulation, planted needs, properties."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.stats import binom

from models.responses import far_below, rate_share, unmet_needs
from tests.examples import examples


def gap(value, se=0.0):
    return {
        "gap_sd": value,
        "gap_se_sd": se,
        "gap_lo_sd": value - 1.645 * se,
        "gap_hi_sd": value + 1.645 * se,
    }


def need(need_id="math", school="1", **given):
    row = {
        "need_id": need_id,
        "semel_mosad": school,
        "is_rule": False,
        "p_need": 1.0,
        "need_size": 1.0,
        "group_pupils": 100,
        "share": 0.5,
        "share_lo": 0.4,
        "share_hi": 0.6,
        "is_measured": True,
        "participants": 0,
        "participants_full": 0.0,
    }
    return row | given


def found(*rows, significant=0.9):
    schema = {
        "p_need": pl.Float64,
        "need_size": pl.Float64,
        "share_lo": pl.Float64,
        "share_hi": pl.Float64,
        "participants_full": pl.Float64,
        "group_pupils": pl.Int32,
    }
    return unmet_needs(pl.DataFrame(rows, schema_overrides=schema), significant)


def test_share_far_below_by_hand():
    shares = far_below(pl.DataFrame([gap(0.5), gap(0.0), gap(1.5)]), 0.5)
    assert shares["share"].to_list() == pytest.approx([0.5, 0.308538, 0.841345], abs=1e-6)


def test_share_far_below_is_the_mean_over_the_gap_s_uncertainty():
    draws = np.random.default_rng(1).normal(0.3, 0.4, 2000)
    pupils = np.random.default_rng(2).normal(0, 1, (2000, 1))
    simulated = np.mean(draws + pupils >= 0.5)
    share = far_below(pl.DataFrame([gap(0.3, 0.4)]), 0.5)
    assert share["share"].item() == pytest.approx(simulated, abs=0.02)
    assert share["share_lo"].item() < share["share"].item() < share["share_hi"].item()


def test_the_interval_of_a_rate_covers():
    """Mean coverage of Jeffreys' 90 % interval over rates of .02 to .5 lies near .90 (Brown, Cai,
    DasGupta 2001).
    """
    n, events = 60, np.arange(61)
    ends = rate_share(pl.DataFrame({"rate_pct": 100 * events / n, "n": [n] * 61}))
    low, high = ends["share_lo"].to_numpy(), ends["share_hi"].to_numpy()
    rates = np.linspace(0.02, 0.5, 200)
    covered = [binom.pmf(events, n, p)[(low <= p) & (p <= high)].sum() for p in rates]
    assert np.mean(covered) == pytest.approx(0.90, abs=0.015)
    assert (low[0], high[-1]) == (0, 1)


def test_an_uncovered_need_comes_first_and_a_covered_one_is_absent():
    rows = found(
        need("planted", group_pupils=200),
        need("reached_in_part", participants=40, participants_full=40.0),
        need("half_doses", participants=60, participants_full=30.0),
        need("covered", participants=50, participants_full=50.0),
        need("unsure", p_need=0.89),
        need("nobody_there", group_pupils=0),
        need("no_such_group", group_pupils=None),
    ).sort("unmet_order")
    assert rows.select("need_id", "need_coverage", "unmet_pupils", "unmet_order").rows() == [
        ("planted", "no_response", 100.0, 1),
        ("half_doses", "below_need", 20.0, 2),
        ("reached_in_part", "below_need", 10.0, 3),
    ]
    part = rows.filter(pl.col("need_id") == "reached_in_part")
    assert part.select("unmet_lo_pupils", "unmet_hi_pupils").row(0) == (0.0, 20.0)


def test_what_is_not_reported_is_neither_zero_nor_unserved():
    row = found(need(is_measured=False, participants=None, participants_full=None)).row(
        0, named=True
    )
    assert (row["need_coverage"], row["in_need_pupils"]) == ("not_measured", 50.0)
    assert [
        row[name]
        for name in (
            "unmet_pupils",
            "unmet_lo_pupils",
            "unmet_hi_pupils",
            "unmet_need",
            "unmet_order",
        )
    ] == [None] * 5


def test_a_rule_is_listed_whatever_its_probability():
    rows = found(
        need("rule", is_rule=True, p_need=None, need_size=0.2, share_lo=None, share_hi=None),
        need(
            "rule",
            "2",
            is_rule=True,
            p_need=None,
            share_lo=None,
            share_hi=None,
            participants=50,
            participants_full=50.0,
        ),
    )
    assert rows.select("semel_mosad", "unmet_need").rows() == [("1", 10.0)]
    assert rows["unmet_lo_pupils"].to_list() == [None]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([need(), need()], "twice"),
        ([need(p_need=1.2)], "between 0 and 1"),
        ([need(p_need=None)], "between 0 and 1"),
        ([need(need_size=None)], "between 0 and 1"),
        ([need(participants_full=None)], "where measured"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        found(*wrong)


def test_gaps_and_rates_without_a_value_are_refused():
    with pytest.raises(ValueError, match="gap"):
        far_below(pl.DataFrame([gap(0.1, -1.0)]), 0.5)
    with pytest.raises(ValueError, match="rate"):
        rate_share(pl.DataFrame({"rate_pct": [101.0], "n": [5]}))
    assert far_below(pl.DataFrame([gap(0.1)]).clear(), 0.5).is_empty()
    assert rate_share(pl.DataFrame(schema={"rate_pct": pl.Float64, "n": pl.Int32})).is_empty()


needs = st.lists(
    st.builds(
        lambda n, school, p, size, share, reached: need(
            n,
            school,
            p_need=p,
            need_size=share,
            group_pupils=size,
            share=share,
            share_lo=share,
            share_hi=share,
            participants=int(reached),
            participants_full=reached,
        ),
        st.sampled_from("ab"),
        st.sampled_from("123"),
        st.floats(0, 1),
        st.integers(0, 500),
        st.floats(0, 1),
        st.floats(0, 300),
    ),
    min_size=1,
    unique_by=lambda row: (row["need_id"], row["semel_mosad"]),
)


@given(needs, st.randoms())
@settings(max_examples=examples(60))
def test_order_of_rows_decides_nothing_and_more_reach_leaves_less(rows, random):
    before = found(*rows)
    shuffled = random.sample(rows, len(rows))
    assert_frame_equal(found(*shuffled), before)
    more = [
        row
        | {
            "participants": row["participants"] + 5,
            "participants_full": row["participants_full"] + 5,
        }
        for row in rows
    ]
    assert found(*more)["unmet_pupils"].sum() <= before["unmet_pupils"].sum() + 1e-9
    places = before.sort("unmet_order")
    assert places["unmet_order"].to_list() == list(range(1, before.height + 1))
    assert (places["unmet_need"].diff().drop_nulls() <= 0).all()
