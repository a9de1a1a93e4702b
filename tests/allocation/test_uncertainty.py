"""Joint draws of needs, effects, participation and costs: their means, spreads and what is
common.
"""

import numpy as np
import polars as pl
import pytest

from models.allocation.problem.uncertainty import Spread, joint_draws

DRAWS = 4000
SCHOOLS = pl.DataFrame({"semel_mosad": ["900001", "900002"], "need": [0.4, 0.8]})
EFFECTS = pl.DataFrame(
    {
        "semel_mosad": ["900001", "900001", "900002", "900002", "900001"],
        "response_id": ["milat", "milat", "milat", "milat", "none"],
        "subject": ["hebrew", "math", "hebrew", "math", "math"],
        "subject_weight": [0.5, 0.5, 0.8, 0.2, 1.0],
        "effect_sd": [0.4, 0.2, 0.4, 0.2, -0.1],
        "effect_se_sd": [0.05, 0.03, 0.05, 0.03, 0.1],
    }
)
NO_SPREAD = Spread(participation=0.0, cost=0.0)


def needs(*, spread=0.0, seed=1):
    rng = np.random.default_rng(seed)
    return pl.concat(
        SCHOOLS.select(
            pl.lit(draw).alias("draw"),
            "semel_mosad",
            (pl.col("need") + pl.Series(rng.normal(0, spread, 2))).clip(0, 1),
        )
        for draw in range(DRAWS)
    )


def drawn(needs, *, gamma=1.0, spread=NO_SPREAD, seed=3, effects=EFFECTS):
    return joint_draws(
        needs, SCHOOLS, effects, equity_gamma=gamma, need_offset=0.1, spread=spread, seed=seed
    )


def of(frame, school, response, column="benefit_multiplier"):
    return frame.filter(semel_mosad=school, response_id=response)[column].to_numpy()


def test_an_effect_spreads_the_benefit_by_its_own_error():
    frame = drawn(needs())
    first, second = of(frame, "900001", "milat"), of(frame, "900002", "milat")
    # .5 of .4 ± .05 and .5 of .2 ± .03, errors in step: .3 ± .04.
    assert first.mean() == pytest.approx(1, abs=0.01)
    assert first.std() == pytest.approx(0.04 / 0.3, rel=0.05)
    assert np.corrcoef(first, second)[0, 1] > 0.999


def test_an_effect_may_do_harm_and_on_average_is_as_expected():
    unsure = EFFECTS.with_columns(effect_se_sd=pl.lit(0.5))
    first = of(drawn(needs(), effects=unsure), "900001", "milat")
    assert first.min() < 0
    assert first.mean() == pytest.approx(1, abs=0.05)


def test_no_expected_benefit_stays_none_and_costs_as_planned():
    frame = drawn(needs())
    assert set(of(frame, "900001", "none")) == {1.0}
    assert set(frame["cost_multiplier"]) == {1.0}


def test_a_need_drawn_higher_weighs_more_by_the_plans_own_weight():
    certain = EFFECTS.with_columns(effect_se_sd=pl.lit(0.0))
    sample = needs(spread=0.05)
    frame = drawn(sample, gamma=2.0, effects=certain)
    expected = ((sample.filter(semel_mosad="900001")["need"] + 0.1) / 0.5) ** 2
    np.testing.assert_allclose(of(frame, "900001", "milat"), expected.to_numpy())
    assert drawn(sample, gamma=0.0, effects=certain)["benefit_multiplier"].to_list() == [1.0] * (
        3 * DRAWS
    )


def test_participation_is_each_schools_own_and_cost_the_responses():
    certain = EFFECTS.with_columns(effect_se_sd=pl.lit(0.0))
    frame = drawn(needs(), spread=Spread(participation=0.2, cost=0.1), effects=certain)
    first, second = of(frame, "900001", "milat"), of(frame, "900002", "milat")
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert np.log(first).std() == pytest.approx(0.2, rel=0.05)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06
    cost = of(frame, "900001", "milat", "cost_multiplier")
    assert cost.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(cost, of(frame, "900002", "milat", "cost_multiplier"))


def test_rows_and_columns_in_any_order_give_the_same_draws():
    sample = needs(spread=0.05)
    mixed = joint_draws(
        sample.sample(fraction=1, shuffle=True, seed=5).select("need", "semel_mosad", "draw"),
        SCHOOLS.reverse(),
        EFFECTS.sample(fraction=1, shuffle=True, seed=6),
        equity_gamma=1.0,
        need_offset=0.1,
        spread=Spread(0.2, 0.1),
        seed=3,
    )
    assert mixed.equals(drawn(sample, spread=Spread(0.2, 0.1)))


def test_a_school_without_draws_is_named():
    with pytest.raises(ValueError, match="without a need or its draws: 900002"):
        drawn(needs().filter(semel_mosad="900001"))


def test_any_first_even_number_of_draws_averages_to_what_is_expected():
    unsure = EFFECTS.with_columns(effect_se_sd=pl.lit(0.5))
    first = of(drawn(needs(), effects=unsure), "900001", "milat")
    assert first[:4].mean() == pytest.approx(1)
    assert first[:10].mean() == pytest.approx(1)
    assert first[0] != pytest.approx(1)
