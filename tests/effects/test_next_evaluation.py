"""What designs detect, against simulated facts; what knowing is worth, against Monte Carlo."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.effects.next_evaluation import (
    Variances,
    detectable,
    evaluate_first,
    evaluation_records,
    perfect_and_sample_information,
    still_open,
)

# The generator's variances: .97 SD in all, class .10, school-year √(.06² + .06²); last year's tests
# of several subjects explain about .42 of what differs within a school.
CITY = Variances(
    pupil_sd=0.915, prior_r2=0.42, class_sd=0.10, class_pupils=26, school_year_sd=0.085
)


def entries(
    served: int,
    others: int,
    tested: int,
    places: int,
    applicants: int | None,
    name: str = "r",
    *,
    by_score: bool = True,
) -> pl.DataFrame:
    n = served + others
    return pl.DataFrame(
        {
            "response_id": [name] * n,
            "semel_mosad": [f"{i:06}" for i in range(n)],
            "is_served": [i < served for i in range(n)],
            "tested_pupils": [tested] * n,
            "places": [places] * served + [None] * others,
            "applicants": [applicants] * served + [None] * others,
            "is_by_score": [by_score] * served + [False] * others,
        },
        schema_overrides={"places": pl.Int64, "applicants": pl.Int64},
    )


def design(frame: pl.DataFrame, name: str) -> dict:
    return frame.row(by_predicate=pl.col("design") == name, named=True)


# domain_methods §2d: 10 MILAT schools of 36, 65 pupils per grade, 22 % of them served. Its MDEs are
# 2.8 errors, so at 95 % confidence.
FOUR_GRADES = entries(10, 26, 4 * 65, 57, 114)
ONE_GRADE = entries(10, 26, 52, 11, None)


@pytest.mark.parametrize(
    ("frame", "years", "name", "error", "mde"),
    [
        (FOUR_GRADES, 1, "lottery", 0.041, 0.12),
        (FOUR_GRADES, 3, "lottery", None, 0.067),
        (FOUR_GRADES, 3, "threshold", 0.040, 0.11),
    ],
)
def test_the_facts_of_pupil_designs(frame, years, name, error, mde):
    row = design(detectable(frame, CITY, years=years, confidence=0.95), name)
    assert row["mde_sd"] == pytest.approx(mde, rel=0.05)
    if error:
        assert row["sampling_se_sd"] == pytest.approx(error, rel=0.02)


def test_the_facts_of_school_designs():
    row = design(detectable(ONE_GRADE, CITY, years=3, confidence=0.95), "panel")
    assert row["itt_se_sd"] == pytest.approx(0.057, rel=0.03)
    assert 2.8 * row["itt_se_sd"] == pytest.approx(0.16, rel=0.03)
    assert row["mde_sd"] == pytest.approx(0.73, rel=0.05)  # per participant: hopeless alone
    two = entries(2, 34, 66, 66, None)  # the two schools of ICEI are larger, and all take part
    row = design(detectable(two, CITY, years=3, confidence=0.95), "panel")
    assert row["mde_sd"] == pytest.approx(0.26, rel=0.12)
    assert row["doubt"] == "few_schools"


def test_ninety_percent_is_what_estimates_are_reported_at():
    row = design(detectable(FOUR_GRADES, CITY), "lottery")
    assert row["mde_sd"] / row["sampling_se_sd"] == pytest.approx(1.6449 + 0.8416, abs=1e-3)
    late = design(detectable(FOUR_GRADES, CITY, take_up=0.5), "lottery")
    assert late["sampling_se_sd"] == pytest.approx(2 * row["sampling_se_sd"])
    assert late["itt_se_sd"] == row["itt_se_sd"]


def test_the_bias_of_matching_does_not_go_away():
    many = design(detectable(entries(10, 26, 100_000, 50_000, None), CITY), "matching")
    assert many["mde_sd"] < 0.01
    assert many["mde_with_bias_sd"] == pytest.approx(2.4865 * 0.10, rel=0.01)


def test_a_simulated_lottery_has_the_error_said():
    """Schools of different odds, pupils with an earlier score, precision-weighted by school."""
    rng = np.random.default_rng(1)
    frame = entries(2, 0, 200, 40, 100).with_columns(
        pl.Series("places", [40, 10]), pl.Series("applicants", [100, 60])
    )
    said = design(detectable(frame, CITY), "lottery")["sampling_se_sd"]
    sigma, estimates = 0.915 * np.sqrt(1 - 0.42), []
    for _ in range(4000):
        means, weights = [], []
        for t, n in ((40, 100), (10, 60)):
            y = rng.normal(0, sigma, n)
            means.append(y[:t].mean() - y[t:].mean())
            weights.append(t * (n - t) / n)
        estimates.append(np.average(means, weights=weights))
    assert np.std(estimates) == pytest.approx(said, rel=0.04)


def test_a_simulated_threshold_has_the_error_said():
    """A normal score decides; the regression on treatment and score has Schochet's design
    effect.
    """
    rng = np.random.default_rng(2)
    n, t = 400, 100
    said = design(detectable(entries(1, 0, n, t, n), CITY), "threshold")["sampling_se_sd"]
    sigma, estimates = 0.915 * np.sqrt(1 - 0.42), []
    for _ in range(1500):
        score = np.sort(rng.normal(size=n))
        x = np.column_stack([np.arange(n) < t, np.ones(n), score])
        estimates.append(np.linalg.lstsq(x, rng.normal(0, sigma, n), rcond=None)[0][0])
    assert np.std(estimates) == pytest.approx(said, rel=0.06)


def test_a_simulated_panel_has_the_error_said():
    rng = np.random.default_rng(3)
    frame = entries(4, 8, 52, 52, None).with_columns(
        pl.Series("tested_pupils", [30, 52, 78, 104] + [52] * 8),
        pl.Series("places", [30, 52, 78, 104] + [None] * 8),
    )
    said = design(detectable(frame, CITY, years=2, years_before=2), "panel")["itt_se_sd"]
    size = frame["tested_pupils"].to_numpy()
    sd = np.sqrt((0.915**2 + 0.1**2 * 26) / size + 0.085**2)
    cells = rng.normal(0, sd, (6000, 4, 12))
    change = cells[:, 2:].mean(axis=1) - cells[:, :2].mean(axis=1)
    assert (change[:, :4].mean(axis=1) - change[:, 4:].mean(axis=1)).std() == pytest.approx(
        said, rel=0.04
    )


def test_which_designs_are_possible():
    everywhere = detectable(entries(36, 0, 300, 300, None), CITY)
    assert everywhere["design"].to_list() == ["none"]
    assert everywhere["mde_sd"].item() is None
    full = detectable(entries(5, 5, 300, 300, None), CITY)
    assert full["design"].to_list() == ["panel"]
    scarce = detectable(entries(5, 0, 300, 30, 60), CITY)
    assert scarce["design"].to_list() == ["lottery", "threshold", "matching"]
    assert detectable(entries(5, 0, 300, 30, 30), CITY)["design"].to_list() == ["matching"]
    # A first lottery is possible wherever places are scarce; a threshold only where a score
    # decides.
    chosen = detectable(entries(5, 0, 300, 30, 60, by_score=False), CITY)
    assert chosen["design"].to_list() == ["lottery", "matching"]


def test_what_was_just_tried_in_vain_is_not_proposed_again():
    both = pl.concat([entries(5, 0, 300, 30, 60), entries(5, 0, 300, 30, 30, "full")])
    options = detectable(both, CITY)

    def tried(*rows):
        return pl.DataFrame(
            rows, schema=["response_id", "subject", "design", "effect_sd", "schools"], orient="row"
        )

    nothing = tried(("r", "math", "matching", 0.1, 5), ("r", "hebrew", "matching", None, 5))
    assert still_open(options, nothing).equals(options)
    failed = tried(
        ("r", "math", "matching", None, 5),
        ("r", "math", "lottery", None, 1),
        ("r", "math", "threshold", None, 5),
        ("full", "math", "matching", None, 5),
    )
    left = still_open(options, failed)
    # The lottery that failed was in one school; one in all five is another design.
    assert left.select("response_id", "design", "doubt").rows() == [
        ("full", "none", "no_estimate"),
        ("r", "lottery", None),
    ]
    assert left.columns == options.columns
    assert left["mde_sd"].to_list()[0] is None


# ---- value of information ------------------------------------------------------------------------


def effects(mean: float, spread: float, cost: int = 100_000, people: int = 100) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "response_id": ["r"],
            "effect_sd": [mean],
            "effect_se_sd": [spread],
            "participants": [people],
            "cost_per_participant_agorot": [cost],
            "prior_se_sd": [2 * spread],
            "local_se_sd": [None],
            "design_grade": ["E"],
        },
        schema_overrides={"local_se_sd": pl.Float64},
    )


DESIGNS = detectable(FOUR_GRADES, CITY)
VALUE = 2_000_000  # agorot per pupil SD: break-even at .05 SD for 1,000 NIS a participant


@pytest.mark.parametrize(("mean", "spread"), [(0.05, 0.1), (0.12, 0.1), (-0.02, 0.08)])
def test_against_monte_carlo(mean, spread):
    """Draw the truth and the estimate, decide with and without it, and count what is gained."""
    row = perfect_and_sample_information(
        effects(mean, spread), DESIGNS, value_per_sd_agorot=VALUE, horizon_years=3
    )
    rng, n = np.random.default_rng(4), 2_000_000
    theta = rng.normal(mean, spread, n)
    now = max(mean - 0.05, 0)
    for name in ("lottery", "matching"):
        error = design(DESIGNS, name)["error_sd"]
        seen = theta + rng.normal(0, error, n)
        posterior = (mean / spread**2 + seen / error**2) / (1 / spread**2 + 1 / error**2)
        gained = 300 * (np.where(posterior > 0.05, theta - 0.05, 0).mean() - now)
        assert design(row, name)["evsi_sd_pupils"] == pytest.approx(gained, abs=300 * 4e-4)
    perfect = 300 * (np.maximum(theta - 0.05, 0).mean() - now)
    found = design(row, "lottery")
    assert found["evpi_sd_pupils"] == pytest.approx(perfect, abs=300 * 4e-4)
    assert found["evpi_agorot"] == round(found["evpi_sd_pupils"] * VALUE)
    assert found["is_funded_now"] == (mean > 0.05)
    wrong = ((theta > 0.05) != (mean > 0.05)).mean()
    assert found["p_choice_wrong"] == pytest.approx(wrong if mean != 0.05 else 0.5, abs=2e-3)


def test_repeating_a_design_repeats_its_bias():
    """Matching was done (error .05 and bias .10); matching again, with the same bias, by Monte
    Carlo.
    """
    prior, earlier, bias = 0.1, 0.05, 0.10
    again = design(DESIGNS, "matching")["sampling_se_sd"]
    weight = 1 / prior**2 + 1 / (earlier**2 + bias**2)
    rng, n = np.random.default_rng(6), 1_000_000
    theta = rng.normal(0, prior, n)
    wrong = rng.normal(0, bias, n)
    first, second = (
        theta + wrong + rng.normal(0, earlier, n),
        theta + wrong + rng.normal(0, again, n),
    )
    now = first / (earlier**2 + bias**2) / weight
    x = np.column_stack([first, second])
    later = x @ np.linalg.lstsq(x, theta, rcond=None)[0]
    known = effects(0.05, weight**-0.5).with_columns(
        prior_se_sd=prior, local_se_sd=(earlier**2 + bias**2) ** 0.5, design_grade=pl.lit("D")
    )
    row = perfect_and_sample_information(known, DESIGNS, value_per_sd_agorot=VALUE)
    resolved = (later - now).std()
    assert design(row, "matching")["evsi_sd_pupils"] == pytest.approx(
        100 * resolved * 0.39894, rel=0.02
    )
    fresh = perfect_and_sample_information(
        known.with_columns(design_grade=pl.lit("C")), DESIGNS, value_per_sd_agorot=VALUE
    )
    assert (
        design(row, "matching")["evsi_sd_pupils"]
        < 0.5 * design(fresh, "matching")["evsi_sd_pupils"]
    )
    assert design(row, "lottery").items() == design(fresh, "lottery").items()


@given(st.floats(-0.3, 0.3), st.floats(0.005, 0.3), st.integers(0, 10**6))
def test_no_estimate_is_worth_more_than_the_truth_nor_less_than_nothing(mean, spread, cost):
    found = perfect_and_sample_information(
        effects(mean, spread, cost), DESIGNS, value_per_sd_agorot=VALUE
    )
    assert (
        (found["evsi_sd_pupils"] >= -1e-12)
        & (found["evsi_sd_pupils"] <= found["evpi_sd_pupils"] + 1e-12)
    ).all()
    by_error = found.join(DESIGNS, on=["response_id", "design"]).sort("error_sd")
    assert by_error["evsi_sd_pupils"].is_sorted(descending=True)


def test_what_to_evaluate_first():
    frames = [
        entries(10, 26, 260, 57, 114, "close_call"),
        entries(10, 26, 260, 57, None, "clear_case"),
        entries(36, 0, 260, 260, None, "everywhere"),
    ]
    known = pl.concat(
        [
            effects(0.05, 0.1).with_columns(response_id=pl.lit("close_call")),
            effects(0.50, 0.05).with_columns(response_id=pl.lit("clear_case")),
            effects(0.05, 0.1, people=9999).with_columns(response_id=pl.lit("everywhere")),
        ]
    )
    designs = detectable(pl.concat(frames), CITY)
    first = evaluate_first(
        perfect_and_sample_information(known, designs, value_per_sd_agorot=VALUE)
    )
    assert first.select("place", "response_id", "design").rows() == [
        (1, "close_call", "lottery"),
        (2, "clear_case", "panel"),
        (3, "everywhere", "none"),
    ]
    assert first["evsi_agorot"].to_list()[1:] == [0, None]  # nothing could change a clear case
    records = evaluation_records(first, pl.concat(frames), seed=7)
    assert records["response_id"].to_list() == ["close_call", "clear_case"]
    row = records.row(0, named=True)
    assert row["schools"] == ",".join(f"{i:06}" for i in range(10))
    assert (row["schools_count"], row["places"], row["applicants"]) == (10, 570, 1140)
    assert records["seed"][1] is None
    assert records["applicants"][1] is None
    alone = evaluation_records(
        first[:1], pl.concat(frames).sample(fraction=1, shuffle=True, seed=1), seed=7
    )
    assert alone.equals(records[:1])
    assert evaluation_records(first, pl.concat(frames), seed=8)["seed"][0] != row["seed"]


def test_only_scarce_places_are_drawn():
    frame = entries(3, 3, 200, 20, 50).with_columns(
        pl.when(pl.col("semel_mosad") == "000001")
        .then(20)
        .otherwise("applicants")
        .alias("applicants")
    )
    first = pl.DataFrame({"response_id": ["r"], "design": ["lottery"], "design_grade": ["A"]})
    assert evaluation_records(first, frame, seed=1)["schools"].item() == "000000,000002"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="entries repeat"):
        detectable(pl.concat([FOUR_GRADES, FOUR_GRADES]), CITY)
    with pytest.raises(ValueError, match="tested pupils above 0"):
        detectable(FOUR_GRADES.with_columns(tested_pupils=0), CITY)
    with pytest.raises(ValueError, match="prior_r2"):
        Variances(1.0, 1.0, 0.1, 25, 0.1)
    with pytest.raises(ValueError, match="positive effect_se_sd"):
        perfect_and_sample_information(effects(0.1, 0.0), DESIGNS, value_per_sd_agorot=1)
    with pytest.raises(ValueError, match="value_per_sd_agorot must be positive"):
        perfect_and_sample_information(effects(0.1, 0.1), DESIGNS, value_per_sd_agorot=0)
