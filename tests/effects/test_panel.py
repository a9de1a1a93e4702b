"""School panels: by hand, by brute force, beside other programs, and against planted truth."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.effects.panel import panel
from tests.effects.group_time import group_time
from tests.effects.panels import school_cells
from tests.examples import examples

YEARS = [2021, 2022, 2023, 2024]


def cells_of(levels, *, started, share=0.5, pupils=50, years=YEARS):
    """Return cells of schools given as {code: levels by year}; nan or None = not measured."""
    return pl.DataFrame(
        [
            (
                code,
                year,
                None if value is None or np.isnan(value) else float(value),
                pupils,
                share if started.get(code) and year >= started[code] else 0.0,
                started.get(code),
            )
            for code, row in levels.items()
            for year, value in zip(years, row, strict=True)
        ],
        schema={
            "semel_mosad": pl.String,
            "school_year": pl.Int32,
            "outcome_sd": pl.Float64,
            "pupils": pl.Int64,
            "served_share": pl.Float64,
            "started_year": pl.Int32,
        },
        orient="row",
    )


def wobbling(schools, seed=0, spread=0.05):
    rng = np.random.default_rng(seed)
    return {f"c{i:02d}": rng.normal(0, spread, len(YEARS)) for i in range(schools)}


def test_two_schools_by_hand():
    levels = {f"c{i}": [i, i + 0.1, i + 0.3, i + 0.2] for i in range(6)}
    levels |= {"a": [5.0, 5.1, 5.7, 5.4], "b": [2.0, 2.1, 2.5, 2.6]}
    started = {"a": 2023, "b": 2023}
    found = panel(cells_of(levels, started=started), seed=1, draws=99)
    # a: .4 and .2 above the controls' course, b: .2 and .4; half of the pupils take part.
    assert found.itt_sd == pytest.approx(0.3)
    assert found.effect_sd == pytest.approx(0.6)
    assert (found.treated_pupils, found.control_pupils, found.clusters) == (100, 600, 8)
    assert found.mde_sd == pytest.approx(2.48647 * found.effect_se_sd, rel=1e-5)


def brute_force(cells, year_noise=0.085):
    """The offer's effect by loops over schools, grades and years."""
    rows = {
        (r["semel_mosad"], r["grade"], r["school_year"]): r for r in cells.iter_rows(named=True)
    }
    schools, grades, years = (sorted({k[i] for k in rows}) for i in range(3))
    start = {k[0]: r["started_year"] or np.inf for k, r in rows.items()}

    def serving(school, year):
        return any(
            rows.get((school, g, year), {"served_share": 0})["served_share"] > 0 for g in grades
        )

    def level(school, grade, year):
        row = rows.get((school, grade, year))
        if row is None or row["outcome_sd"] is None:
            return None
        return None if year >= start[school] and not serving(school, year) else row["outcome_sd"]

    def precision(school):
        tested = [
            sum(rows[school, g, y]["pupils"] for g in grades if level(school, g, y) is not None)
            for y in years
        ]
        return 1 / (year_noise**2 + 1 / np.mean([n for n in tested if n]))

    above = below = 0.0
    for school in schools:
        for grade in grades:
            for year in (y for y in years if y >= start[school] and serving(school, y)):
                if level(school, grade, year) is None:
                    continue
                pairs = []
                for base in (y for y in years if y < start[school]):
                    others = [
                        c
                        for c in schools
                        if start[c] > year
                        and level(c, grade, year) is not None
                        and level(c, grade, base) is not None
                    ]
                    if level(school, grade, base) is None or len(others) < 2:
                        continue
                    course = np.average(
                        [level(c, grade, year) - level(c, grade, base) for c in others],
                        weights=[precision(c) for c in others],
                    )
                    pairs.append(level(school, grade, year) - level(school, grade, base) - course)
                if pairs:
                    tested = rows[school, grade, year]["pupils"]
                    above += tested * np.mean(pairs)
                    below += tested
    return above / below


