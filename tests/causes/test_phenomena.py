"""Phenomena: planted gaps are found, one-off and chance ones are not, and the numbers are exact."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from models.causes.phenomena import phenomena
from tests.examples import examples
from tests.gaps.cities import TRUE_SD, city

EQUAL = TRUE_SD | {"school": 0.0, "school_subject": 0.0}
PLACE = ["scope", "semel_mosad", "subject", "grade"]
MATH = pl.col("subject") == "math"
SEVEN = pl.col("semel_mosad") == "900007"

SCOPES = {"school", "school_subject", "subject", "grade"}


def components(true_sd=EQUAL):
    return pl.DataFrame({"component": list(true_sd), "component_sd": list(true_sd.values())})


def equal_city(seed, **kwargs):
    """Return a city at its targets whose schools differ only by school-year noise and sampling."""
    level = pl.col("truth").mean().over("subject", "grade", "school_year")
    return city(seed, true_sd=EQUAL, **kwargs).with_columns(pl.col("gap_raw_sd") - level)


def planted(cells, where, shift):
    return cells.with_columns(pl.col("gap_raw_sd") + pl.when(where).then(shift).otherwise(0.0))


def listed(found):
    return found.filter("is_phenomenon").select(*PLACE, "direction").rows()


def place(found, scope, **where):
    chosen = found.filter(pl.col("scope") == scope).filter(**where)
    assert chosen.height == 1
    return chosen.row(0, named=True)


def test_an_equal_city_has_none():
    found = phenomena(equal_city(1), components())
    assert listed(found) == []
    assert dict(found["scope"].value_counts().iter_rows()) == {
        "school": 36,
        "school_subject": 144,
        "subject": 4,
        "grade": 2,
    }
    assert set(found["scope"]) == SCOPES


@pytest.mark.parametrize(("shift", "direction"), [(0.6, "below"), (-0.6, "above")])
def test_a_gap_of_one_school_in_one_subject(shift, direction):
    found = phenomena(planted(equal_city(2), SEVEN & MATH, shift), components())
    assert listed(found) == [("school_subject", "900007", "math", None, direction)]
    row = place(found, "school_subject", semel_mosad="900007", subject="math")
    assert (row["years_measured"], row["years_seen"], row["cells"]) == (4, 4, 8)
    assert (row["schools_measured"], row["schools_seen"]) == (1, 1)
    # The school is a thirty-sixth of what is typical.
    assert row["gap_mean_sd"] == pytest.approx(shift * 35 / 36, abs=2 * row["gap_mean_se_sd"])


def test_a_school_low_in_all_subjects_and_one_low_in_a_single_one():
    general = phenomena(planted(equal_city(3), SEVEN, 0.5), components())
    assert place(general, "school", semel_mosad="900007")["is_phenomenon"]
    single = phenomena(planted(equal_city(3), SEVEN & MATH, 2.0), components())
    row = place(single, "school", semel_mosad="900007")
    assert row["p_chance"] < 1e-6  # its mean is surely off, and yet it is a matter of one subject
    assert not row["is_phenomenon"]
    assert place(single, "school_subject", semel_mosad="900007", subject="math")["is_phenomenon"]


def test_a_gap_of_the_whole_city_in_a_subject():
    found = phenomena(planted(equal_city(4), MATH, 0.35), components())
    assert listed(found) == [("subject", None, "math", None, "below")]
    row = place(found, "subject", subject="math")
    assert row["gap_mean_sd"] == pytest.approx(0.35, abs=0.05)
    assert (row["years_seen"], row["schools_measured"]) == (4, 36)
    assert row["schools_seen"] > 30


def test_a_gap_of_a_grade_is_seen_from_the_other_grades():
    cells = planted(equal_city(5, grades=(3, 4, 5, 6)), pl.col("grade") == 5, -0.4)
    found = phenomena(cells, components(), margin_sd=0.2)
    assert listed(found) == [("grade", None, None, 5, "above")]
    # Against the three others, which are each a third of it above theirs.
    means = {row["grade"]: row["gap_mean_sd"] for row in found.filter(scope="grade").to_dicts()}
    assert means[5] == pytest.approx(-0.4, abs=0.05)
    assert means[3] == pytest.approx(0.4 / 3, abs=0.05)


def test_one_extreme_year_is_no_phenomenon():
    """Half the schools are hit in mathematics in one year; few are taken for recurring."""
    code = pl.col("semel_mosad").cast(pl.Int32) - 900000
    shock = pl.when(code % 4 == 0).then(1.5).when(code % 4 == 2).then(-1.5).otherwise(0.0)
    hit = MATH & (code % 2 == 0)
    year = pl.col("school_year") == 2020 + code // 4 % 4
    found = pl.concat(
        phenomena(planted(equal_city(20 + seed), hit & year, shock), components()).filter(
            (pl.col("scope") == "school_subject") & hit
        )
        for seed in range(6)
    )
    # That they differ is sure; that it lasts is not.
    assert (found["p_chance"] < 0.01).mean() > 0.95
    # 5 % of 108, and two standard errors of that share.
    assert found["is_phenomenon"].mean() <= 0.05 + 2 * (0.05 * 0.95 / 108) ** 0.5


def test_recurrence_in_as_many_years_as_asked():
    where = SEVEN & MATH & pl.col("school_year").is_in([2021, 2022])
    cells = planted(equal_city(16), where, 2.0)
    for years, expected in ((2, True), (3, False)):
        found = phenomena(cells, components(), years=years)
        row = place(found, "school_subject", semel_mosad="900007", subject="math")
        assert row["is_phenomenon"] is expected


def test_what_is_measured_once_can_recur_in_schools_only():
    cells = planted(equal_city(7, years=1), MATH, 0.5)
    found = phenomena(planted(cells, SEVEN, 2.0), components())
    assert listed(found) == [("subject", None, "math", None, "below")]
    schools = found.filter(pl.col("scope").is_in(["school", "school_subject"]))
    assert schools["p_chance"].null_count() == schools["p_once"].null_count() == schools.height
    few = pl.col("semel_mosad").is_in(["900001", "900002"])
    in_two = planted(equal_city(7, years=1, schools=6), MATH & few, 3.0)
    assert place(phenomena(in_two, components(), schools=2), "subject", subject="math")[
        "is_phenomenon"
    ]
    assert not place(phenomena(in_two, components(), schools=3), "subject", subject="math")[
        "is_phenomenon"
    ]


def test_nothing_is_typical_of_two_schools():
    found = phenomena(equal_city(8, schools=2), components())
    assert set(found["scope"]) == {"subject", "grade"}
    assert set(phenomena(equal_city(8, schools=3), components())["scope"]) == SCOPES


def test_estimates_are_those_of_dense_algebra():
    """All cells at once: V of noise alone, generalised least squares for μ, and weighted means."""
    cells = city(9, schools=5, subjects=2, years=3).filter(
        (pl.col("semel_mosad") != "900002") | (pl.col("school_year") != 2021)
    )
    cells = cells.sort("semel_mosad", "subject", "grade", "school_year")
    columns = ("semel_mosad", "subject", "grade", "school_year", "gap_raw_sd", "gap_sampling_sd")
    school, subject, grade, year, gap, error = (cells[name].to_numpy() for name in columns)
    same = lambda values: values[:, None] == values[None, :]  # noqa: E731
    cohort = np.where(same(year - grade), 0.5 * 0.9 ** abs(year[:, None] - year[None, :]), 0.0)
    np.fill_diagonal(cohort, 1.0)
    noise = cohort * np.outer(error, error) + same(year) * (0.06**2 + 0.06**2 * same(subject))
    noise = noise * same(school)
    total = noise + same(school) * (0.24**2 + 0.13**2 * same(subject))
    group = [f"{k}{g}{t}" for k, g, t in zip(subject, grade, year, strict=True)]
    design = np.array(group)[:, None] == np.unique(group)[None, :]
    inverse = np.linalg.inv(total)
    hat = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse)
    residual = np.eye(len(gap)) - design @ hat

    def by_year(rows, chosen, years):
        rows, years = rows[chosen], years[chosen]
        precision = 1 / np.diag(rows @ noise @ rows.T)
        weights = (years == np.unique(years)[:, None]) * precision
        rows = weights / weights.sum(axis=1, keepdims=True) @ rows
        return rows @ gap, rows @ noise @ rows.T

    def expected(value, covariance):
        weight = 1 / np.diag(covariance)
        weight = weight / weight.sum()
        mean, sd = weight @ value, np.sqrt(weight @ covariance @ weight)
        z = value / np.sqrt(np.diag(covariance)) * np.sign(mean)
        spread = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        drop = [np.delete(np.arange(len(z)), i) for i in range(len(z))]
        weakest = min(z[kept].sum() / np.sqrt(spread[np.ix_(kept, kept)].sum()) for kept in drop)
        return mean, sd, 2 * norm.sf(abs(mean) / sd), min(1, 2 * norm.sf(weakest))

    found = phenomena(cells, components(TRUE_SD))
    names = ("gap_mean_sd", "gap_mean_se_sd", "p_chance", "p_once")
    for code in ("900001", "900002"):
        chosen = (school == code) & (subject == "english")
        row = place(found, "school_subject", semel_mosad=code, subject="english")
        answer = expected(*by_year(residual, chosen, year))
        assert [row[name] for name in names] == pytest.approx(answer, rel=1e-9)
        row = place(found, "school", semel_mosad=code)
        answer = expected(*by_year(residual, school == code, year))
        assert [row[name] for name in names[:3]] == pytest.approx(answer[:3], rel=1e-9)
        parts = [
            expected(*by_year(residual, (school == code) & (subject == k), year))[3]
            for k in ("english", "hebrew")
        ]
        assert row["p_once"] == pytest.approx(max(answer[3], *parts), rel=1e-9)
    keys = np.array(
        [(name[:-5], int(name[-5]), int(name[-4:])) for name in np.unique(group)],
        dtype=[("subject", "U9"), ("grade", int), ("year", int)],
    )
    row = place(found, "subject", subject="hebrew")
    answer = expected(*by_year(hat, keys["subject"] == "hebrew", keys["year"]))
    assert [row[name] for name in names[:3]] == pytest.approx(answer[:3], rel=1e-9)
    other = [
        np.flatnonzero((keys["subject"] == k) & (keys["year"] == t) & (keys["grade"] == 5))[0]
        for k, _, t in keys
    ]
    row = place(found, "grade", grade=4)
    answer = expected(*by_year(hat - hat[other], keys["grade"] == 4, keys["year"]))
    assert [row[name] for name in names[:3]] == pytest.approx(answer[:3], rel=1e-9)


small = st.integers(0, 10**6).map(lambda seed: city(seed, schools=8, subjects=2, years=3))


@settings(max_examples=examples(20), deadline=None)
@given(small, st.integers(0, 100))
def test_order_of_rows_decides_nothing_and_signs_are_symmetric(cells, seed):
    found = phenomena(cells, components(TRUE_SD))
    mixed = cells.sample(fraction=1, shuffle=True, seed=seed)
    assert phenomena(mixed, components(TRUE_SD).reverse()).equals(found)
    turned = phenomena(cells.with_columns(-pl.col("gap_raw_sd")), components(TRUE_SD))
    assert turned["gap_mean_sd"].to_list() == pytest.approx((-found["gap_mean_sd"]).to_list())
    assert turned["p_once"].to_list() == pytest.approx(found["p_once"].to_list())
    assert (turned["direction"] != found["direction"]).all()
    assert turned["is_phenomenon"].equals(found["is_phenomenon"])


@settings(max_examples=examples(20), deadline=None)
@given(small, st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([0.05, 0.2]))
def test_what_is_listed_is_what_the_rule_says(cells, margin, fdr):
    found = phenomena(cells, components(TRUE_SD), margin_sd=margin, fdr=fdr)
    is_recurring = (
        (pl.col("p_once") <= 0.05)
        & (pl.col("gap_mean_sd").abs() >= margin)
        & ((pl.col("years_seen") >= 2) | (pl.col("schools_seen") >= 3))
    )
    p = found.select(pl.when(is_recurring).then("p_chance").otherwise(1.0)).to_series().to_numpy()
    reject, q, *_ = multipletests(p, alpha=fdr, method="fdr_bh")
    assert found["q_chance"].to_list() == pytest.approx(q.tolist())
    assert found["is_phenomenon"].to_list() == reject.tolist()
    assert found["false_alarms_expected"].to_list() == pytest.approx(
        (found["p_chance"] * found.height).to_list()
    )
    # The test for one year less is the easier one, and at most as strict as the next.
    stricter = phenomena(cells, components(TRUE_SD), margin_sd=margin, fdr=fdr, years=3)
    assert (
        stricter.filter(scope="school_subject")["p_once"]
        >= found.filter(scope="school_subject")["p_once"] - 1e-12
    ).all()


def test_trifling_gaps_of_the_city_lend_no_credit():
    """A sure gap within the margin in each subject and grade must not let more schools pass."""
    cells = equal_city(13)
    found = phenomena(cells, components())
    offset = planted(cells, pl.lit(True), 0.06)
    trifling = phenomena(offset, components())
    assert (trifling.filter(scope="subject")["p_chance"] < 0.05).all()
    schools = pl.col("scope").is_in(["school", "school_subject"])
    assert trifling.filter(schools)["q_chance"].to_list() == pytest.approx(
        found.filter(schools)["q_chance"].to_list()
    )


def test_intervals_are_of_the_asked_width():
    found = phenomena(equal_city(10, schools=8), components(), level=0.5)
    width = (found["gap_mean_hi_sd"] - found["gap_mean_lo_sd"]) / found["gap_mean_se_sd"]
    assert width.to_list() == pytest.approx([2 * norm.ppf(0.75)] * found.height)


def test_unmeasured_cells_are_left_out():
    cells = equal_city(11, schools=8)
    empty = cells.with_columns(pl.lit(None, pl.Float64).alias("gap_raw_sd"))
    nowhere = phenomena(empty, components())
    assert nowhere.height == 0
    assert nowhere.schema == phenomena(cells, components()).schema
    hole = SEVEN & MATH
    holed = cells.with_columns(pl.when(~hole).then("gap_raw_sd").alias("gap_raw_sd"))
    assert phenomena(holed, components()).equals(phenomena(cells.filter(~hole), components()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"years": 1}, "at least 2 years"),
        ({"schools": 1}, "at least 2 years or 2 schools"),
        ({"margin_sd": -0.1}, "margin_sd"),
        ({"margin_sd": float("nan")}, "margin_sd"),
        ({"fdr": 0.0}, "fdr"),
        ({"once": 1.0}, "once"),
        ({"level": 1.0}, "level"),
        ({"components": components().head(3)}, "school_subject_year"),
    ],
)
def test_bad_settings_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        phenomena(equal_city(12, schools=4), **({"components": components()} | change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: pl.concat([c, c.head(1)]), "repeat"),
        (lambda c: c.with_columns(pl.lit(0.0).alias("gap_sampling_sd")), "positive sampling"),
        (lambda c: c.with_columns(pl.lit(None, pl.Float64).alias("gap_sampling_sd")), "positive"),
        (lambda c: c.with_columns(pl.lit(float("nan")).alias("gap_raw_sd")), "not finite"),
    ],
)
def test_bad_cells_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        phenomena(change(equal_city(12, schools=4)), components())
