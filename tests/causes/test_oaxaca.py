"""Oaxaca-Blinder: the library's totals, exact sums, swapped groups, levels, and intervals that
cover.
"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.oaxaca import OaxacaBlinder

from models.causes.oaxaca import PARTS, oaxaca_blinder
from tests.examples import examples

NUMERIC = {"income": None, "days": None}
WHOLE = {**NUMERIC, "stream": ["s", "r", "u"]}


def pupils(seed, n=400, schools=12):
    rng = np.random.default_rng(seed)
    school = rng.integers(0, schools, n)
    weak = rng.random(n) < 0.4
    income, days = rng.normal(10 - 2 * weak, 2, n), rng.poisson(8 + 3 * weak, n)
    stream = np.array(["s", "r", "u"])[rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    score = (
        500 + 3 * income - (1 + weak) * days + 5 * (stream == "r") - 4 * weak + rng.normal(0, 9, n)
    )
    return pl.DataFrame(
        {
            "semel_mosad": [f"9{j:05d}" for j in school],
            "weak": weak,
            "income": income,
            "days": days,
            "stream": stream,
            "score": score + rng.normal(0, 3, schools)[school],
        }
    )


def value(found, part, regressor="all"):
    return found.filter(pl.col("part") == part, pl.col("regressor") == regressor)[
        "contribution"
    ].item()


def gap(frame):
    means = dict(frame.group_by("weak").agg(pl.col("score").mean()).iter_rows())
    return means[True] - means[False]


def test_totals_are_the_library_s():
    frame = pupils(1)
    dummies = [(frame["stream"] == level).to_numpy() for level in "ru"]
    exog = np.column_stack(
        [np.ones(400), frame["income"], frame["days"], *dummies, frame["weak"]]
    ).astype(float)
    model = OaxacaBlinder(frame["score"].to_numpy(), exog, exog.shape[1] - 1, swap=False)
    # The library subtracts the group with 1 from the group with 0.
    turned = oaxaca_blinder(frame.with_columns(~pl.col("weak")), "score", "weak", WHOLE, draws=20)
    for decomposition, published in (
        ("threefold", model.three_fold().params),
        ("twofold", model.two_fold().params[1::-1]),
    ):
        for part, expected in zip(PARTS[decomposition], published, strict=False):
            assert value(turned, part) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10_000), st.integers(250, 400), st.floats(-1e4, 1e4), st.floats(0.01, 100))
def test_parts_sum_to_the_gap_exactly(seed, n, shift, factor):
    frame = pupils(seed, n).with_columns(
        pl.col("score") * factor + shift, pl.col("income") * factor
    )
    found = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20, seed=seed)
    for part in ("endowments", "coefficients", "interaction", "explained", "unexplained"):
        one = found.filter(pl.col("part") == part)
        detail = one.filter(pl.col("regressor") != "all")["contribution"].sum()
        assert detail == pytest.approx(value(found, part), abs=1e-9 * max(1, factor))
    sums = (
        found.filter(pl.col("regressor") == "all")
        .group_by("decomposition")
        .agg(pl.col("contribution").sum())
    )
    assert sums["contribution"].to_list() == pytest.approx(
        [gap(frame)] * 2, abs=1e-9 * max(1, factor)
    )


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 10_000))
def test_row_order_is_nothing_and_the_seed_is_all(seed):
    frame = pupils(seed, 300)
    found = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20)
    mixed = frame.sample(fraction=1, shuffle=True, seed=seed)
    assert oaxaca_blinder(mixed, "score", "weak", WHOLE, draws=20).equals(found)
    other = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20, seed=1)
    assert other["contribution"].equals(found["contribution"])
    assert not other["contribution_lo"].equals(found["contribution_lo"])


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 10_000))
def test_swapped_groups(seed):
    frame = pupils(seed)
    one = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20)
    two = oaxaca_blinder(frame.with_columns(~pl.col("weak")), "score", "weak", WHOLE, draws=20)
    for name in (*WHOLE, "constant", "all"):
        a, b = (
            {part: value(found, part, name) for part in (*PARTS["threefold"], *PARTS["twofold"])}
            for found in (one, two)
        )
        assert b["explained"] == pytest.approx(-a["explained"], abs=1e-8)
        assert b["unexplained"] == pytest.approx(-a["unexplained"], abs=1e-8)
        assert b["interaction"] == pytest.approx(a["interaction"], abs=1e-8)
        assert b["endowments"] == pytest.approx(-a["endowments"] - a["interaction"], abs=1e-8)
        assert b["coefficients"] == pytest.approx(-a["coefficients"] - a["interaction"], abs=1e-8)


@pytest.mark.parametrize("levels", [["s", "u", "r"], ["u", "r", "s"], ["r", "s", "u"]])
def test_no_detail_depends_on_the_order_of_levels(levels):
    frame = pupils(4)
    one = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20)
    two = oaxaca_blinder(frame, "score", "weak", {**NUMERIC, "stream": levels}, draws=20)
    assert one["contribution"].to_numpy() == pytest.approx(two["contribution"].to_numpy(), abs=1e-9)


def test_levels_by_hand():
    """Effects as deviations from the levels' mean: Yun's averaging over every choice of level left
    out.
    """
    frame = pupils(7)
    found = oaxaca_blinder(frame, "score", "weak", WHOLE, draws=20)
    details = []
    for left_out in "sru":
        kept = [level for level in "sru" if level != left_out]
        mean, beta = {}, {}
        for side in (True, False):
            part = frame.filter(pl.col("weak") == side)
            design = np.column_stack(
                [
                    np.ones(part.height),
                    part["income"],
                    part["days"],
                    *((part["stream"] == level).to_numpy() for level in kept),
                ]
            ).astype(float)
            beta[side] = np.linalg.lstsq(design, part["score"].to_numpy(), rcond=None)[0]
            mean[side] = design.mean(axis=0)
        details.append((mean[False] * (beta[True] - beta[False]))[3:].sum())
    assert value(found, "coefficients", "stream") == pytest.approx(np.mean(details), abs=1e-8)
    assert np.ptp(details) > 0.1  # what would come of leaving one level out


def test_known_truth():
    rng = np.random.default_rng(0)
    weak = np.arange(40_000) % 2 == 0
    x = rng.normal(2 + 1.0 * weak, 1)
    score = 1 + 2 * x + weak * (0.5 + 1 * x) + rng.normal(0, 1, 40_000)
    frame = pl.DataFrame(
        {"semel_mosad": np.arange(40_000) // 800, "weak": weak, "x": x, "score": score}
    )
    found = oaxaca_blinder(frame, "score", "weak", {"x": None})
    for part, regressor, truth in (
        ("endowments", "x", 2.0),
        ("coefficients", "x", 2.0),
        ("coefficients", "constant", 0.5),
        ("interaction", "x", 1.0),
        ("explained", "x", 2.5),
        ("unexplained", "all", 3.0),
    ):
        row = found.filter(pl.col("part") == part, pl.col("regressor") == regressor).row(
            0, named=True
        )
        assert row["contribution"] == pytest.approx(truth, abs=0.06)
        assert row["contribution_lo"] < row["contribution"] < row["contribution_hi"]
    assert found["n_pupils"].unique().to_list() == [40_000]
    assert found["n_schools"].unique().to_list() == [50]


def test_intervals_by_school_cover():
    """Pupils of a school share its level; an interval that took them one by one would be far too
    narrow.
    """
    covered, naive = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        school = np.repeat(np.arange(40), 20)
        weak = rng.random(800) < rng.beta(1, 1, 40)[school]
        x = rng.normal(0.5 * weak, 1)
        score = x - weak + rng.normal(0, 1, 40)[school] + rng.normal(0, 1, 800)
        frame = pl.DataFrame({"semel_mosad": school, "weak": weak, "x": x, "score": score})
        for found, frame_ in (
            (covered, frame),
            (naive, frame.with_columns(semel_mosad=pl.int_range(800))),
        ):
            row = oaxaca_blinder(frame_, "score", "weak", {"x": None}, draws=150, seed=seed).filter(
                pl.col("part") == "unexplained", pl.col("regressor") == "all"
            )
            found.append(row["contribution_lo"].item() < -1 < row["contribution_hi"].item())
    assert np.mean(covered) == pytest.approx(0.89, abs=0.07)
    assert np.mean(naive) < 0.75


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (lambda f: f.drop("days"), {}, "not in the frame: days"),
        (lambda f: f, {"regressors": {}}, "no regressor"),
        (lambda f: f, {"regressors": {"score": None}}, "one role"),
        (lambda f: f.with_columns(constant=1.0), {"regressors": {"constant": None}}, "one role"),
        (lambda f: f, {"draws": 5}, "at least 20"),
        (lambda f: f.filter(pl.col("weak")), {}, "both groups"),
        (lambda f: f.with_columns(pl.col("weak").cast(pl.Int8)), {}, "Boolean"),
        (lambda f: f.with_columns(semel_mosad=pl.lit("1")), {}, "at least 6"),
        (lambda f: f.with_columns(score=pl.lit(None, pl.Float64)), {}, "score has empty"),
        (lambda f: f.with_columns(income=float("nan")), {}, "income has empty"),
        (lambda f: f, {"regressors": {"stream": ["s"]}}, "two or more"),
        (lambda f: f, {"regressors": {"stream": ["s", "r"]}}, "not among its levels"),
        (lambda f: f, {"regressors": {"stream": ["s", "r", "u", "x"]}}, "cannot be told"),
        (
            lambda f: f.with_columns(twice=2 * pl.col("income")),
            {"regressors": {"income": None, "twice": None}},
            "cannot be told",
        ),
        (lambda f: f.with_columns(income=1.0), {}, "cannot be told"),
    ],
)
def test_bad_input_is_named(change, arguments, said):
    with pytest.raises(ValueError, match=said):
        oaxaca_blinder(
            **{
                "frame": change(pupils(1)),
                "outcome": "score",
                "group": "weak",
                "regressors": NUMERIC,
                **arguments,
            }
        )


def test_levels_of_one_school_each_are_refused():
    only = {"900000": "r", "900001": "u"}
    frame = pupils(2).with_columns(stream=pl.col("semel_mosad").replace_strict(only, default="s"))
    with pytest.raises(ValueError, match="only a few schools"):
        oaxaca_blinder(frame, "score", "weak", {"stream": ["s", "r", "u"]})
