"""Whole authority or part of it; all subjects or one (R38, R39)."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

from models.cells import MEAN_GROUP, component_variances, measured_cells
from models.gaps import tiers
from models.gaps.blocks import solve_means, stacks

# That a gap matters, being wider than the margin, is asked with this; that a school lies below its
# target at all, with `tiers.SURE`, the one meaning of "surely below".
SURE = 0.90


def whole_or_part(
    schools: pl.DataFrame,
    city: pl.DataFrame,
    components: pl.DataFrame,
    *,
    margin_sd: float = 0.10,
    most: float = 0.5,
    level: float = 0.90,
) -> pl.DataFrame:
    """Answer, by subject, whether the whole authority is below its target, or only part of it.

    Three things are asked of the data: whether the city's mean is below target by more than a
    margin that matters, how many schools are, and whether schools differ lastingly at all (SD of
    school and school × subject together above the margin). Without the last, the schools that
    happen to lie below in these years are those of a year's luck. The number of schools below is Σ
    P(gap > margin), with the variance Σ P(1 - P) (Poisson–binomial, normal approximation).

        whole_authority  the mean is surely below, and so are more than `most` of the schools
        part             the mean is not surely below, schools differ lastingly, some are below
        nowhere          the mean is surely not below; no school surely is, or none differs
        cannot_tell      otherwise, and where so few schools are measured that it is not known
                         whether they differ

    Args:
        schools: semel_mosad, subject, gap_sd, gap_se_sd of `school_gaps` (unmeasured rows are left
            out).
        city: subject, gap_sd, gap_se_sd of `city_gaps`.
        components: component, component_sd of `fit_components`.
        margin_sd: smallest gap that matters, pupil SD.
        most: share of schools that makes it a matter of the whole authority.
        level: probability of the interval of the number of schools.

    Returns:
        subject, schools_measured, city_gap_sd, p_city_below, schools_below, schools_below_lo,
        schools_below_hi (expected schools beyond the margin), schools_surely_below (in the tier of
        that name, without a margin), spread_sd (SD of the schools' true gaps), pattern; sorted by
        subject.

    Source: R38; domain_methods §2a ("whole or part").
    """
    z = (pl.col("gap_sd") - margin_sd) / pl.col("gap_se_sd")
    below = schools.filter(pl.col("gap_sd").is_not_null()).with_columns(
        z.map_batches(lambda s: pl.Series(norm.cdf(s.to_numpy()))).alias("p"),
        (pl.col("gap_sd") / pl.col("gap_se_sd"))
        .map_batches(lambda s: pl.Series(norm.cdf(s.to_numpy())))
        .alias("p_below"),
    )
    # The spread of true gaps is that of their estimates plus the doubt that is left in each.
    by_subject = (
        below.sort("subject", "semel_mosad")
        .group_by("subject", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int32).alias("schools_measured"),
            pl.col("p").sum().alias("schools_below"),
            (pl.col("p") * (1 - pl.col("p"))).sum().sqrt().alias("doubt"),
            (pl.col("p") >= SURE).sum().alias("beyond"),
            (pl.col("p_below") >= tiers.SURE).sum().cast(pl.Int32).alias("schools_surely_below"),
            (pl.col("gap_sd").var(ddof=1).fill_null(0.0) + (pl.col("gap_se_sd") ** 2).mean())
            .sqrt()
            .alias("spread_sd"),
        )
    )
    city_z = (pl.col("city_gap_sd") - margin_sd) / pl.col("gap_se_sd")
    joined = by_subject.join(
        city.select("subject", pl.col("gap_sd").alias("city_gap_sd"), "gap_se_sd"), on="subject"
    ).with_columns(
        city_z.map_batches(lambda s: pl.Series(norm.cdf(s.to_numpy()))).alias("p_city_below")
    )
    reach = float(norm.ppf(0.5 + level / 2))
    share = pl.col("schools_below") / pl.col("schools_measured")
    differ = bool(np.sqrt(component_variances(components)[:2].sum()) > margin_sd)
    known = components["component_sd"].is_not_null().all()
    some = (pl.col("beyond") > 0) & differ
    return joined.select(
        "subject",
        "schools_measured",
        "city_gap_sd",
        "p_city_below",
        "schools_below",
        (pl.col("schools_below") - reach * pl.col("doubt")).clip(0.0).alias("schools_below_lo"),
        pl.min_horizontal(
            pl.col("schools_below") + reach * pl.col("doubt"),
            pl.col("schools_measured").cast(pl.Float64),
        ).alias("schools_below_hi"),
        "schools_surely_below",
        "spread_sd",
        pl.when((pl.col("p_city_below") >= SURE) & (share > most))
        .then(pl.lit("whole_authority"))
        .when(pl.lit(not known))
        .then(pl.lit("cannot_tell"))
        .when((pl.col("p_city_below") < SURE) & some)
        .then(pl.lit("part"))
        .when((pl.col("p_city_below") <= 1 - SURE) & ~some)
        .then(pl.lit("nowhere"))
        .otherwise(pl.lit("cannot_tell"))
        .alias("pattern"),
    ).sort("subject")


def general_or_subject(
    places: pl.DataFrame,
    *,
    margin_sd: float = 0.10,
    sure: float = SURE,
) -> pl.DataFrame:
    """Answer, for a place, whether its gap is general or shows in some subjects only.

    A subject is below where P(gap > margin) ≥ sure, at target where it is ≤ 1 - sure. `general`:
    all measured subjects are below, or most are and none is surely at target; `one_subject` /
    `some_subjects`: one or several are below while another is surely not; `none`: no subject is
    below and none is in doubt; `cannot_tell` otherwise, and where fewer than two subjects are
    measured.

    Args:
        places: place (any key, for example semel_mosad), subject (without "all"), gap_sd,
            gap_se_sd.
        margin_sd: smallest gap that matters, pupil SD.
        sure: probability that counts as sure.

    Returns:
        place, subjects_measured, subjects_below (comma-separated, alphabetical; empty if none),
        subject_pattern; sorted by place.

    Source: R39.
    """
    known = places.filter(pl.col("gap_sd").is_not_null()).sort("place", "subject")
    z = (pl.col("gap_sd") - margin_sd) / pl.col("gap_se_sd")
    marked = known.with_columns(
        z.map_batches(lambda s: pl.Series(norm.cdf(s.to_numpy()))).alias("p")
    )
    below, above = pl.col("p") >= sure, pl.col("p") <= 1 - sure
    counted = marked.group_by("place", maintain_order=True).agg(
        pl.len().cast(pl.Int32).alias("subjects_measured"),
        pl.col("subject").filter(below).str.join(",").alias("subjects_below"),
        below.sum().alias("low"),
        above.sum().alias("high"),
    )
    total, low, high = pl.col("subjects_measured"), pl.col("low"), pl.col("high")
    return counted.select(
        "place",
        "subjects_measured",
        "subjects_below",
        pl.when(total < 2)
        .then(pl.lit("cannot_tell"))
        .when((low == total) | ((low * 2 > total) & (high == 0)))
        .then(pl.lit("general"))
        .when((low == 1) & (high > 0))
        .then(pl.lit("one_subject"))
        .when((low > 1) & (high > 0))
        .then(pl.lit("some_subjects"))
        .when(high == total)
        .then(pl.lit("none"))
        .otherwise(pl.lit("cannot_tell"))
        .alias("subject_pattern"),
    ).sort("place")


def variance_shares(cells: pl.DataFrame, components: pl.DataFrame) -> pl.DataFrame:
    """Return which share of the differences between raw gaps comes from what.

    To the components of schools come those that all schools share: subjects and grades, as the main
    effects of a least-squares fit of the means μ[s,k,g,t] on subject, grade and scale-year (the
    variance of the estimated effects less that of their errors), and the residual, which is the
    mean sampling variance of a cell.

    Args:
        cells: as for `fit_components`.
        components: component, component_sd of `fit_components`.

    Returns:
        component (those of `COMPONENTS`, subject, grade, residual), component_sd (pupil SD),
        variance_share_pct (they sum to 100); null where the components are not known.

    Source: Searle, Casella & McCulloch (1992), ch. 5; R39.
    """
    measured = measured_cells(cells)
    found = dict.fromkeys(("subject", "grade", "residual"))
    if components["component_sd"].is_not_null().all():
        solved = solve_means(list(stacks(measured)), component_variances(components))
        groups = measured.select(MEAN_GROUP).unique().sort(MEAN_GROUP)
        parts = [
            groups.select(pl.struct(names).rank("dense")).to_series().to_dummies().to_numpy()
            for names in (["subject"], ["grade"], ["scale_id", "school_year"])
        ]
        effects = np.linalg.pinv(np.hstack(parts).astype(float))
        for name, start, levels in (
            ("subject", 0, parts[0].shape[1]),
            ("grade", parts[0].shape[1], parts[1].shape[1]),
        ):
            own = effects[start : start + levels]
            own = own - own.mean(axis=0)
            chance = np.trace(own @ solved.covariance @ own.T)
            square = ((own @ solved.fixed) ** 2).sum() - chance
            found[name] = float(np.sqrt(max(square, 0.0) / levels))
        found["residual"] = float(np.sqrt((measured["gap_sampling_sd"].to_numpy() ** 2).mean()))
    square = pl.col("component_sd") ** 2
    return pl.concat(
        [
            components.select("component", "component_sd"),
            pl.DataFrame(
                {"component": list(found), "component_sd": list(found.values())},
                schema={"component": pl.String, "component_sd": pl.Float64},
            ),
        ]
    ).with_columns(variance_share_pct=100 * square / square.sum())
