"""Gaps of the city and of groups: exact sums, honest errors."""

import numpy as np
import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cells import CELL_KEY
from models.gaps import city_gaps, group_contrasts
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})


def sized(cells):
    n = (1 / pl.col("gap_sampling_sd") ** 2).round().cast(pl.Int32)
    return cells.with_columns(n.alias("tested_pupils"))


def test_the_mean_is_of_pupils_and_all_is_of_subjects():
    cells = sized(city(3))
    found = city_gaps(cells, TRUE, schools=36)
    for subject, rows in cells.group_by("subject"):
        by_hand = np.average(rows["gap_raw_sd"], weights=rows["tested_pupils"])
        assert found.filter(pl.col("subject") == subject[0])["gap_sd"].item() == pytest.approx(
            by_hand
        )
    parts = found.filter(pl.col("subject") != "all")
    whole = found.filter(pl.col("subject") == "all").row(0, named=True)
    assert whole["gap_sd"] == pytest.approx(parts["gap_sd"].mean())
    assert whole["tested_pupils"] == cells["tested_pupils"].sum()
    assert whole["schools_measured"] == 36


def test_intervals_cover_the_city_s_true_gap():
    inside = []
    for seed in range(120):
        cells = sized(city(seed, years=2))
        found = city_gaps(cells, TRUE, schools=36)
        truth = cells.group_by("subject").agg(
            (pl.col("truth") * pl.col("tested_pupils")).sum() / pl.col("tested_pupils").sum()
        )
        both = found.join(truth, on="subject")
        inside.append(both["truth"].is_between(both["gap_lo_sd"], both["gap_hi_sd"]).mean())
    assert 0.86 <= np.mean(inside) <= 0.94


def test_schools_that_were_not_measured_widen_the_interval():
    inside = []
    for seed in range(150):
        cells = sized(city(seed, years=2))
        truth = (
            cells.filter(pl.col("subject") == "math")
            .select(
                (pl.col("truth") * pl.col("tested_pupils")).sum() / pl.col("tested_pupils").sum()
            )
            .item()
        )
        half = cells["semel_mosad"].unique().sort().sample(12, seed=seed)
        some = cells.filter(pl.col("semel_mosad").is_in(half.implode()))
        row = city_gaps(some, TRUE, schools=36).row(
            by_predicate=pl.col("subject") == "math", named=True
        )
        inside.append(row["gap_lo_sd"] <= truth <= row["gap_hi_sd"])
    # Pupils weigh, so schools do not count alike: a little under 90 %.
    assert 0.83 <= np.mean(inside) <= 0.95
    with pytest.raises(ValueError, match="36 schools are measured"):
        city_gaps(cells, TRUE, schools=30)


def test_a_subject_measured_in_few_schools_widens_the_mean_of_subjects():
    inside = []
    for seed in range(150):
        cells = sized(city(seed, years=2))
        # The truth: every school's, each subject counting once.
        truth = (
            cells.group_by("subject")
            .agg((pl.col("truth") * pl.col("tested_pupils")).sum() / pl.col("tested_pupils").sum())
            .select(pl.col("truth").mean())
            .item()
        )
        few = cells["semel_mosad"].unique().sort().sample(4, seed=seed)
        some = cells.filter(
            (pl.col("subject") != "math") | pl.col("semel_mosad").is_in(few.implode())
        )
        row = city_gaps(some, TRUE, schools=36).row(
            by_predicate=pl.col("subject") == "all", named=True
        )
        inside.append(row["gap_lo_sd"] <= truth <= row["gap_hi_sd"])
    assert 0.83 <= np.mean(inside) <= 0.95


def test_where_nothing_is_measured_there_is_no_row():
    nothing = sized(city(1)).with_columns(pl.lit(None, pl.Float64).alias("gap_raw_sd"))
    assert city_gaps(nothing, TRUE, schools=36).is_empty()
    assert city_gaps(nothing, TRUE, schools=36, by=["school_year"]).is_empty()


