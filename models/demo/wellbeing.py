"""Beyond tests: absence, leaving, climate and informal activity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.programmes import RESPONSE_IDS
from models.demo.streams import Streams

_CELL = ["school", "semel_mosad", "school_year", "grade"]


def _takes_part(
    described: pl.DataFrame, participation: pl.DataFrame, response_id: str
) -> np.ndarray:
    chosen = participation.filter(pl.col("response_id") == response_id)["pupil"]
    return described["pupil"].is_in(chosen.implode()).to_numpy()


def expected_absence(
    described: pl.DataFrame,
    participation: pl.DataFrame,
    schools: pl.DataFrame,
    factors: Mapping[str, float],
    streams: Streams,
) -> np.ndarray:
    """Return the days of absence to be expected of each pupil of one year.

    `factors` says what each response leaves of its participants' absence.
    """
    of_school = streams("absence_schools").normal(0, spec.ABSENCE_SCHOOL_SD, len(schools))
    planted = (schools["cause"] == "absence").fill_null(False).to_numpy()
    of_school = of_school + spec.CAUSE_ABSENCE_DAYS * planted
    mean = spec.ABSENCE_MEAN + of_school[described["school"].to_numpy()]
    mean += spec.ABSENCE_PER_DECILE * (described["decile"].to_numpy() - spec.CENTRE_DECILE)
    mean = np.maximum(mean, 2.0)
    for response_id, factor in factors.items():
        mean[_takes_part(described, participation, response_id)] *= factor
    return mean


def attendance_file(
    described: pl.DataFrame, expected: np.ndarray, year: int, streams: Streams
) -> pl.DataFrame:
    """Return one year's absences (contract of `attendance__pupil_years`, raw pupil ids)."""
    rng = streams(f"absence_{year}")
    days = rng.negative_binomial(spec.ABSENCE_K, spec.ABSENCE_K / (spec.ABSENCE_K + expected))
    days = np.minimum(days, spec.SCHOOL_DAYS)
    return described.select(
        "pupil_id",
        "school_year",
        "semel_mosad",
        school_days=pl.lit(spec.SCHOOL_DAYS, pl.Int64),
        absence_days=pl.Series(days),
        absence_days_justified=pl.Series(rng.binomial(days, spec.JUSTIFIED_SHARE)),
    )


def exits_file(described: pl.DataFrame, exits: pl.DataFrame) -> pl.DataFrame:
    """Return who left during one year, and where to (contract of `attendance__exits`)."""
    return (
        described.join(exits, on=["school_year", "pupil"])
        .select("pupil_id", "school_year", "semel_mosad", "grade", "destination")
        .sort("pupil_id")
    )


def entries_file(
    described: pl.DataFrame, before: pl.DataFrame, year: int, streams: Streams
) -> pl.DataFrame:
    """Return who joined a school during the year or for it, grade 1 apart.

    Contract of `attendance__entries`. A pupil who sat in another school of the city the year before
    comes from the same city; where the others come from is drawn.
    """
    earlier = before.select("pupil", came_from="school")
    joined = (
        described.join(earlier, on="pupil", how="left")
        .filter((pl.col("grade") > 1) & (pl.col("came_from") != pl.col("school")).fill_null(True))
        .sort("pupil_id")
    )
    drawn = streams(f"entries_{year}").random(len(joined))
    elsewhere = np.select([drawn < 0.75, drawn < 0.9], ["other_city", "abroad"], "unknown")
    return joined.select(
        "pupil_id",
        "school_year",
        "semel_mosad",
        "grade",
        origin=pl.when(pl.col("came_from").is_not_null())
        .then(pl.lit("same_city"))
        .otherwise(pl.Series(elsewhere)),
    )


def expected_climate(
    described: pl.DataFrame,
    participation: pl.DataFrame,
    schools: pl.DataFrame,
    effect_factor: float,
    streams: Streams,
) -> np.ndarray:
    """Return the percent of pupils to be expected to agree: school × facet."""
    facets = list(spec.CLIMATE_MEAN)
    base = np.array(list(spec.CLIMATE_MEAN.values())) + streams("climate_schools").normal(
        0, spec.CLIMATE_SCHOOL_SD, (len(schools), len(facets))
    )
    nurture = schools["nurture"].to_numpy()
    base += spec.CLIMATE_PER_NURTURE * (nurture - spec.CENTRE_DECILE)[:, None]
    base[(schools["cause"] == "climate").fill_null(False).to_numpy()] += spec.CAUSE_CLIMATE_POINTS
    turnover = (schools["cause"] == "teacher_turnover").fill_null(False).to_numpy()
    base[turnover, facets.index("teaching")] += spec.CAUSE_TEACHING_POINTS
    size = np.bincount(described["school"].to_numpy(), minlength=len(schools))
    for response_id, (facet, points) in spec.CLIMATE_EFFECT.items():
        inside = described["school"].to_numpy()[_takes_part(described, participation, response_id)]
        share = np.bincount(inside, minlength=len(schools)) / np.maximum(size, 1)
        base[:, facets.index(facet)] += effect_factor * points * share
    return base.clip(2, 98)


