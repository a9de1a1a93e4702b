"""Similar schools: the line of the whole city as one big system, and honest where it is planted."""

import numpy as np
import polars as pl
import pytest

from models.cells import CELL_KEY, MEAN_GROUP
from models.gaps import similar_gaps
from tests.gaps.cities import TRUE_SD, city

TRUE = pl.DataFrame({"component": list(TRUE_SD), "component_sd": list(TRUE_SD.values())})
SLOPE = 0.12


def sloped(seed, **shape):
    """A city whose gaps widen with background, the background, and every fourth school apart."""
    cells = city(seed, **shape)
    schools = cells["semel_mosad"].unique().sort()
    rng = np.random.default_rng(seed + 900)
    background = pl.DataFrame(
        {"semel_mosad": schools, "background": rng.uniform(3, 9, len(schools))}
    )
    steep = SLOPE * (pl.col("background") - 6)
    tilted = cells.join(background, on="semel_mosad").with_columns(
        pl.col("gap_raw_sd") + steep, pl.col("truth") + steep
    )
    apart = pl.col("semel_mosad").str.slice(-1).cast(pl.Int32) % 4 == 0
    return tilted.filter(~apart), tilted.filter(apart), background


def dense(seen, wanted):
    """Weighted least squares with all cells in one covariance matrix."""
    key = {name: seen[name].to_numpy() for name in CELL_KEY}

    def same(*names):
        return np.all([key[name][:, None] == key[name] for name in names], axis=0)

    u, v, w, x = (value**2 for value in TRUE_SD.values())
    school = same("semel_mosad")
    cov = school * (
        u + v * same("subject") + w * same("school_year") + x * same("subject", "school_year")
    )
    cohort, year = key["school_year"] - key["grade"], key["school_year"]
    alike = 0.5 * 0.9 ** np.abs(year[:, None] - year) * (school & (cohort[:, None] == cohort))
    np.fill_diagonal(alike, 1.0)
    error = seen["gap_sampling_sd"].to_numpy()
    cov = cov + alike * np.outer(error, error)
    groups = seen.select(MEAN_GROUP).unique().sort(MEAN_GROUP).rows()
    subjects = sorted(set(seen["subject"]))

    def design(rows):
        level = np.array(
            [[row == group for group in groups] for row in rows.select(MEAN_GROUP).rows()]
        )
        slope = np.array([[subject == name for name in subjects] for subject in rows["subject"]])
        return np.hstack([level, slope * rows["background"].to_numpy()[:, None]]).astype(float)

    through = np.linalg.solve(cov, design(seen))
    spread = np.linalg.inv(design(seen).T @ through)
    line = design(wanted)
    fitted = line @ spread @ through.T @ seen["gap_raw_sd"].to_numpy()
    return fitted, np.sqrt(np.einsum("ip,pq,iq->i", line, spread, line))


def test_the_line_is_that_of_one_big_system():
    seen, wanted, background = sloped(1, schools=14, subjects=2, years=2)
    wanted = wanted.sort(CELL_KEY)
    found = similar_gaps(seen.drop("background"), wanted, background, TRUE)
    fitted, error = dense(seen, wanted)
    # All but equal: a slope has a prior of 1 SD, beside errors of about .05.
    np.testing.assert_allclose(found["gap_expected_sd"], fitted, atol=2e-3)
    np.testing.assert_allclose(found["gap_expected_se_sd"], error, rtol=5e-3)


def test_the_line_is_as_far_off_as_it_says():
    away = []
    for seed in range(25):
        seen, wanted, background = sloped(seed, years=2, subjects=2)
        found = similar_gaps(seen.drop("background"), wanted, background, TRUE)
        # What schools of that background have: the level of the cell's group, and the planted
        # slope.
        level = (pl.col("truth") - SLOPE * (pl.col("background") - 6)).mean().alias("level")
        rows = found.join(background, on="semel_mosad").join(
            pl.concat([seen, wanted]).group_by(MEAN_GROUP).agg(level), on=MEAN_GROUP
        )
        line = pl.col("level") + SLOPE * (pl.col("background") - 6)
        rows = rows.with_columns(
            ((pl.col("gap_expected_sd") - line) / pl.col("gap_expected_se_sd")).alias("z")
        )
        away.append((rows["z"] ** 2).mean())
    # The level is known only up to the schools' own mean, so a little less than 1.
    assert 0.6 <= np.mean(away) <= 1.2


def test_without_differences_in_background_a_slope_is_not_known():
    seen, wanted, background = sloped(2, years=1, subjects=1)
    flat = background.with_columns(
        pl.when(pl.col("semel_mosad").is_in(wanted["semel_mosad"].implode()))
        .then(pl.lit(9.0))
        .otherwise(pl.lit(5.0))
        .alias("background")
    )
    found = similar_gaps(seen.drop("background"), wanted, flat, TRUE)
    assert (found["gap_expected_se_sd"] > 3).all()


def test_what_nothing_is_known_of_is_absent():
    seen, wanted, background = sloped(3, schools=12, years=2, subjects=1)
    first = wanted["semel_mosad"].min()
    unknown = background.with_columns(
        pl.when(pl.col("semel_mosad") == first)
        .then(None)
        .otherwise("background")
        .alias("background")
    )
    found = similar_gaps(
        seen.drop("background").filter(pl.col("school_year") == 2020), wanted, unknown, TRUE
    )
    assert set(found["school_year"]) == {2020}
    assert first not in found["semel_mosad"].to_list()
    nothing = similar_gaps(seen.drop("background"), wanted.clear(), background, TRUE)
    assert nothing.is_empty()
    assert nothing.columns == found.columns


def test_the_order_of_the_rows_decides_nothing():
    seen, wanted, background = sloped(4, schools=12, years=2, subjects=2)
    found = similar_gaps(seen.drop("background"), wanted, background, TRUE)
    mixed = similar_gaps(
        seen.drop("background").sample(fraction=1, shuffle=True, seed=1),
        wanted.reverse(),
        background.reverse(),
        TRUE.reverse(),
    )
    assert mixed.equals(found)


def test_other_scales_do_not_move_the_line():
    seen, wanted, background = sloped(5, schools=12, years=1, subjects=1)
    plain = similar_gaps(seen.drop("background"), wanted, background, TRUE)
    other = seen.drop("background").with_columns(
        pl.lit("OTHER").alias("scale_id"), -pl.col("gap_raw_sd")
    )
    both = pl.concat([seen.drop("background"), other])
    assert similar_gaps(both, wanted, background, TRUE).equals(plain)
    with pytest.raises(ValueError, match="cells repeat"):
        similar_gaps(pl.concat([both, other]), wanted, background, TRUE)