def ragged(seed):
    """Three grades, staggered starts, missing cells, one school that stops, uneven pupils."""
    rng = np.random.default_rng(seed)
    one = school_cells(rng, schools=16, treated=6, starts=2, effect=0.5, grades=1)
    grades = pl.DataFrame({"grade": [4, 5, 6]})
    every = one.join(grades, how="cross").sort("semel_mosad", "grade", "school_year")
    leaver = every.filter(pl.col("started_year") == 2023)["semel_mosad"][0]
    stopped = (pl.col("semel_mosad") == leaver) & (pl.col("school_year") == 2025)
    return (
        every.with_columns(
            (pl.col("outcome_sd") + pl.Series(rng.normal(0, 0.1, every.height))).alias(
                "outcome_sd"
            ),
            pl.Series("pupils", rng.integers(16, 118, every.height)),
            pl.when(stopped).then(0.0).otherwise("served_share").alias("served_share"),
        )
        .with_columns(pl.when(pl.Series(rng.random(every.height) > 0.15)).then("outcome_sd"))
        .filter(pl.Series(rng.random(every.height) > 0.05))
    )


@pytest.mark.parametrize("seed", range(4))
def test_ragged_panels_equal_brute_force(seed):
    cells = ragged(seed)
    table = group_time(cells, seed=0, draws=1).filter(~pl.col("is_placebo"))
    overall = (table["itt_sd"] * table["treated_pupils"]).sum() / table["treated_pupils"].sum()
    assert overall == pytest.approx(brute_force(cells), rel=1e-10)
    whole = panel(cells, seed=0, draws=9)
    if not {"mean_reversion", "level_adjusted"} & set(whole.doubts):
        assert whole.itt_sd == pytest.approx(overall, rel=1e-10)


def reference_cells():
    """The data that two published programs were run on (values below)."""
    rng, rows = np.random.default_rng(3), []
    for unit in range(40):
        start, level = [None, 2021, 2022, 2023][unit % 4], rng.normal()
        for year in range(2020, 2025):
            gain = 0.2 * (year - start + 1) if start and year >= start else 0.0
            value = level + 0.1 * year + rng.normal() * 0.3 + gain
            rows.append(
                (f"{unit:02d}", year, value, 50, float(start is not None and year >= start), start)
            )
    names = ["semel_mosad", "school_year", "outcome_sd", "pupils", "served_share", "started_year"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_group_time_effects_equal_another_program():
    # Callaway-Sant'Anna with not-yet-treated controls; a start after one base year is the same
    # there.
    found = group_time(reference_cells(), seed=0, draws=9).filter(
        started_year=2021, is_placebo=False
    )
    assert found["itt_sd"].to_list() == pytest.approx(
        [0.440352, 0.278282, 0.480987, 0.72224], abs=1e-6
    )


@pytest.mark.parametrize(
    ("start", "value"), [(2021, 0.4515606836), (2022, 0.2672922473), (2023, 0.1299211045)]
)
def test_one_start_equals_the_imputation_estimator(start, value):
    # Borusyak-Jaravel-Spiess imputation, one group and the never treated.
    one = reference_cells().filter(
        pl.col("started_year").is_null() | (pl.col("started_year") == start)
    )
    found = group_time(one, seed=0, draws=9).filter(~pl.col("is_placebo"))
    assert found["itt_sd"].mean() == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("grain", ["school", "grade"])
def test_neither_rows_nor_columns_order_matters(grain):
    cells = ragged(5) if grain == "grade" else school_cells(np.random.default_rng(5), starts=2)
    mixed = cells.sample(fraction=1, shuffle=True, seed=3).select(sorted(cells.columns))
    assert panel(cells, seed=2, draws=49) == panel(mixed, seed=2, draws=49)
    assert group_time(cells, seed=2, draws=19).equals(group_time(mixed, seed=2, draws=19))


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 1000), st.floats(-2, 2), st.floats(0.5, 2))
def test_lasting_levels_and_common_years_change_nothing(seed, shift, unit):
    cells = school_cells(np.random.default_rng(seed), schools=12, treated=4, starts=2, years=5)
    school = pl.col("semel_mosad").cast(pl.Int64) % 7
    moved = cells.with_columns(
        pl.col("outcome_sd") * unit + shift * (school + pl.col("school_year") % 3)
    )
    # Whether the last year decided is judged by levels; here it is no base anyway.
    plain, other = (panel(one, seed=1, draws=29, anticipation_years=1) for one in (cells, moved))
    assert other.effect_sd == pytest.approx(unit * plain.effect_sd, abs=1e-9)
    assert other.effect_se_sd == pytest.approx(unit * plain.effect_se_sd, abs=1e-9)
    assert (other.p_value, other.doubts) == (plain.p_value, plain.doubts)


