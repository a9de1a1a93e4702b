"""Effects of drawn places: by hand, against simulation, against a published experiment; the draw
itself.
"""

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from models.effects.least_squares import Undetermined, clustered
from models.effects.lottery import lottery
from models.lottery import draw_lottery
from tests.examples import examples


def drawn(seed, *, effect=0.2, strata=6, size=40, take_up=1.0, loss=0.0, prior=0.8):
    """Entrants of several draws; the prior explains part of the outcome, chances differ by draw."""
    rng = np.random.default_rng(seed)
    n = strata * size
    stratum = np.repeat(np.arange(strata), size)
    chance = rng.uniform(0.2, 0.7, strata)[stratum]
    offered = np.zeros(n, dtype=bool)
    for s in range(strata):
        places = round(chance[s * size] * size)
        offered[s * size + rng.permutation(size)[:places]] = True
    before = rng.normal(0, 1, n)
    taking = offered & (rng.random(n) < take_up)
    outcome = 0.3 * stratum + prior * before + rng.normal(0, 0.6, n) + effect * taking
    lost = rng.random(n) < np.where(offered, loss, 0.0)
    return pl.DataFrame(
        {
            "stratum": [f"s{i}" for i in stratum],
            "unit": [f"p{i:05}" for i in range(n)],
            "is_offered": offered,
            "dose": taking.astype(float),
            "outcome_sd": [
                None if gone else value for gone, value in zip(lost, outcome, strict=True)
            ],
            "before_sd": before,
        }
    )


def test_one_draw_by_hand():
    frame = pl.DataFrame(
        {
            "stratum": ["a"] * 40,
            "unit": [f"{i:02}" for i in range(40)],
            "is_offered": [i < 20 for i in range(40)],
            "dose": [0.5 if i < 20 else 0.0 for i in range(40)],
            "outcome_sd": [1.0 + (i % 2) if i < 20 else 0.5 + (i % 2) for i in range(40)],
        }
    )
    found = lottery(frame, seed=1)
    assert found.itt_sd == pytest.approx(0.5)
    assert found.effect_sd == pytest.approx(1.0)  # half a dose made half of it
    # Every score is .5 from its side's mean: residual variance .25, 20 on each side.
    plain = (0.25 / 20 + 0.25 / 20) ** 0.5 * (40 / 39 * 39 / 38) ** 0.5
    plain *= 1.6848751 / 1.6448536  # Student's t of 39 pupils
    assert found.itt_se_sd == pytest.approx(plain)
    assert found.effect_se_sd == pytest.approx(2 * plain)
    assert found.p_value <= 0.01


@pytest.mark.parametrize("take_up", [pytest.param(1.0, marks=pytest.mark.slow), 0.6])
def test_intervals_cover_and_nothing_is_found_where_nothing_is(take_up):
    inside, false, sure = 0, 0, 0
    for seed in range(200):
        one = lottery(drawn(seed, take_up=take_up), covariates=["before_sd"], seed=1, draws=99)
        inside += abs(one.effect_sd - 0.2) <= 1.645 * one.effect_se_sd
        sure += one.p_value <= 0.1
        none = lottery(
            drawn(seed, effect=0.0, take_up=take_up), covariates=["before_sd"], seed=1, draws=99
        )
        false += none.p_value <= 0.1
    assert 0.86 <= inside / 200 <= 0.95
    assert false / 200 <= 0.145  # .10 and three errors of 200 draws
    assert sure > 5 * false / 2


def test_a_prior_score_makes_it_surer_and_order_decides_nothing():
    frame = drawn(3)
    plain, adjusted = lottery(frame, seed=1), lottery(frame, covariates=["before_sd"], seed=1)
    assert adjusted.effect_se_sd < 0.75 * plain.effect_se_sd
    mixed = frame.sample(fraction=1, shuffle=True, seed=2).select(reversed(frame.columns))
    assert lottery(mixed, covariates=["before_sd"], seed=1) == adjusted


def test_doubts():
    assert lottery(drawn(1, strata=1, size=20), seed=1).doubts == ("few_entrants",)
    weak = lottery(drawn(1, take_up=0.05), seed=1)
    assert (weak.effect_sd, "weak_take_up" in weak.doubts) == (None, True)
    assert "attrition" in lottery(drawn(1, loss=0.3), seed=1).doubts
    moved = drawn(1).with_columns(
        other_sd=pl.col("is_offered").cast(pl.Float64) + pl.col("before_sd")
    )
    assert "placebo_fails" in lottery(moved, placebo="other_sd", seed=1).doubts
    quiet = lottery(drawn(2), placebo="before_sd", seed=1)
    assert quiet.placebo_sd is not None
    assert "placebo_fails" not in quiet.doubts
    with pytest.raises(ValueError, match="twice"):
        lottery(pl.concat([drawn(1), drawn(1)]), seed=1)
    with pytest.raises(ValueError, match="stratum"):
        lottery(drawn(1).drop("stratum"), seed=1)


def test_errors_equal_a_library_s():
    rng = np.random.default_rng(4)
    x, cluster = rng.normal(size=(120, 3)), np.repeat(np.arange(30), 4)
    y = x @ [0.5, 1.0, -1.0] + rng.normal(size=30)[cluster] + rng.normal(size=120)
    fitted = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    assert clustered(y, x, cluster) == pytest.approx((fitted.params[0], fitted.bse[0]), rel=1e-9)


