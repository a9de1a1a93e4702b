"""Several designs, one local estimate; effects on groups."""

import numpy as np
import pytest

from models.effects import Estimate, design_frame, group_effect, local_estimates


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
    prior, whole, group, share, spread = (0.06, 0.1), (0.12, 0.04, 0.1), (0.2, 0.06), 0.4, 0.05
    others = (whole[0] - share * group[0]) / (1 - share)
    error = np.sqrt(whole[1] ** 2 - (share * group[1]) ** 2) / (1 - share)
    # θ, δ, δ', b, e, e' are independent; the group's effect and the two estimates are sums of them.
    scale = np.diag([prior[1], spread, spread, whole[2], group[1], error]) ** 2
    effect, own, rest = np.array(
        [[1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0], [1, 0, 1, 1, 0, 1]], dtype=float
    )
    seen = np.stack([own, rest])
    pull = np.linalg.solve(seen @ scale @ seen.T, seen @ scale @ effect)
    mean = prior[0] + pull @ (np.array([group[0], others]) - prior[0])
    variance = effect @ scale @ effect - pull @ (seen @ scale @ effect)
    assert group_effect(prior, whole, group, share, spread) == pytest.approx((mean, variance**0.5))
    with pytest.raises(ValueError, match="share"):
        group_effect(prior, whole, group, 1.0, spread)


def test_what_one_school_shows_is_not_what_all_gain():
    found = {
        ("a", "math", "lottery"): Estimate("A", 0.1, 0.05, schools=1),
        ("b", "math", "lottery"): Estimate("A", 0.1, 0.05, schools=4),
    }
    bias = design_frame(found, school_spread_sd=0.06)["bias_sd"].to_list()
    assert bias == pytest.approx([0.06, 0.03])