def test_early_starters_are_no_controls_of_late_ones():
    # Effects grow by .2 a year. With early starters as controls the late ones would seem to lose.
    flat = wobbling(8, spread=1e-6)
    early = {f"e{i}": [0.0, 0.2, 0.4, 0.6] for i in range(2)}
    late = {f"l{i}": [0.0, 0.0, 0.0, 0.2] for i in range(2)}
    started = {"e0": 2022, "e1": 2022, "l0": 2024, "l1": 2024}
    cells = cells_of(flat | early | late, started=started, share=1.0)
    found = group_time(cells, seed=0, draws=9).filter(~pl.col("is_placebo"))
    assert found["started_year"].to_list() == [2022, 2022, 2022, 2024]
    assert found["itt_sd"].to_list() == pytest.approx([0.2, 0.4, 0.6, 0.2], abs=1e-5)


def test_years_after_leaving_and_schools_without_a_before_are_left_out():
    schools = wobbling(10, spread=0.01) | {"a": [0, 0, 1, 9], "b": [0, 0, 1, 1], "z": [7, 8, 9, 10]}
    cells = cells_of(schools, started={"a": 2023, "b": 2023, "z": 2021}).with_columns(
        pl.when(pl.col("semel_mosad") == "a", pl.col("school_year") == 2024)
        .then(0.0)
        .otherwise("served_share")
        .alias("served_share")
    )
    found = panel(cells, seed=0, draws=99)
    assert found.itt_sd == pytest.approx(1.0, abs=0.03)
    assert "no_pre_period" in found.doubts
    assert found.clusters == 12
    assert found.treated_pupils == 75  # three school-years of 50 pupils, half of them served


def test_a_trend_that_goes_with_background_is_taken_out_only_on_request():
    levels, nurture = {}, {}
    for i in range(16):
        code, nurture[code] = f"s{i:02d}", float(i)
        gain = 0.3 if i >= 11 else 0.0
        levels[code] = [
            0.02 * i * y + (gain if y >= 2 else 0) + 0.001 * ((i * (y + 3)) % 5) for y in range(4)
        ]
    started = {f"s{i:02d}": 2023 for i in range(11, 16)}
    cells = cells_of(levels, started=started, share=1.0).with_columns(
        pl.col("semel_mosad").replace_strict(nurture).alias("nurture_index")
    )
    table = {
        c: group_time(cells, seed=0, draws=9, covariates=c).filter(~pl.col("is_placebo"))
        for c in ((), ("nurture_index",))
    }
    assert table[()]["itt_sd"].mean() > 0.5
    assert table["nurture_index",]["itt_sd"].mean() == pytest.approx(0.3, abs=0.01)
    assert panel(cells, seed=0, draws=199, covariates=("nurture_index",)).itt_sd == pytest.approx(
        0.3, abs=0.01
    )


def test_failed_placebos_are_seen_and_cost_a_grade():
    cells = school_cells(np.random.default_rng(2), years=7, first=4, effect=0.3)
    gains = cells.with_columns(
        (pl.col("outcome_sd") + 0.3 * (pl.col("served_share") > 0)).alias("other_sd")
    )
    found = panel(gains, seed=1, draws=199, placebo="other_sd")
    assert found.design_grade == "D"
    assert "placebo_subject" in found.doubts
    assert found.placebo_sd == pytest.approx(0.3 / 0.22 + found.effect_sd, rel=0.01)
    still = panel(
        cells.with_columns(pl.col("outcome_sd").reverse().alias("other_sd")),
        seed=1,
        draws=199,
        placebo="other_sd",
    )
    assert "placebo_subject" not in still.doubts
    trend = 0.15 * (pl.col("school_year") - 2020) * pl.col("started_year").is_not_null()
    found = panel(cells.with_columns(pl.col("outcome_sd") + trend), seed=1, draws=199)
    assert "pre_trend" in found.doubts
    assert "mean_reversion" not in found.doubts  # the last year stands out with the effect


def test_a_dip_before_the_start_is_no_base():
    cells = school_cells(np.random.default_rng(4), years=7, first=4)
    dip = -0.3 * ((pl.col("school_year") == 2023) & pl.col("started_year").is_not_null())
    dipped = cells.with_columns(pl.col("outcome_sd") + dip)
    found = panel(dipped, seed=1, draws=199)
    assert "mean_reversion" in found.doubts
    assert found.itt_sd == pytest.approx(
        panel(cells, seed=1, draws=199, anticipation_years=1).itt_sd
    )
    # With two years before, what is left cannot be checked any more.
    found = panel(dipped.filter(pl.col("school_year") >= 2022), seed=1, draws=199)
    assert found.design_grade == "D"
    assert {"mean_reversion", "single_pre_year"} <= set(found.doubts)