def climate_file(
    described: pl.DataFrame,
    expected: np.ndarray,
    schools: pl.DataFrame,
    year: int,
    streams: Streams,
) -> pl.DataFrame:
    """Return one year's climate survey (contract of `climate__facets`)."""
    facets = list(spec.CLIMATE_MEAN)
    cells = (
        described.filter(pl.col("grade").is_in(spec.CLIMATE_GRADES))
        .group_by(_CELL)
        .agg(eligible_pupils=pl.len().cast(pl.Int64), classes=pl.col("classes").first())
        .sort(_CELL)
    )
    rng = streams(f"climate_{year}")
    school = cells["school"].to_numpy()
    rate = schools["stream"].replace_strict(spec.RESPONSE_RATE).to_numpy().copy()
    rate[(schools["label"] == spec.LOW_RESPONSE_SCHOOL).to_numpy()] = spec.LOW_RESPONSE_RATE
    respondents = np.maximum(rng.binomial(cells["eligible_pupils"].to_numpy(), rate[school]), 1)
    class_sd = spec.CLIMATE_CLASS_SD / np.sqrt(cells["classes"].to_numpy())
    share = expected[school] + rng.normal(0, 1, (len(cells), len(facets))) * class_sd[:, None]
    agree = rng.binomial(respondents[:, None], np.clip(share, 2, 98) / 100)
    agree_pct = (100 * agree / respondents[:, None]).round(1)
    return pl.concat(
        cells.select(
            "semel_mosad",
            "school_year",
            "grade",
            facet=pl.lit(facet),
            agree_pct=pl.Series(agree_pct[:, column]),
            respondents=pl.Series(respondents),
            eligible_pupils="eligible_pupils",
        )
        for column, facet in enumerate(facets)
    ).sort("semel_mosad", "grade", "facet")


def informal_file(
    described: pl.DataFrame,
    participation: pl.DataFrame,
    areas: pl.DataFrame,
    runs: np.ndarray,
    effect_factor: float,
    year: int,
    streams: Streams,
) -> pl.DataFrame:
    """Return one year's informal activities (contract of `informal__participation`).

    Pupils whose club is subsidised take part in a club and pay half its fee.
    """
    of_area = dict(
        zip(
            areas["stat_area"].to_list(),
            streams("informal_areas").normal(0, spec.INFORMAL_AREA_SD, len(areas)),
            strict=True,
        )
    )
    rng = streams(f"informal_{year}")
    n = len(described)
    offered = runs[RESPONSE_IDS.index("informal_clubs")][described["school"].to_numpy()]
    logit = (
        spec.INFORMAL_AT_CENTRE
        + spec.INFORMAL_PER_DECILE * (described["decile"].to_numpy() - spec.CENTRE_DECILE)
        + described["stat_area"].replace_strict(of_area).to_numpy()
        + effect_factor * spec.INFORMAL_SUBSIDY_LOGIT * offered
    )
    subsidised = _takes_part(described, participation, "informal_clubs")
    takes_part = rng.random(n) < 1 / (1 + np.exp(-logit))
    # Subsidised places go to pupils who would take part anyway as often as to others, so that
    # participation follows the logit: a place taken by one pupil is given up by another.
    takes_part = _hand_over(takes_part, subsidised, described["school"].to_numpy(), rng)
    names = list(spec.ACTIVITIES)
    share = np.cumsum([share for share, _, _ in spec.ACTIVITIES.values()])
    first = np.searchsorted(share, rng.random(n) * share[-1])
    first[subsidised] = names.index("club")
    second = (first + rng.integers(1, len(names), n)) % len(names)
    has_second = takes_part & (rng.random(n) < spec.SECOND_ACTIVITY_SHARE)
    low, high = (np.array([band[i] for band in spec.ACTIVITIES.values()]) for i in (1, 2))
    parts = []
    for activity, active in ((first, takes_part), (second, has_second)):
        fee = np.rint(rng.uniform(low[activity], high[activity]) / 10) * 10
        fee = np.where(subsidised & (activity == names.index("club")), fee / 2, fee)
        parts.append(
            described.select(
                "pupil_id",
                "school_year",
                "semel_mosad",
                activity=pl.Series(np.array(names)[activity]),
                monthly_fee_nis=pl.Series(fee),
            ).filter(pl.Series(active))
        )
    return pl.concat(parts).sort("semel_mosad", "pupil_id", "activity")


def _hand_over(
    takes_part: np.ndarray, must: np.ndarray, school: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Let everyone in `must` take part, and as many others of the same school stop."""
    result = takes_part | must
    gained = np.bincount(school[must & ~takes_part], minlength=school.max(initial=0) + 1)
    others = np.flatnonzero(takes_part & ~must)
    others = others[np.lexsort((rng.random(len(others)), school[others]))]
    start = np.searchsorted(school[others], school[others])
    result[others[np.arange(len(others)) - start < gained[school[others]]]] = False
    return result
