"""Several designs, one local estimate; effects on groups."""

from dataclasses import replace

import numpy as np
import pytest

from models.effects import (
    Estimate,
    GroupContrast,
    design_frame,
    group_effect,
    local_estimates,
)
from models.effects.local import DOUBTS


def test_weights_by_hand():
    found = {
        ("milat", "math", "lottery"): Estimate("A", 0.3, 0.2),
        ("milat", "math", "matching"): Estimate("D", 0.1, 0.1),
    }
    row = local_estimates(design_frame(found, school_spread_sd=0.05)).row(0, named=True)
    a, d = 1 / 0.04, 1 / 0.02
    assert row["local_sd"] == pytest.approx((0.3 * a + 0.1 * d) / (a + d))
    assert row["local_bias_sd"] == pytest.approx(0.1 * d / (a + d))
    assert row["local_se_sd"] == pytest.approx(((0.2 * a) ** 2 + (0.1 * d) ** 2) ** 0.5 / (a + d))
    assert row["design_grade"] == "D"


def test_only_the_surer_of_panel_and_matching_is_used():
    found = {
        ("icei", "hebrew", "panel"): Estimate("C", 0.3, 0.2),
        ("icei", "hebrew", "matching"): Estimate("D", 0.1, 0.1),
    }
    designs = design_frame(found, school_spread_sd=0.05)
    assert dict(designs.select("design_grade", "is_used").iter_rows()) == {"C": False, "D": True}
    assert local_estimates(designs)["local_sd"].item() == pytest.approx(0.1)


def test_a_placebo_off_zero_is_a_bias_that_pupils_do_not_remove():
    one = Estimate("D", 0.1, 0.04, placebo_sd=0.2, placebo_se_sd=0.05)
    quiet = Estimate("D", 0.1, 0.04, placebo_sd=0.02, placebo_se_sd=0.05)
    bias = design_frame(
        {("a", "math", "matching"): one, ("b", "math", "matching"): quiet}, school_spread_sd=0.05
    )
    bias = bias["bias_sd"].to_list()
    assert bias == pytest.approx([(0.01 + 0.04 - (1.645 * 0.05) ** 2) ** 0.5, 0.1])


def test_no_estimate_is_shown_and_not_used():
    found = {("gifted_center", "math", "matching"): Estimate("D", doubts=("few_treated",))}
    designs = design_frame(found, school_spread_sd=0.05)
    assert designs.select("effect_sd", "is_used", "doubts").row(0) == (None, False, "few_treated")
    assert local_estimates(designs).is_empty()


def test_a_group_s_effect_equals_the_conditional_of_the_joint_normal():
    """Prior, a lottery elsewhere and one biased comparison of both groups, all at once."""
    prior, lottery, bias, share, spread = (0.06, 0.1), (0.15, 0.07), 0.1, 0.4, 0.05
    noise = np.array([0.06, 0.06 * np.sqrt(share / (1 - share))])  # as numbers of pupils have it
    own, others = 0.2, 0.07
    # θ (of all), Δ, b and the errors of lottery, group and others are independent; the rest are
    # sums.
    scale = np.diag([prior[1], np.sqrt(2) * spread, bias, lottery[1], *noise]) ** 2
    effect = np.array([1, 1 - share, 0, 0, 0, 0])
    seen = np.array([[1, 0, 0, 1, 0, 0], [1, 1 - share, 1, 0, 1, 0], [1, -share, 1, 0, 0, 1]])
    pull = np.linalg.solve(seen @ scale @ seen.T, seen @ scale @ effect)
    mean = prior[0] + pull @ (np.array([lottery[0], own, others]) - prior[0])
    variance = effect @ scale @ effect - pull @ (seen @ scale @ effect)
    # The same in two steps: first the effect on all, then how the group differs.
    whole = share * own + (1 - share) * others
    error = np.sqrt(((share, 1 - share) * noise) @ ((share, 1 - share) * noise))
    weight = np.array([prior[1], lottery[1], np.hypot(error, bias)]) ** -2.0
    known = (weight @ [prior[0], lottery[0], whole] / weight.sum(), weight.sum() ** -0.5)
    contrast = GroupContrast("g", own - others, float(np.hypot(*noise)), share, 100)
    found = group_effect(known, contrast, spread)
    assert found[:2] == pytest.approx((mean, variance**0.5))
    assert found.spread_sd == pytest.approx((1 - share) * np.sqrt(2) * spread)
    with pytest.raises(ValueError, match="share"):
        group_effect(known, replace(contrast, share=1.0), spread)


def test_what_the_data_alone_say_of_a_group_is_its_own_estimate():
    """With one design the unshrunk effect is the group's own estimate and error."""
    share, own, others = 0.4, 0.2, 0.07
    noise = np.array([0.06, 0.06 * np.sqrt(0.4 / 0.6)])
    whole = (0.4 * own + 0.6 * others, float(np.hypot(0.4 * noise[0], 0.6 * noise[1])))
    contrast = GroupContrast("g", own - others, float(np.hypot(*noise)), share, 100)
    found = group_effect(whole, contrast, 0.05)
    assert (found.plain_sd, found.plain_se_sd) == pytest.approx((own, noise[0]))


def test_every_doubt_costs():
    """Each lowers the grade, or leaves no verdict to the design that has it."""
    for code, best in DOUBTS.items():
        whole = Estimate("A", 0.3, 0.05, schools=9)
        doubted = replace(whole, doubts=(code,))
        found = {("a", "math", "lottery"): doubted, ("b", "math", "lottery"): whole}
        row, plain = design_frame(found, school_spread_sd=0.05).iter_rows(named=True)
        assert row["is_weak"] == (best == "E")
        assert row["design_grade"] == "D" > plain["design_grade"]
        assert row["bias_sd"] > plain["bias_sd"]


def test_a_weak_design_has_no_say_beside_another():
    weak = Estimate("D", 0.9, 0.05, schools=2, doubts=("few_schools",))
    found = {("a", "math", "panel"): weak, ("b", "math", "panel"): weak}
    found["b", "math", "lottery"] = Estimate("A", 0.3, 0.05, schools=2)
    alone, beside = local_estimates(design_frame(found, school_spread_sd=0.05)).iter_rows(
        named=True
    )
    assert (alone["is_weak"], alone["local_sd"]) == (True, pytest.approx(0.9))
    assert (beside["is_weak"], beside["local_sd"]) == (False, pytest.approx(0.3))


def test_a_mixture_shows_its_shares_and_the_weakest_grade():
    found = {
        ("a", "math", "lottery"): Estimate("A", 0.3, 0.10, schools=9),
        ("a", "math", "matching"): Estimate("D", 0.1, 0.01, schools=9),
    }
    row = local_estimates(design_frame(found, school_spread_sd=0.0)).row(0, named=True)
    assert (row["design_grade"], row["design_shares"]) == ("D", "A 50, D 50")


def test_what_one_school_shows_is_not_what_all_gain():
    found = {
        ("a", "math", "lottery"): Estimate("A", 0.1, 0.05, schools=1),
        ("b", "math", "lottery"): Estimate("A", 0.1, 0.05, schools=4),
    }
    bias = design_frame(found, school_spread_sd=0.06)["bias_sd"].to_list()
    assert bias == pytest.approx([0.06, 0.03])