def test_too_little_to_compare_is_no_estimate():
    few = panel(cells_of(wobbling(3) | {"a": [0, 0, 1, 1]}, started={"a": 2023}), seed=0)
    assert (few.design_grade, few.effect_sd, few.doubts) == ("E", None, ("too_few_schools",))
    never = panel(cells_of(wobbling(8), started={}), seed=0)
    assert (never.design_grade, never.doubts) == ("E", ("too_few_schools",))
    all_served = {f"c{i:02d}": 2021 for i in range(8)}
    always = panel(cells_of(wobbling(8), started=all_served), seed=0)
    assert (always.design_grade, always.doubts) == ("E", ("no_pre_period", "too_few_schools"))


def test_one_year_before_costs_a_grade():
    cells = school_cells(np.random.default_rng(1), years=4, first=1)
    found = panel(cells, seed=0, draws=99)
    assert found.design_grade == "D"
    assert {"single_pre_year", "level_adjusted"} <= set(found.doubts)
    assert found.placebo_sd is None


def test_a_school_served_from_the_first_year_on_does_not_keep_the_level_from_the_others():
    levels = wobbling(24)
    started = {f"c{i:02d}": 2023 for i in range(3)}
    alone = panel(cells_of(levels, started=started), seed=1, draws=99)
    assert "level_adjusted" in alone.doubts
    beside = panel(
        cells_of(levels | {"z": [3.0, 3.0, 3.0, 3.0]}, started=started | {"z": YEARS[0]}),
        seed=1,
        draws=99,
    )
    assert beside.effect_sd == pytest.approx(alone.effect_sd)
    assert beside.doubts == tuple(sorted({*alone.doubts, "no_pre_period"}))


def test_the_p_value_is_a_permutation_test_within_strata():
    levels = wobbling(24, seed=8) | {"a": [0, 0, 3, 3]}
    cells = cells_of(levels, started={"a": 2023})
    alone = panel(cells, seed=0, draws=2000, anticipation_years=0)
    assert alone.p_value == pytest.approx(1 / 25, abs=0.015)  # the most extreme of 25 schools
    stream = pl.when(pl.col("semel_mosad") < "c20").then(1).otherwise(2).alias("stream_id")
    inside = panel(cells.with_columns(stream), seed=0, draws=2000, strata="stream_id")
    assert inside.p_value == pytest.approx(1 / 21, abs=0.015)


def test_bad_cells_are_named():
    good = cells_of(wobbling(8) | {"a": [0, 0, 1, 1]}, started={"a": 2023})
    bad = {
        "lack columns: pupils": good.drop("pupils"),
        "no cell": good.clear(),
        "given twice": pl.concat([good, good[:1]]),
        "one value per school": good.with_columns(
            pl.when(pl.col("school_year") == 2024)
            .then(2024)
            .otherwise("started_year")
            .cast(pl.Int32)
            .alias("started_year")
        ),
        "served before": good.with_columns(pl.lit(0.5).alias("served_share")),
        "served_share must be known": good.with_columns(
            pl.lit(None, pl.Float64).alias("served_share")
        ),
        "outcome_sd is not a number": good.with_columns(pl.lit(float("nan")).alias("outcome_sd")),
        "outcome_sd without pupils": good.with_columns(pl.lit(0).alias("pupils")),
    }
    for words, cells in bad.items():
        with pytest.raises(ValueError, match=words):
            panel(cells, seed=0)
    with pytest.raises(ValueError, match="background is not known"):
        panel(good.with_columns(pl.lit(None, pl.Float64).alias("x")), seed=0, covariates=("x",))
    with pytest.raises(ValueError, match="must not be negative"):
        panel(good, seed=0, year_noise_sd=-1.0)
    with pytest.raises(ValueError, match="draws must be"):
        panel(good, seed=0, draws=0)


def test_half_of_a_thousand_schools_can_be_compared():
    """The sets of 515 among 1,031 schools are more than a float can hold."""
    cells = school_cells(
        np.random.default_rng(0), schools=1031, treated=515, share=1.0, effect=0.1, years=5
    )
    found = panel(cells, seed=1, draws=19)
    assert found.effect_sd == pytest.approx(0.1, abs=0.03)
    assert found.clusters == 1031
