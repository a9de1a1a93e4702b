"""Whole authority or part, general or one subject: planted shapes are named."""

import numpy as np
import polars as pl
import pytest

from models.gaps import (
    city_gaps,
    fit_components,
    general_or_subject,
    school_gaps,
    variance_shares,
    whole_or_part,
)
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city
from tests.gaps.test_totals import sized

HALF = {"school": 0.12, "school_subject": 0.065, "school_year": 0.06, "school_subject_year": 0.06}
LOW = ["900001", "900002", "900003"]


def answers(cells):
    components = fit_components(cells)
    by_school = school_gaps(cells, components, 2022, 2023)
    whole = city_gaps(cells.filter(pl.col("school_year") >= 2022), components, schools=36)
    spread = dict(
        whole_or_part(by_school, whole, components).select("subject", "pattern").iter_rows()
    )
    place = whole.filter(pl.col("subject") != "all").select(
        pl.lit("city").alias("place"), "subject", "gap_sd", "gap_se_sd"
    )
    return spread, general_or_subject(place)["subject_pattern"].item()


def planted(seed, shape):
    cells = sized(city(seed, true_sd=HALF))
    mean = pl.col("gap_raw_sd").mean().over("subject", "grade", "school_year")
    at = pl.col("gap_raw_sd") - mean
    shift = {
        "systemic": pl.lit(0.6),
        "local": pl.when(pl.col("semel_mosad").is_in(LOW)).then(0.65).otherwise(-0.15),
        "one_subject": pl.when(pl.col("subject") == "math").then(0.55).otherwise(-0.15),
        "none": pl.lit(-0.3),
    }[shape]
    return cells.with_columns((at + shift).alias("gap_raw_sd"))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("shape", "part", "subject"),
    [
        ("systemic", "whole_authority", "general"),
        ("local", "part", "none"),
        ("one_subject", None, "one_subject"),
        ("none", "nowhere", "none"),
    ],
)
def test_planted_shapes_are_named(shape, part, subject):
    right = []
    for seed in range(examples(20, part=2)):
        spread, found = answers(planted(seed, shape))
        right.append(found == subject and (part is None or spread["all"] == part))
        if shape == "one_subject":
            right[-1] &= (
                spread["math"] == "whole_authority" and spread["hebrew"] != "whole_authority"
            )
    assert np.mean(right) >= 0.9


def test_expected_number_below_is_the_sum_of_probabilities():
    schools = pl.DataFrame(
        {
            "semel_mosad": ["1", "2"],
            "subject": "math",
            "gap_sd": [0.1, 9.0],
            "gap_se_sd": [0.2, 0.1],
        }
    )
    whole = pl.DataFrame({"subject": ["math"], "gap_sd": [4.5], "gap_se_sd": [0.1]})
    components = pl.DataFrame({"component": list(HALF), "component_sd": list(HALF.values())})
    row = whole_or_part(schools, whole, components).row(0, named=True)
    assert row["schools_below"] == pytest.approx(1.5)
    assert row["schools_surely_below"] == 1
    assert row["schools_below_hi"] == 2  # never more than there are
    assert row["schools_below_lo"] == pytest.approx(1.5 - 1.6448536 * 0.5)


def test_rules_of_general_or_subject():
    def pattern(*gaps, error=0.05):
        names = ["english", "hebrew", "math", "science"][: len(gaps)]
        frame = pl.DataFrame({"place": "p", "subject": names, "gap_sd": gaps, "gap_se_sd": error})
        return general_or_subject(frame).row(0, named=True)

    assert pattern(0.5, 0.5, 0.5, 0.5)["subject_pattern"] == "general"
    assert pattern(0.5, 0.5, 0.5, 0.1)["subject_pattern"] == "general"
    assert pattern(-0.5, -0.5, 0.5, 0.1)["subject_pattern"] == "one_subject"
    assert pattern(-0.5, 0.5, 0.5, -0.5)["subjects_below"] == "hebrew,math"
    assert pattern(-0.5, 0.5, 0.5, -0.5)["subject_pattern"] == "some_subjects"
    assert pattern(-0.5, -0.5)["subject_pattern"] == "none"
    assert pattern(0.5)["subject_pattern"] == "cannot_tell"
    assert pattern(0.1, 0.12, 0.08)["subject_pattern"] == "cannot_tell"


def test_shares_of_variance_name_subject_grade_and_chance():
    """Within a quarter of the planted shares, on average over cities (R39)."""
    shift = pl.col("subject").replace_strict(
        {"english": -0.3, "hebrew": -0.1, "math": 0.1, "science": 0.3}, return_dtype=pl.Float64
    ) + pl.when(pl.col("grade") == 4).then(-0.25).otherwise(0.25)
    found, planted = [], []
    for seed in range(8):
        cells = city(seed).with_columns(pl.col("gap_raw_sd", "truth") + shift)
        shares = variance_shares(cells, fit_components(cells))
        assert shares["variance_share_pct"].sum() == pytest.approx(100)
        found.append(dict(shares.select("component", "component_sd").iter_rows()))
        main = {
            name: cells.group_by(name).agg(pl.col("truth").mean())["truth"].std(ddof=0)
            for name in ("subject", "grade")
        }
        chance = (cells["gap_sampling_sd"] ** 2).mean() ** 0.5
        planted.append(TRUE_SD | main | {"residual": chance})
    for name in planted[0]:
        squares = [np.mean([row[name] ** 2 for row in rows]) for rows in (found, planted)]
        assert squares[0] == pytest.approx(squares[1], rel=0.25), name


def test_shares_where_nothing_differs_or_nothing_is_known():
    cells = city(1)
    none = pl.DataFrame({"component": list(TRUE_SD), "component_sd": [0.0] * 4})
    flat = cells.with_columns(pl.lit(0.0).alias("gap_raw_sd"))
    assert variance_shares(flat, none)["variance_share_pct"].to_list() == pytest.approx(
        [0] * 6 + [100]
    )