def test_the_published_experiment(shared_data):
    """NSW: the difference in means of the experiment (LaLonde; Dehejia & Wahba)."""
    import json

    known = json.loads((shared_data / "reference" / "known_answers.json").read_text())["nsw"]
    rows = pl.read_csv(
        shared_data / "reference" / "lalonde" / "lalonde_arm.csv", infer_schema_length=None
    )
    frame = rows.filter(pl.col("sample") == 1) if "sample" in rows.columns else rows
    frame = frame.with_row_index("unit").select(
        stratum=pl.lit("nsw"),
        unit="unit",
        is_offered=pl.col("treat") == 1,
        dose=pl.col("treat").cast(pl.Float64),
        outcome_sd=pl.col("re78").cast(pl.Float64),
    )
    if frame.height != 445:
        pytest.skip(f"the file holds {frame.height} rows, not the 445 of the experiment")
    found = lottery(frame, seed=1)
    assert found.effect_sd == pytest.approx(known["recomputed"], abs=0.01)
    assert found.p_value < 0.05


def test_the_draw_can_be_repeated_and_is_fair():
    people = pl.DataFrame({"unit": [f"p{i}" for i in range(10)]})
    first = draw_lottery(people, 3, seed=11)
    assert first.equals(draw_lottery(people.reverse(), 3, seed=11))
    assert first["is_offered"].sum() == 3
    assert not first.equals(draw_lottery(people, 3, seed=12))
    wins = pl.concat([draw_lottery(people, 3, seed=s) for s in range(2000)])
    share = wins.group_by("unit").agg(pl.col("is_offered").mean())["is_offered"]
    assert share.min() > 0.3 - 4 * (0.21 / 2000) ** 0.5
    assert share.max() < 0.3 + 4 * (0.21 / 2000) ** 0.5


@settings(max_examples=examples(50))
@given(st.integers(0, 30), st.integers(0, 12), st.integers(0, 2**31))
def test_every_stratum_gives_its_places(size, places, seed):
    people = pl.DataFrame(
        {"school": ["a"] * size + ["b"] * size, "unit": [f"{i}" for i in range(2 * size)]},
        schema={"school": pl.String, "unit": pl.String},
    )
    if not size:
        return
    given_places = draw_lottery(people, places, seed=seed, by=["school"])
    counted = given_places.group_by("school").agg(pl.col("is_offered").sum())["is_offered"]
    assert counted.to_list() == [min(size, places)] * 2


def test_a_draw_without_ids_is_refused():
    with pytest.raises(ValueError, match="id of its own"):
        draw_lottery(pl.DataFrame({"unit": ["a", "a"]}), 1, seed=1)
    with pytest.raises(ValueError, match="negative"):
        draw_lottery(pl.DataFrame({"unit": ["a"]}), -1, seed=1)


def test_covariates_that_tell_who_was_drawn_leave_no_estimate():
    entrants = drawn(1).with_columns(sign=pl.col("is_offered").cast(pl.Float64))
    found = lottery(entrants, covariates=["sign"], seed=1)
    assert (found.effect_sd, found.doubts) == (None, ("few_entrants",))


def test_a_placebo_that_too_few_rows_tell_is_not_known():
    entrants = drawn(1).with_columns(
        sign=pl.when(pl.int_range(pl.len()) < 100).then(pl.col("is_offered").cast(pl.Float64)),
        other=pl.when(pl.int_range(pl.len()) < 100).then(pl.col("before_sd")),
    )
    found = lottery(entrants, covariates=["before_sd", "sign"], placebo="other", seed=1)
    assert found.effect_sd is not None
    assert found.placebo_sd is None


def test_as_many_unknowns_as_rows_leave_no_error():
    rng = np.random.default_rng(1)
    with pytest.raises(Undetermined, match="12 rows cannot determine 12 unknowns"):
        clustered(rng.normal(size=12), rng.normal(size=(12, 9)), np.arange(12), lost=3)


@pytest.mark.parametrize("at_opposite_ends", [False, True])
def test_who_lacks_an_outcome_widens_the_bias(at_opposite_ends):
    """The weakest drawn lost, and as many of the strongest others: no share tells of the latter."""
    rng = np.random.default_rng(3)
    ability = rng.normal(0, 1, 400)
    offered = np.tile([True, False], 200)
    lost = offered & (ability < -1)
    if at_opposite_ends:
        lost |= ~offered & (ability > 1)
    frame = pl.DataFrame(
        {
            "stratum": ["a"] * 400,
            "unit": np.arange(400),
            "is_offered": offered,
            "dose": offered.astype(float),
            "outcome_sd": np.where(lost, np.nan, ability + rng.normal(0, 0.5, 400)),
            "before_sd": ability + rng.normal(0, 0.5, 400),
        }
    ).with_columns(pl.col("outcome_sd").fill_nan(None))
    found = lottery(frame, seed=1, draws=19)
    blind = lottery(frame, covariates=["before_sd"], seed=1, draws=19)
    assert "attrition" in blind.doubts
    assert blind.effect_sd < 1.645 * np.hypot(blind.effect_se_sd, blind.shown_bias_sd)
    if not at_opposite_ends:  # Lee's lower bound is near the truth
        assert found.effect_sd - found.shown_bias_sd == pytest.approx(0.0, abs=0.25)
