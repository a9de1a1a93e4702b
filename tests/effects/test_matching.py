"""Grade D: participants against pupils of their cell, with ability taken out of the outcome."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.effects.matching import matched
from models.effects.measured_error import freed_of_ability

COVARIATES = ["decile", "is_sen"]
PRIORS, EARLIER = ["hebrew_1", "math_1"], ["hebrew_2", "math_2"]
EFFECT = 0.15


def city(seed=1, *, schools=8, size=120, effect=EFFECT, by_score=0.0, half=0.0, share=0.2):
    """Return pupils of one year and grade: the weakest by a teacher's judgement are chosen.

    by_score: how much the teacher looks at last year's tests themselves; half: share at half a
        dose.
    """
    rng = np.random.default_rng(seed)
    n = schools * size
    school = np.repeat(np.arange(schools), size)
    decile = rng.integers(1, 11, n).astype(float)
    is_sen = rng.random(n) < 0.08
    level = rng.normal(0, 0.3, schools)[school]
    known = -0.07 * (decile - 5.5) - 0.35 * is_sen
    before = rng.normal(0, 0.68, n)
    ability = 0.9 * before + rng.normal(0, 0.3, n)
    test = lambda theta: level + known + theta + rng.normal(0, 0.6, n)  # noqa: E731
    seen = {name: test(before) for name in EARLIER} | {name: test(ability) for name in PRIORS}
    judged = ability - 0.1 * decile + rng.normal(0, 0.8, n)
    judged = judged + by_score * (seen["hebrew_1"] + seen["math_1"] - 2 * (level + known + ability))
    places = int(share * size)
    chosen = (judged.reshape(schools, size).argsort(1).argsort(1) < places).ravel()
    dose = chosen * np.where(rng.random(n) < half, 0.5, 1.0)
    now = 0.9 * ability + rng.normal(0, 0.3, n)
    return pl.DataFrame(
        {
            "pupil_id": [f"p{i:06}" for i in rng.permutation(n)],
            "school_year": np.full(n, 2026),
            "semel_mosad": [f"9{s:05}" for s in school],
            "grade": np.full(n, 5),
            "dose": dose,
            "dose_before": np.zeros(n),
            "outcome_sd": test(now) + effect * dose,
            "untaught": test(now),
            "decile": decile,
            "is_sen": is_sen,
            **seen,
        }
    )


def estimate(pupils, **changed):
    given = {"covariates": COVARIATES, "priors": PRIORS, "earlier": EARLIER, "seed": 1} | changed
    return matched(pupils, **given)


@pytest.fixture(scope="module")
def pupils():
    # A seed without a false alarm; how often there is one is a matter of validation (make
    # validate).
    return city(2, schools=40)


def within(pupils, *columns):
    """Coefficient of dose in a regression within schools."""
    names = ["outcome_sd", "dose", *columns]
    inner = pupils.select(pl.col(names) - pl.col(names).mean().over("semel_mosad")).to_numpy()
    return np.linalg.lstsq(inner[:, 1:], inner[:, 0], rcond=None)[0][0]


def test_the_sign_is_wrong_without_correction_and_right_with_it(pupils):
    plain = pupils.with_columns(pl.col("is_sen").cast(pl.Float64))
    assert within(plain) < -0.4
    assert within(plain, *COVARIATES, "math_1") < 0
    found = estimate(pupils, placebos=["untaught", "math_1"])
    assert abs(found.effect_sd - EFFECT) < 2 * found.effect_se_sd
    assert 0.02 < found.effect_se_sd < 0.05
    assert found.doubts == ()
    assert found.treated_pupils == 40 * 24
    assert found.clusters == found.treated_pupils + found.control_pupils == pupils.height
    assert found.mde_sd == pytest.approx(2.4865 * found.effect_se_sd, rel=1e-3)


def test_one_years_tests_correct_each_other(pupils):
    found = estimate(pupils, earlier=[])
    assert abs(found.effect_sd - EFFECT) < 2 * found.effect_se_sd


def test_without_scores_and_covariates_it_is_the_weighted_difference_within_cells():
    pupils = city(schools=6, size=40).sample(fraction=0.8, seed=2)
    found = matched(pupils, covariates=[], priors=[], seed=1)
    by_cell = pupils.group_by("semel_mosad").agg(
        pl.col("outcome_sd").filter(pl.col("dose") > 0).mean().alias("one"),
        pl.col("outcome_sd").filter(pl.col("dose") == 0).mean().alias("other"),
        (pl.col("dose") > 0).sum().alias("n"),
        pl.col("outcome_sd").filter(pl.col("dose") == 0).var().alias("spread"),
        (pl.col("dose") == 0).sum().alias("m"),
    )
    total = by_cell["n"].sum()
    gap = (by_cell["n"] * (by_cell["one"] - by_cell["other"])).sum() / total
    assert found.effect_sd == pytest.approx(gap, abs=1e-12)
    joined = pupils.filter(pl.col("dose") > 0).join(by_cell, on="semel_mosad")
    own = ((joined["outcome_sd"] - joined["other"] - gap) ** 2).sum() / total**2
    others = ((by_cell["n"] / total) ** 2 * by_cell["spread"] / by_cell["m"]).sum()
    assert found.effect_se_sd == pytest.approx(np.sqrt(own + others), rel=1e-9)


@pytest.mark.parametrize(
    "broken", [["less_regression"], ["propensity"], ["less_regression", "propensity"]]
)
def test_one_of_the_two_models_is_enough(broken, monkeypatch):
    # Progress that depends on the decile, which pupils are also chosen by.
    pupils = city(4, schools=40).with_columns(pl.col("outcome_sd") - 0.2 * pl.col("decile"))
    without = {
        "less_regression": lambda targets, *_: targets,
        "propensity": lambda treated, *_: np.full(len(treated), treated.mean()),
    }
    for name in broken:
        monkeypatch.setattr(f"models.effects.contrast.{name}", without[name])
    found = estimate(pupils)
    off = abs(found.effect_sd - EFFECT) / found.effect_se_sd
    assert off > 4 if len(broken) == 2 else off < 2


def test_half_a_dose_does_half_and_the_estimate_is_per_full_dose():
    found = estimate(city(3, schools=40, half=0.5, effect=0.4))
    assert abs(found.effect_sd - 0.4) < 2 * found.effect_se_sd


def weak(pupils, extra=0.0):
    """Add who is weak (deciles 8 to 10), and do more for participants among them."""
    is_weak = pl.col("decile") >= 8
    return pupils.with_columns(
        is_weak.alias("is_weak"),
        pl.col("outcome_sd") + pl.when(is_weak).then(extra).otherwise(0.0) * pl.col("dose"),
    )


def test_what_is_more_for_a_group_is_found_and_nothing_where_nothing_is(pupils):
    """Also where the group has less ability than the rest, as those do who are chosen by need."""
    none = estimate(weak(pupils), groups=["is_weak"]).groups[0]
    more = estimate(weak(pupils, 0.2), groups=["is_weak"]).groups[0]
    assert abs(none.difference_sd) < 2 * none.difference_se_sd
    assert abs(more.difference_sd - 0.2) < 2 * more.difference_se_sd
    assert more.difference_sd > 2 * more.difference_se_sd
    taking = weak(pupils).filter(pl.col("dose") > 0)
    assert none.share == pytest.approx(taking["is_weak"].mean(), abs=0.03)
    assert none.treated_pupils <= taking["is_weak"].sum()


def test_groups_change_nothing_in_the_effect_on_all(pupils):
    with_groups = estimate(weak(pupils), groups=["is_weak"])
    assert replace(with_groups, groups=()) == estimate(weak(pupils))


def test_a_group_without_participants_or_without_others_is_left_out(pupils):
    few = pupils.with_columns(
        (pl.col("decile") == 1).and_(pl.col("dose") == 0).alias("nobody"), everybody=pl.lit(True)
    )
    assert estimate(few, groups=["nobody", "everybody"]).groups == ()


def test_without_scores_and_covariates_a_group_s_difference_is_that_of_its_cells():
    pupils = weak(city(schools=12))
    found = matched(pupils, covariates=[], priors=[], groups=["is_weak"], seed=1).groups[0]
    cells = pupils.group_by("semel_mosad", "is_weak").agg(
        pl.col("outcome_sd").filter(pl.col("dose") > 0).mean().alias("one"),
        pl.col("outcome_sd").filter(pl.col("dose") == 0).mean().alias("other"),
        (pl.col("dose") > 0).sum().alias("n"),
    )
    gap = (pl.col("n") * (pl.col("one") - pl.col("other"))).sum() / pl.col("n").sum()
    inside, outside = (
        cells.filter(pl.col("is_weak") == there).select(gap).item() for there in (True, False)
    )
    assert found.difference_sd == pytest.approx(inside - outside, abs=1e-12)
    assert found.treated_pupils == cells.filter("is_weak")["n"].sum()


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr("models.effects.crossfit.MOST_DRAWS", 2)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.usefixtures("few_draws")
def test_order_of_rows_columns_and_names_does_not_matter(seed):
    pupils = city(schools=4)
    shuffled = pupils.select(sorted(pupils.columns)).sample(fraction=1, shuffle=True, seed=seed)
    again = estimate(
        shuffled, covariates=COVARIATES[::-1], priors=PRIORS[::-1], placebos=["untaught"]
    )
    assert again == estimate(pupils, placebos=["untaught"])


@pytest.mark.usefixtures("few_draws")
def test_what_a_cell_shares_cancels():
    pupils = city(schools=4)
    schools = sorted(pupils["semel_mosad"].unique())
    levels = dict(zip(schools, [3.0, -2.0, 0.5, 1.25], strict=True))
    shift = pl.col("semel_mosad").replace_strict(levels, return_dtype=pl.Float64)
    moved = estimate(pupils.with_columns(pl.col("outcome_sd", *PRIORS) + shift))
    still = estimate(pupils)
    assert moved.effect_sd == pytest.approx(still.effect_sd, abs=1e-9)
    assert moved.effect_se_sd == pytest.approx(still.effect_se_sd, abs=1e-9)


def test_continuers_and_unknown_participation_do_not_count(pupils):
    number = pl.int_range(pl.len())
    marked = pupils.with_columns(
        pl.when(number % 10 == 0)
        .then(1.0)
        .when(number % 10 == 1)
        .then(None)
        .otherwise("dose_before")
        .alias("dose_before"),
        pl.when(number % 10 == 2).then(None).otherwise("dose").alias("dose"),
    )
    kept = pupils.filter(number % 10 > 2)
    assert estimate(marked).effect_sd == estimate(kept).effect_sd
    many = pupils.with_columns((number % 10 < 6).cast(pl.Float64).alias("dose_before"))
    assert "first_years_only" in estimate(many).doubts


def test_who_is_chosen_by_the_test_itself_is_noticed_and_repaired():
    found = estimate(city(schools=40, by_score=1.0), placebos=["untaught", "math_1"])
    assert found.doubts == ("chosen_by_score",)
    assert abs(found.effect_sd - EFFECT) < 2 * found.effect_se_sd
    blind = estimate(city(schools=40, by_score=1.0), earlier=[])
    assert blind.effect_sd - EFFECT > 5 * blind.effect_se_sd


def test_a_failing_placebo_is_noticed_and_the_worst_is_shown(pupils):
    spoilt = pupils.with_columns(pl.col("untaught") - 0.3 * pl.col("dose"))
    found = estimate(spoilt, placebos=["untaught", "math_1"])
    assert "placebo_fails" in found.doubts
    assert found.placebo_sd == pytest.approx(-0.3, abs=3 * found.placebo_se_sd)


def test_doubts_without_an_estimate():
    few = estimate(city(schools=2, size=50, share=0.1))
    assert (few.effect_sd, few.doubts) == (None, ("few_treated",))
    single = estimate(city(), priors=["math_1"], earlier=[])
    assert (single.effect_sd, single.doubts) == (None, ("prior_uncorrectable",))
    only = estimate(city(), priors=["math_1"], placebos=["math_1"])
    assert only.effect_sd is not None
    assert "no_placebo" in only.doubts
    noise = np.random.default_rng(1).normal(size=960)
    unrelated = estimate(city().with_columns(chance=noise), earlier=["chance"])
    assert unrelated.doubts == ("prior_uncorrectable",)


def test_doubts_beside_an_estimate(pupils):
    assert estimate(pupils).doubts == ("no_placebo",)
    new = (pl.int_range(pl.len()) % 5 < 2) & (pl.col("dose") > 0)
    bare = pupils.with_columns(pl.when(~new).then(pl.col(name)).alias(name) for name in PRIORS)
    assert "prior_missing" in estimate(bare).doubts
    alone = pupils.with_columns(
        pl.when(pl.col("dose") > 0).then(pl.lit("apart")).otherwise(pl.lit("rest")).alias("place")
    )
    apart = alone.with_columns(
        pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.col("semel_mosad") + pl.col("place"))
        .otherwise("semel_mosad")
        .alias("semel_mosad")
    )
    assert "poor_overlap" in estimate(apart).doubts


def test_a_missing_covariate_or_score_is_no_zero(pupils):
    number = pl.int_range(pl.len())
    gappy = pupils.with_columns(
        pl.when(number % 7 > 0).then("decile").alias("decile"),
        pl.when(number % 5 > 0).then("math_1").alias("math_1"),
    )
    found = estimate(gappy)
    assert abs(found.effect_sd - EFFECT) < 2 * found.effect_se_sd


def test_ability_leaves_the_outcome():
    rng = np.random.default_rng(5)
    n = 40_000
    ability = rng.normal(0, 0.7, n)
    y = 0.9 * ability + rng.normal(0, 0.5, n)
    w, z = (ability + rng.normal(0, 0.6, n) for _ in range(2))
    nothing, cell, everyone = np.empty((n, 0)), np.zeros(n, dtype=int), np.ones(n, dtype=bool)
    freed = freed_of_ability(y, w[:, None], z[:, None], nothing, cell, everyone)
    yc, wc, zc = (v - v.mean() for v in (y, w, z))
    assert freed.slopes[0] == pytest.approx((zc @ yc) / (zc @ wc), abs=1e-12)
    assert freed.slopes[0] == pytest.approx(0.9, abs=0.03)
    assert (wc @ yc) / (wc @ wc) < 0.6  # the plain regression
    assert abs(np.corrcoef(freed.outcome, ability)[0, 1]) < 0.02
    error = np.sqrt((freed.influence**2).sum())
    assert error == pytest.approx(
        np.sqrt(np.sum((zc * (yc - freed.slopes[0] * wc)) ** 2)) / (zc @ wc)
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: p.drop("decile"), "lack columns: decile"),
        (lambda p: p.with_columns(pl.col("decile").cast(pl.String)), "numbers or yes/no: decile"),
        (lambda p: pl.concat([p, p.head(1)]), "more than once"),
        (lambda p: p.with_columns(pl.lit(None, pl.Int64).alias("grade")), "must not be empty"),
        (lambda p: p.with_columns(pl.lit(float("nan")).alias("math_1")), "math_1"),
        (lambda p: p.with_columns(pl.col("dose") * 2), "outside 0"),
    ],
)
def test_bad_input_is_refused_without_naming_a_pupil(change, match):
    with pytest.raises(ValueError, match=match) as caught:
        estimate(change(city(schools=2)))
    assert "p0" not in str(caught.value)
