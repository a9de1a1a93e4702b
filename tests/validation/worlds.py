"""Worlds whose truth is known: where an effect is easily seen that is none, and clean ones.

Each world is drawn by a generator of random numbers and an effect planted on who takes part, in
pupil SD, and gives the estimates that the product would make of it. A verdict comes out of the
product's own chain.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.effects import combine, design_frame, local_estimates, lottery, panel, verdicts
from models.effects.threshold import threshold

KEY = ("response", "math")
PLANTED_SD = 0.15
PRIOR = pl.DataFrame(
    {
        "response_id": ["response"],
        "subject": ["math"],
        "prior_sd": [0.10],
        "prior_se_sd": [0.10],
        "transport_discount": [1.0],
    }
)
TARGET = PRIOR.select("response_id", "subject")
SCHOOL_SPREAD_SD = 0.05


@dataclass(frozen=True)
class World:
    """A world: its name, its design, how it is drawn, and what is asked of it.

    Attributes:
        name: in a line of the table.
        design: which design looks at it.
        draw: estimate from a generator of random numbers and the planted effect.
        power: share of worlds with PLANTED_SD called effective before verdicts obeyed doubts (1,000
            replications); None where the world is not clean.
    """

    name: str
    design: str
    draw: Callable
    power: float | None = None


def judged(world, seed, effect):
    """Return the row of the verdict in one drawing of a world, and its estimate."""
    estimate = world.draw(np.random.default_rng(seed), effect)
    designs = design_frame({(*KEY, world.design): estimate}, school_spread_sd=SCHOOL_SPREAD_SD)
    posterior = combine(PRIOR, local_estimates(designs))
    return verdicts(posterior, TARGET).row(0, named=True), estimate


def schools(*, before, after=1, served=10, count=36, noise=0.155, rise=0.0, slope_sd=0.0, by="lot"):
    """Return a drawing of schools by year; `by` ranks who is served.

    Levels last (SD .24) and vary by year (`noise`: one grade of some 60 pupils and the year's own).
    `rise` is a trend of the served schools alone, `slope_sd` the spread of every school's trend.
    """

    def draw(rng, effect):
        years = np.arange(before + after)
        slope = rng.normal(0, 1, count) * slope_sd
        level = rng.normal(0, 0.24, count)[:, None] + rng.normal(0, noise, (count, len(years)))
        level += slope[:, None] * years
        rank = {
            "lot": rng.normal(0, 1, count),
            "last": level[:, before - 1],
            "slope": -slope,
            "half_slope": -(slope / max(slope_sd, 1e-9) + np.sqrt(3) * rng.normal(0, 1, count)),
        }[by]
        is_served = np.isin(np.arange(count), np.argsort(rank)[:served])
        level += is_served[:, None] * (rise * years + effect * (years >= before))
        cells = pl.DataFrame(
            {
                "semel_mosad": np.repeat([f"9{i:05d}" for i in range(count)], len(years)),
                "school_year": np.tile(2020 + years, count).astype(np.int32),
                "outcome_sd": level.ravel(),
                "pupils": 60,
                "served_share": np.outer(is_served, years >= before).astype(float).ravel(),
                "started_year": [
                    2020 + before if s else None for s in np.repeat(is_served, len(years))
                ],
            },
            schema_overrides={"started_year": pl.Int32},
        )
        return replace(panel(cells, seed=1, draws=199), schools=served)

    return draw


def drawn_by_lot(*, schools=10, entrants=60, lost="nobody", shock=0.0, places=0.5, by="unit"):
    """Return a drawing of pupils of some schools whose places went by lot.

    `lost` says who misses the test: `weak_treated` the weakest eighth of the treated,
    `opposite_ends` an eighth of the weakest treated and of the strongest others. `shock` is common
    to the participants of a school. `by` names the clusters.
    """

    def draw(rng, effect):
        n = schools * entrants
        school = np.repeat(np.arange(schools), entrants)
        offered = np.concatenate(
            [rng.permutation(entrants) < places * entrants for _ in range(schools)]
        )
        ability = rng.normal(0, 1, n)
        outcome = 0.8 * ability + rng.normal(0, 0.6, n) + offered * effect
        outcome += offered * rng.normal(0, shock, schools)[school]
        missing = np.zeros(n, dtype=bool)
        if lost != "nobody":
            missing |= offered & (ability < np.quantile(ability, 1 / 8))
        if lost == "opposite_ends":
            missing |= ~offered & (ability > np.quantile(ability, 7 / 8))
        entrants_frame = pl.DataFrame(
            {
                "unit": np.arange(n),
                "stratum": school,
                "school": school,
                "is_offered": offered,
                "dose": offered.astype(float),
                "before": 0.8 * ability + rng.normal(0, 0.6, n),
                "outcome_sd": np.where(missing, np.nan, outcome),
            }
        ).with_columns(pl.col("outcome_sd").fill_nan(None))
        found = lottery(entrants_frame, covariates=["before"], cluster=by, seed=1, draws=19)
        return replace(found, schools=schools)

    return draw


def by_score(*, schools=10, entrants=150):
    """Return a drawing of pupils whose places went to the lowest scores."""

    def draw(rng, effect):
        n = schools * entrants
        ability = rng.normal(0, 1, n)
        running = 0.8 * ability + rng.normal(0, 0.6, n)
        dose = (running <= 0).astype(float)
        pupils = pl.DataFrame(
            {
                "unit": np.arange(n),
                "stratum": np.repeat(np.arange(schools), entrants),
                "running": running,
                "dose": dose,
                "outcome_sd": 0.8 * ability + rng.normal(0, 0.6, n) + dose * effect,
            }
        )
        return replace(threshold(pupils), schools=schools)

    return draw


# Power before: the code of November 2026, as it was before this table, over 400 drawings each.
SHARED = {"schools": 6, "by": "school"}
WORLDS = (
    World("chosen at random, 1 earlier year", "panel", schools(before=1), 0.405),
    World("chosen at random, 3 earlier years", "panel", schools(before=3), 0.68),
    World("chosen at random, 5 earlier years", "panel", schools(before=5), 0.735),
    World("18 of 36 at random, 5 earlier years", "panel", schools(before=5, served=18), 0.802),
    World("lowest in the only earlier year", "panel", schools(before=1, by="last")),
    World("the same, 360 schools", "panel", schools(before=1, by="last", count=360, served=100)),
    World("lowest last year, 4 earlier years", "panel", schools(before=4, by="last")),
    World("three schools, 1 earlier year", "panel", schools(before=1, by="last", served=3)),
    World("steady rise, 3 earlier years", "panel", schools(before=3, rise=0.05)),
    World("steady rise, 5 earlier years", "panel", schools(before=5, rise=0.05)),
    World("chosen by slope, SD .03", "panel", schools(before=5, slope_sd=0.03, by="slope")),
    World("chosen by slope, SD .05", "panel", schools(before=5, slope_sd=0.05, by="slope")),
    World("half by slope, SD .05", "panel", schools(before=5, slope_sd=0.05, by="half_slope")),
    World("lottery", "lottery", drawn_by_lot(), 0.87),
    World("lottery, by school", "lottery", drawn_by_lot(by="school"), 0.87),
    World("pairs", "lottery", drawn_by_lot(schools=250, entrants=2), 0.798),
    World("weak participants untested", "lottery", drawn_by_lot(lost="weak_treated")),
    World("equal loss at opposite ends", "lottery", drawn_by_lot(lost="opposite_ends")),
    World("common shock .15, 6 schools", "lottery", drawn_by_lot(**SHARED, shock=0.15)),
    World("common shock .25, 6 schools", "lottery", drawn_by_lot(**SHARED, shock=0.25)),
    World("threshold", "threshold", by_score(), 0.418),
)