def test_by_year():
    cells = sized(city(5, years=3))
    found = city_gaps(cells, TRUE, schools=36, by=["school_year"])
    assert found.height == 3 * 5
    assert (found["gap_lasting_se_sd"] > found["gap_se_sd"]).all()
    alone = city_gaps(cells.filter(pl.col("school_year") == 2021), TRUE, schools=36)
    again = found.filter(pl.col("school_year") == 2021).drop("school_year")
    pl.testing.assert_frame_equal(again, alone, abs_tol=1e-12)


def groups(seed, *, behind=0.3, sorting=0.0, schools=30):
    """Pupils in schools; a group is behind by a given amount, and sits in weaker schools."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.25, schools)
    share = 1 / (1 + np.exp(-(-0.5 + sorting * level)))
    rows = []
    for school in range(schools):
        for subject in ("hebrew", "math"):
            n = int(rng.integers(30, 90))
            is_in = rng.random(n) < share[school]
            gap = level[school] + behind * is_in + rng.normal(0, 1, n)
            for name, some in (("all", gap), ("poor", gap[is_in])):
                if len(some):
                    rows.append(
                        (
                            name,
                            f"9{school:05d}",
                            subject,
                            5,
                            2026,
                            "S",
                            some.mean(),
                            1 / np.sqrt(len(some)),
                            len(some),
                        )
                    )
    return pl.DataFrame(
        rows,
        schema=[
            "group_id",
            *["semel_mosad", "subject", "grade", "school_year", "scale_id"],
            "gap_raw_sd",
            "gap_sampling_sd",
            "tested_pupils",
        ],
        orient="row",
    )


def test_contrast_is_within_plus_between_and_equals_the_pupils_means():
    cells = groups(1, sorting=4.0)
    found = group_contrasts(cells)
    assert found["subject"].to_list() == ["all", "hebrew", "math"]
    for row in found.to_dicts():
        assert row["within_sd"] + row["between_sd"] == pytest.approx(row["contrast_sd"], abs=1e-12)
    math = (
        cells.filter(pl.col("subject") == "math")
        .pivot("group_id", index="semel_mosad", values=["gap_raw_sd", "tested_pupils"])
        .drop_nulls()
    )
    math = math.filter(pl.col("tested_pupils_all") > pl.col("tested_pupils_poor"))
    n, total = math["tested_pupils_poor"], math["tested_pupils_all"]
    rest = (total * math["gap_raw_sd_all"] - n * math["gap_raw_sd_poor"]).sum() / (total - n).sum()
    by_hand = (n * math["gap_raw_sd_poor"]).sum() / n.sum() - rest
    assert found.filter(pl.col("subject") == "math")["contrast_sd"].item() == pytest.approx(by_hand)


def test_planted_contrasts_are_covered_and_sorting_is_between():
    inside, between = [], []
    for seed in range(80):
        # One subject: the pupils of this test's two subjects are not the same, the model's are.
        row = group_contrasts(groups(seed, sorting=4.0)).row(
            by_predicate=pl.col("subject") == "math", named=True
        )
        inside.append(row["within_lo_sd"] <= 0.3 <= row["within_hi_sd"])
        between.append(row["between_sd"])
    assert 0.84 <= np.mean(inside) <= 0.96
    assert np.mean(between) > 0.1
    assert (
        abs(
            np.mean(
                [
                    group_contrasts(groups(seed)).row(0, named=True)["between_sd"]
                    for seed in range(40)
                ]
            )
        )
        < 0.03
    )


def test_a_group_that_fills_its_cells_has_no_contrast():
    cells = groups(2)
    whole = cells.filter(pl.col("group_id") == "all")
    stream = whole.with_columns(pl.lit("state").alias("group_id"))
    assert group_contrasts(pl.concat([whole, stream])).is_empty()


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 10**6))
def test_order_says_nothing(seed):
    cells = sized(city(7, schools=8, years=2))
    other = cells.sample(fraction=1, shuffle=True, seed=seed)
    assert city_gaps(cells, TRUE, schools=8).equals(city_gaps(other, TRUE, schools=8))
    some = groups(3, schools=8)
    assert group_contrasts(some).equals(
        group_contrasts(some.sample(fraction=1, shuffle=True, seed=seed))
    )
    assert set(CELL_KEY) <= set(some.columns)
