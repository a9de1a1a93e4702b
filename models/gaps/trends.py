"""Where gaps are going: a slope that no change of the ruler can move."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

from models.cells import component_variances
from models.checks import every_row

SLOPE_PRIOR_SD = 0.05  # per year; a lasting change of .1 SD a year is already remarkable
_LEVEL_PRIOR_SD = 10.0  # says nothing about a level


def trends(
    yearly: pl.DataFrame,
    forecast_year: int,
    *,
    slope_prior_sd: float = SLOPE_PRIOR_SD,
    level: float = 0.90,
) -> pl.DataFrame:
    """Return the yearly change of each place's gap, and a forecast, with breaks kept apart.

    Model, for one place and subject, year t in segment s (years whose scales are linked):

        gap[t] = level[s] + slope·(t - last year) + error[t],   error ~ N(0, se²),   slope ~ N(0,
        prior²)

    Each segment has its own level, so a new scale or test form moves no slope; years on the two
    sides of a break inform the one slope together. The prior keeps two noisy years from making a
    trend. The forecast is the last segment's level carried on; its interval holds the error of a
    new year.

    Args:
        yearly: place, subject, school_year, segment, gap_sd, gap_lasting_se_sd (pupil SD, > 0).
        forecast_year: school year of the forecast.
        slope_prior_sd: standard deviation of a usual lasting change, pupil SD per year.
        level: probability of the intervals.

    Returns:
        place, subject, years (number), segments (number), last_year, slope_sd (pupil SD per year),
        slope_lo_sd, slope_hi_sd, p_worsening, trend (worsening | improving | cannot_tell; null with
        one year per segment), forecast_year, forecast_sd, forecast_lo_sd, forecast_hi_sd; sorted.

    Raises:
        ValueError: if an error is not positive, or the prior is not.

    Source: R46; domain_methods §2a.
    """
    if slope_prior_sd <= 0:
        raise ValueError(f"the prior of the slope must be positive, not {slope_prior_sd:g}")
    known = pl.col("gap_lasting_se_sd").is_finite() & (pl.col("gap_lasting_se_sd") > 0)
    every_row(yearly, known, "each yearly gap needs a positive error (gap_lasting_se_sd)")
    reach = float(norm.ppf(0.5 + level / 2))
    rows = []
    ordered = yearly.sort("place", "subject", "school_year", "segment")
    for (place, subject), part in ordered.group_by("place", "subject", maintain_order=True):
        segments = part["segment"].unique(maintain_order=True).to_list()
        last = int(part["school_year"].max())  # type: ignore[arg-type]
        years = part["school_year"].to_numpy().astype(float) - last
        design = np.column_stack(
            [*((part["segment"] == name).to_numpy().astype(float) for name in segments), years]
        )
        error = part["gap_lasting_se_sd"].to_numpy()
        prior = np.diag([_LEVEL_PRIOR_SD**-2] * len(segments) + [slope_prior_sd**-2])
        scaled = design / error[:, None] ** 2
        covariance = np.linalg.inv(design.T @ scaled + prior)
        coefficients = covariance @ (scaled.T @ part["gap_sd"].to_numpy())
        slope, spread = float(coefficients[-1]), float(np.sqrt(covariance[-1, -1]))
        worse = float(norm.cdf(slope / spread))
        ahead = np.zeros(len(coefficients))
        newest = segments.index(_newest(part))
        ahead[newest], ahead[-1] = 1.0, forecast_year - last
        centre = float(ahead @ coefficients)
        doubt = float(
            np.sqrt(ahead @ covariance @ ahead + _year_error(part, segments[newest]) ** 2)
        )
        years_by_segment = part.group_by("segment").agg(pl.col("school_year").n_unique())
        is_seen = bool((years_by_segment["school_year"] > 1).any())
        rows.append(
            (
                place,
                subject,
                part["school_year"].n_unique(),
                len(segments),
                last,
                *(
                    (slope, slope - reach * spread, slope + reach * spread, worse)
                    if is_seen
                    else (None,) * 4
                ),
                _trend(worse) if is_seen else None,
                forecast_year,
                centre,
                centre - reach * doubt,
                centre + reach * doubt,
            )
        )
    return pl.DataFrame(rows, schema=_TRENDS, orient="row")


_TRENDS = {
    "place": pl.String,
    "subject": pl.String,
    "years": pl.Int32,
    "segments": pl.Int32,
    "last_year": pl.Int32,
    "slope_sd": pl.Float64,
    "slope_lo_sd": pl.Float64,
    "slope_hi_sd": pl.Float64,
    "p_worsening": pl.Float64,
    "trend": pl.String,
    "forecast_year": pl.Int32,
    "forecast_sd": pl.Float64,
    "forecast_lo_sd": pl.Float64,
    "forecast_hi_sd": pl.Float64,
}
_SURE = 0.95


def _year_error(part: pl.DataFrame, segment: str) -> float:
    """Return the error of one more year, taken to be that of the segment's last."""
    return float(part.filter(pl.col("segment") == segment)["gap_lasting_se_sd"][-1])


def _newest(part: pl.DataFrame) -> str:
    """Return the segment of the last year; of several, the one best measured."""
    last = part.filter(pl.col("school_year") == pl.col("school_year").max())
    return str(last.sort("gap_lasting_se_sd", "segment")["segment"][0])


def _trend(p_worsening: float) -> str:
    if p_worsening >= _SURE:
        return "worsening"
    return "improving" if p_worsening <= 1 - _SURE else "cannot_tell"


def school_years(cells: pl.DataFrame, components: pl.DataFrame) -> pl.DataFrame:
    """Return how each school departs from the city, by subject and year: input for `trends`.

    The departure is the tested-pupil mean of gap - city's mean of the same scale, grade and year,
    so neither a new scale nor a change in which grades are tested looks like a change of the
    school. Its error holds the school-year components.

    Args:
        cells: semel_mosad, subject, grade, school_year, scale_id, gap_raw_sd, gap_sampling_sd,
            tested_pupils.
        components: component, component_sd.

    Returns:
        place (semel_mosad), subject, school_year, segment (one for all), gap_sd, gap_lasting_se_sd;
        sorted.
    """
    yearly = component_variances(components)[2:].sum()
    group = ["scale_id", "subject", "grade", "school_year"]
    n, gap = pl.col("tested_pupils").cast(pl.Float64), pl.col("gap_raw_sd")
    measured = cells.filter(gap.is_not_null()).sort("semel_mosad", *group)
    centred = measured.with_columns(
        (gap - (n * gap).sum().over(group) / n.sum().over(group)).alias("departure")
    )
    share = n / n.sum()
    return (
        centred.group_by("semel_mosad", "subject", "school_year", maintain_order=True)
        .agg(
            (share * pl.col("departure")).sum().alias("gap_sd"),
            ((share * pl.col("gap_sampling_sd")) ** 2).sum().alias("sampling"),
        )
        .select(
            pl.col("semel_mosad").alias("place"),
            "subject",
            "school_year",
            pl.lit("city").alias("segment"),
            "gap_sd",
            (pl.col("sampling") + yearly).sqrt().alias("gap_lasting_se_sd"),
        )
        .sort("place", "subject", "school_year")
    )
