"""The audit against hand computation, published formulas and planted inequality (R85, R86, R95)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation.account.audit import AuditSettings, audit, by_group, changes
from models.allocation.account.concentration import INDICES, concentration, concentration_curve
from models.allocation.account.horizontal import (
    _status,
    horizontal_summary,
    residuals,
    stream_differences,
    unequal_pairs,
)
from models.quarters import with_quartile
from tests.examples import examples

FAST = settings(max_examples=examples(100), deadline=None, derandomize=True)


def schools(rows):
    """(pupils, need, amount[, stream]) per school, codes 1, 2, …"""
    return pl.DataFrame(
        [(f"{i:02}", p, float(n), a, (*s, "a")[0]) for i, (p, n, a, *s) in enumerate(rows, 1)],
        schema={
            "semel_mosad": pl.String,
            "pupils": pl.Int64,
            "need": pl.Float64,
            "amount_agorot": pl.Int64,
            "stream": pl.String,
        },
        orient="row",
    )


def values(table, **options):
    found = concentration(table, seed=1, draws=options.pop("draws", 20), **options)
    return dict(zip(found["index_id"], found["index_value"], strict=True))


def test_indices_by_hand():
    """100 pupils of need .8 get 60, 100 of need .2 get 40.

    Pupils (0, .5, 1), need mass (0, .8, 1), money (0, .6, 1). Twice the area under money over
    pupils: .5·.6 + .5·(.6 + 1) = 1.1; need over pupils: .5·.8 + .5·1.8 = 1.3; money over need:
    .8·.6 + .2·1.6 = .8.
    """
    found = values(schools([(100, 0.2, 40), (100, 0.8, 60)]))
    assert found == pytest.approx(
        {"concentration": 0.1, "concentration_need": 0.3, "kakwani": -0.2, "suits": -0.2}
    )
    curve = concentration_curve(schools([(100, 0.2, 40), (100, 0.8, 60)]))
    assert curve["need"].to_list() == [None, 0.8, 0.2]
    assert curve["money_share"].to_list() == pytest.approx([0, 0.6, 1])
    assert curve["need_share"].to_list() == pytest.approx([0, 0.8, 1])


def test_sign_is_ours_and_the_literatures_the_other():
    """All money to the neediest school is above 0 here, below 0 in the literature; and the
    reverse.
    """
    rows = [(10, 0.1 * i, 0) for i in range(1, 10)]
    to_neediest = concentration(schools([*rows, (10, 1.0, 100)]), seed=1, draws=20)
    to_least = concentration(schools([(10, 0.05, 100), *rows]), seed=1, draws=20)
    index = to_neediest["index_id"].is_in(["concentration", "kakwani", "suits"])
    assert (to_neediest.filter(index)["index_value"] > 0).all()
    assert (to_neediest.filter(index)["index_value_literature"] < 0).all()
    assert (to_least.filter(index)["index_value"] < 0).all()
    assert (to_least.filter(index)["index_value_literature"] > 0).all()


def test_suits_landmarks():
    """Suits (1977): in proportion 0; a poll tax minus the Gini; all on one end near ±1."""
    need = [0.1, 0.3, 0.5, 0.9]
    in_proportion = values(schools([(100, n, round(1_000 * n)) for n in need]))
    assert in_proportion["suits"] == pytest.approx(0)
    assert in_proportion["kakwani"] == pytest.approx(0)
    poll = values(schools([(100, n, 70) for n in need]))
    assert poll["concentration"] == pytest.approx(0)
    assert poll["suits"] == pytest.approx(-poll["concentration_need"])
    only_least = values(schools([(1, 0.001, 100), (1_000, 1.0, 0)]))
    assert only_least["suits"] == pytest.approx(-1, abs=0.01)


rows_of_schools = st.lists(
    st.tuples(
        st.integers(1, 900),
        st.sampled_from([0.1, 0.25, 0.25, 0.5, 0.7, 1.0]),
        st.integers(0, 10**7),
    ),
    min_size=2,
    max_size=12,
).filter(lambda rows: sum(amount for *_, amount in rows) > 0)


@FAST
@given(rows_of_schools, st.randoms(use_true_random=False))
def test_indices_equal_the_published_formulas(rows, random):
    """The convenient covariance (O'Donnell et al. 2008, 8.2) and Gini's mean difference."""
    table = schools(rows)
    found = values(table)
    pupils, need, money = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weight = pupils / pupils.sum()
    # Fractional rank from the neediest on; schools of one need share their middle rank.
    before = np.array([weight[need > n].sum() for n in need])
    rank = before + np.array([weight[need == n].sum() for n in need]) / 2
    each = money / pupils
    mean = weight @ each
    covariance = weight @ ((each - mean) * (rank - weight @ rank))
    assert found["concentration"] == pytest.approx(-2 * covariance / mean, abs=1e-12)
    gap = np.abs(need[:, None] - need[None, :])
    gini = weight @ gap @ weight / (2 * weight @ need)
    assert found["concentration_need"] == pytest.approx(gini, abs=1e-12)
    assert found["kakwani"] == pytest.approx(found["concentration"] - gini, abs=1e-12)
    assert all(-1 <= value <= 1 for value in found.values())
    order = random.sample(range(len(rows)), len(rows))
    assert concentration(table[order], seed=3, draws=30).equals(
        concentration(table, seed=3, draws=30)
    )


def test_bootstrap_is_by_school_seeded_and_wider_for_fewer_schools():
    rng = np.random.default_rng(5)

    def city(size):
        need = rng.uniform(0.05, 1, size)
        return schools([(300, n, int(1e6 * n * rng.lognormal(0, 0.6))) for n in need])

    small, large = city(20), city(320)
    one = concentration(small, seed=7, draws=400)
    assert one.equals(concentration(small, seed=7, draws=400))
    assert not one.equals(concentration(small, seed=8, draws=400))
    assert ((one["index_lo"] < one["index_value"]) & (one["index_value"] < one["index_hi"])).all()
    width = (one["index_hi"] - one["index_lo"])[0]
    other = concentration(large, seed=7, draws=400)
    assert width / (other["index_hi"] - other["index_lo"])[0] == pytest.approx(4, rel=0.4)
    assert one["index_id"].to_list() == list(INDICES)


@pytest.mark.parametrize(
    "rows", [[], [(10, 0.5, 0)], [(0, 0.5, 10)], [(10, 0.0, 10)], [(10, 0.5, None)]]
)
def test_a_concentration_of_nothing_is_refused(rows):
    with pytest.raises(ValueError, match="above zero"):
        concentration(schools(rows), seed=1)


def test_residuals_of_a_planted_stream():
    """Money = 1,000 + 2,000·need per pupil, 500 more in stream b: found to the agora, and a
    WARN.
    """
    rows = [
        (p, n, p * (1_000 + round(2_000 * n) + (500 if s == "b" else 0)), s)
        for p, n, s in [
            (100, 0.1, "a"),
            (300, 0.5, "a"),
            (200, 0.9, "a"),
            (150, 0.3, "b"),
            (250, 0.6, "b"),
        ]
    ]
    table = schools(rows)
    found = residuals(table)
    assert found["residual_with_stream_agorot"].to_list() == pytest.approx([0] * 5, abs=1e-6)
    assert found["residual_agorot"].abs().max() > 200
    streams = stream_differences(table, tolerance_pct=5)
    # 400 of 1,000 pupils are in b: +300 and −200 average zero.
    assert streams["difference_agorot"].to_list() == pytest.approx([-200, 300])
    mean = table["amount_agorot"].sum() / 1_000
    assert streams["difference_pct"].to_list() == pytest.approx([-20_000 / mean, 30_000 / mean])
    assert streams["status"].to_list() == ["WARN", "WARN"]
    assert stream_differences(table, tolerance_pct=30)["status"].to_list() == ["ok", "ok"]
    summary = horizontal_summary(table)
    assert summary["slope_agorot_per_need"][1] == pytest.approx(2_000)
    assert summary["max_residual_agorot"][0] == pytest.approx(found["residual_agorot"].abs().max())
    size = np.abs(found["residual_agorot"].to_numpy())
    assert summary["p90_residual_agorot"][0] == pytest.approx(np.quantile(size, 0.9))


@pytest.mark.parametrize(
    ("value", "low", "high", "status"),
    [
        (4, -9, 17, "ok"),
        (12, 6, 18, "WARN"),
        (-12, -18, -6, "WARN"),
        (12, 4, 20, "cannot_tell"),  # beyond 5, and perhaps not
        (-12, -25, 1, "cannot_tell"),
        (12, None, None, "cannot_tell"),
    ],
)
def test_a_stream_is_warned_of_where_the_whole_interval_is_beyond_the_tolerance(
    value, low, high, status
):
    assert _status(value, low, high, 5) == status


def test_a_difference_that_need_explains_is_no_warning():
    """Stream b has twice the money, and need to match: equal at equal need."""
    rows = [
        (100, n, 100 * round(2_000 * n), s)
        for n, s in [(0.2, "a"), (0.3, "a"), (0.4, "b"), (0.8, "b")]
    ]
    found = stream_differences(schools(rows), tolerance_pct=1)
    assert found["per_pupil_agorot"].to_list() == pytest.approx([500, 1_200])
    assert found["difference_agorot"].to_list() == pytest.approx([0, 0], abs=1e-6)
    assert found["status"].to_list() == ["ok", "ok"]


def test_stream_interval_equals_statsmodels():
    """With two streams of equal size the centred difference is half the coefficient."""
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    rows = [
        (int(p), n, int(p * (900 + 1_500 * n + e)), "ab"[i % 2])
        for i, (p, n, e) in enumerate(
            zip(
                np.repeat(rng.integers(100, 500, 10), 2),
                rng.uniform(0, 1, 20),
                rng.normal(0, 200, 20),
                strict=True,
            )
        )
    ]
    table = schools(rows)
    design = np.column_stack(
        [np.ones(20), table["need"], (table["stream"] == "b").cast(pl.Float64)]
    )
    money, pupils = table["amount_agorot"].to_numpy(), table["pupils"].to_numpy()
    fit = sm.WLS(money / pupils, design, weights=pupils).fit()
    found = stream_differences(table, tolerance_pct=5).row(1, named=True)
    low, high = fit.conf_int(0.1)[2] / 2
    assert found["difference_agorot"] == pytest.approx(fit.params[2] / 2)
    assert (found["difference_lo"], found["difference_hi"]) == pytest.approx((low, high))


def test_too_few_schools_give_no_interval():
    found = stream_differences(schools([(10, 0.1, 100), (10, 0.9, 300)]), tolerance_pct=5)
    assert found.select("difference_agorot", "difference_lo", "status").row(0) == (0, None, "ok")


def test_pairs_of_equals_treated_unequally():
    rows = [(100, 0.30, 100_000), (100, 0.32, 130_000), (100, 0.33, 101_000), (100, 0.60, 10)]
    found = unequal_pairs(schools(rows), need_within=0.02, tolerance_agorot=50)
    assert found.select("semel_mosad", "semel_mosad_other", "difference_agorot").rows() == [
        ("02", "01", 300.0),
        ("02", "03", 290.0),
    ]
    assert unequal_pairs(schools(rows), need_within=0.02, tolerance_agorot=300).is_empty()


@FAST
@given(rows_of_schools, st.floats(0, 0.5), st.floats(0, 50_000))
def test_pairs_equal_brute_force(rows, within, tolerance):
    found = unequal_pairs(schools(rows), need_within=within, tolerance_agorot=tolerance)
    each = [amount / pupils for pupils, _, amount in rows]
    expected = {
        frozenset((f"{i + 1:02}", f"{j + 1:02}"))
        for i in range(len(rows))
        for j in range(i)
        if abs(rows[i][1] - rows[j][1]) <= within + 1e-12 and abs(each[i] - each[j]) > tolerance
    }
    assert {frozenset(pair) for pair in found.select(pl.col("^semel.*$")).rows()} == expected
    assert found.height == len(expected)
    assert (found["difference_agorot"] > tolerance).all()


def test_quartiles_hold_a_quarter_of_the_pupils():
    rows = [(100, 0.9, 400), (100, 0.7, 300), (100, 0.5, None), (100, 0.1, 0)]
    table = schools(rows)
    assert with_quartile(table)["need_quartile"].to_list() == [1, 2, 3, 4]
    found = by_group(table, "need_quartile")
    assert found["per_pupil_agorot"].to_list() == [4, 3, None, 0]
    assert found["schools_unknown"].to_list() == [0, 0, 1, 0]
    assert found["money_share_pct"].to_list() == pytest.approx([400 / 7, 300 / 7, 0, 0])
    assert found["need_share_pct"].to_list() == pytest.approx([90 / 1.7, 70 / 1.7, 0, 10 / 1.7])
    # One need, one quartile: 250 of 500 pupils are before or in the middle of the large school.
    tied = schools([(200, 0.5, 1), (200, 0.5, 1), (100, 0.1, 1)])
    assert with_quartile(tied)["need_quartile"].to_list() == [2, 2, 4]


def test_who_gains_and_who_loses():
    now = schools([(100, 0.9, 400), (50, 0.7, 100), (10, 0.5, 70), (10, 0.1, 5), (10, 0.2, 0)])
    last = pl.DataFrame(
        {"semel_mosad": ["01", "02", "04", "05"], "amount_agorot": [300, 200, 5, None]}
    )
    found = changes(now, last).select("semel_mosad", "change_agorot", "change_pct", "direction")
    assert found.rows() == [
        ("02", -100, -50.0, "loses"),
        ("04", 0, 0.0, "same"),
        ("01", 100, pytest.approx(100 / 3), "gains"),
        ("03", None, None, "new"),
        ("05", None, None, None),
    ]


def test_the_total_view_can_tell_another_story():
    """The city gives stream b less; with Ministry and Gefen money it has more. Both views are
    shown.
    """
    table = schools(
        [(100, 0.2, 0, "a"), (100, 0.8, 0, "a"), (100, 0.2, 0, "b"), (100, 0.8, 0, "b")]
    )
    plan = {"01": 10_000, "02": 20_000, "03": 5_000, "04": 15_000}
    others = {"01": 10_000, "02": 10_000, "03": 40_000, "04": 40_000}
    money = pl.DataFrame(
        [("plan", s, m) for s, m in plan.items()]
        + [("total", s, m + plan[s]) for s, m in others.items()],
        schema=["view", "semel_mosad", "amount_agorot"],
        orient="row",
    )
    found = audit(table.drop("amount_agorot"), money, AuditSettings(seed=1, draws=50))
    status = found.streams.select("view", "stream", "difference_agorot", "status").rows()
    assert status == [
        ("plan", "a", pytest.approx(25), "WARN"),
        ("plan", "b", pytest.approx(-25), "WARN"),
        ("total", "a", pytest.approx(-125), "WARN"),
        ("total", "b", pytest.approx(125), "WARN"),
    ]
    assert found.indices.filter(index_id="concentration")["index_value"].to_list() == pytest.approx(
        [0.2, 0.2 * 50 / 150]
    )
    assert found.horizontal.filter(model="need").select("view", "unequal_pairs").rows() == [
        ("plan", 2),
        ("total", 2),
    ]
    assert set(found.groups["dimension"]) == {"need_quartile", "stream"}
    reversed_rows = audit(
        table.drop("amount_agorot").reverse(), money.reverse(), AuditSettings(seed=1, draws=50)
    )
    for name in vars(found):
        assert getattr(found, name).equals(getattr(reversed_rows, name)), name


def test_zero_is_listed_and_unknown_is_not_zero():
    table = schools([(100, 0.2, 0), (100, 0.8, 0), (100, 0.5, 0)]).drop("amount_agorot")
    money = pl.DataFrame(
        {"view": ["plan"] * 2, "semel_mosad": ["01", "03"], "amount_agorot": [5, None]}
    )
    found = audit(table, money, AuditSettings(seed=1, draws=10))
    assert found.without["semel_mosad"].to_list() == ["02"]
    assert found.indices["schools"].unique().to_list() == [2]


@pytest.mark.parametrize(
    ("money", "message"),
    [
        ({"view": ["plan"], "semel_mosad": ["09"], "amount_agorot": [1]}, "unknown school"),
        (
            {"view": ["plan"], "semel_mosad": ["01"], "amount_agorot": [-1]},
            "negative amount_agorot",
        ),
        ({"view": ["plan"] * 2, "semel_mosad": ["01"] * 2, "amount_agorot": [1, 1]}, "rows twice"),
    ],
)
def test_bad_money_is_named(money, message):
    table = schools([(100, 0.2, 0)]).drop("amount_agorot")
    with pytest.raises(ValueError, match=message):
        audit(table, pl.DataFrame(money), AuditSettings(seed=1))
