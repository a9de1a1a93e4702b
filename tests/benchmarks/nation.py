"""The country's elementary schools as one allocation: real schools, real need, planning costs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from models.allocation import Overlap, Problem
from models.allocation.problem.rule import Rule
from models.allocation.rules.choice import EverySchoolServed, Exclusive, SchoolCapacity
from models.allocation.rules.money import SchoolFloor
from models.allocation.rules.pooling import Together
from models.allocation.rules.shares import EXCELLENCE, MoneyShare
from models.apportionment import split_by_share
from pipelines.settings.policy_defaults import whole_policy

POLICY = Path(__file__).parents[2] / "pipelines/demo/policy.yaml"
SUBJECTS = {"H": "hebrew", "M": "math", "E": "english", "S": "science"}
ELEMENTARY_GRADE = 5
SCALE_MEAN, SCALE_SD = 500, 100  # of pupils in the base year 2008 (RAMA)
DOSES = {1: (0.5, 0.62), 2: (0.75, 0.82), 3: (1.0, 1.0)}
GEFEN_AGOROT_PER_PUPIL = 40_000
TYPICAL_PUPILS = 350


def schools(shared_data: Path) -> pl.DataFrame:
    """2,600 schools, those with a grade-5 result first: code, name, pupils, need, is_measured.

    Need is the gap of the subjects' latest scores below the scale's mean, from 0 at one pupil SD
    above it to 1 at one below. A school without a result is not measured: it is marked, and has the
    mean need of the measured schools of its nurture quintile (0.5 where that is not known either),
    so that a plan of full size can be timed. Pupils are those of 2014/15; a school that is not in
    that file counts as typical.
    """
    israel = shared_data / "israel"
    scores = israel / "rama_meitzav_scores_background"
    results = (
        pl.read_csv(scores / "school_results.utf8.csv")
        .filter(pl.col("shichva") == ELEMENTARY_GRADE)
        .drop_nulls("score")
    )
    gaps = (
        results.sort("semel_mosad", "subject_id", "year")
        .group_by("semel_mosad", "subject_id", maintain_order=True)
        .agg(pl.col("score").last())
        .group_by("semel_mosad", maintain_order=True)
        .agg(gap=(SCALE_MEAN - pl.col("score").mean()) / SCALE_SD)
    )
    names = pl.read_csv(scores / "school_background_info.utf8.csv").select(
        "semel_mosad", school_name_he="shem_mosad"
    )
    sizes = pl.read_csv(
        israel / "moe_school_budget_2014_15" / "budget_clean.csv",
        columns=["semel", "students_regular", "students_special", "nurture_quintile"],
    ).select(
        "nurture_quintile",
        semel_mosad="semel",
        pupils=(pl.col("students_regular").fill_null(0) + pl.col("students_special").fill_null(0)),
    )
    own = ((pl.col("gap") + 1) / 2).clip(0, 1)
    return (
        names.join(gaps, on="semel_mosad", how="left")
        .join(
            sizes.unique("semel_mosad", keep="first", maintain_order=True),
            on="semel_mosad",
            how="left",
        )
        .sort(pl.col("gap").is_null(), "semel_mosad")
        .head(2600)
        .select(
            pl.col("semel_mosad").cast(pl.String),
            pl.col("school_name_he").fill_null("-"),
            pl.col("pupils").cast(pl.Int64).fill_null(TYPICAL_PUPILS).clip(lower_bound=20),
            need=pl.coalesce(own, own.mean().over("nurture_quintile"), pl.lit(0.5)),
            is_measured=pl.col("gap").is_not_null(),
        )
        .sort("semel_mosad")
    )


def nation(shared_data: Path) -> Problem:
    """Every school × 12 responses × 3 doses at the planning costs and effects of the synthetic
    city.

    A school profits the more from a response the needier it is (half to one and a half times the
    expected effect), as in `pipelines/decide/allocation.py`. Budgets are the city's, by pupil.
    """
    policy = yaml.safe_load(whole_policy(POLICY).text())
    table = schools(shared_data)
    unmeasured = table.filter(~pl.col("is_measured")).height
    # Not by print, which the benchmark's run swallows: a warning stands in its summary.
    warnings.warn(
        f"{unmeasured:,} of {table.height:,} schools have no grade-5 result and are not measured: "
        "their need is that of their nurture quintile",
        stacklevel=2,
    )
    responses = {k: r for k, r in policy["responses"].items() if r.get("is_allocated", True)}
    effect = {k: _effect(r) for k, r in responses.items()}
    options, costs = [], []
    for school, _, pupils, need, _ in table.iter_rows():
        for response, r in responses.items():
            participants = max(round(pupils * r["served_share"]["value"]), 1)
            for level, (dose, share) in DOSES.items():
                key = (school, response, level)
                benefit = participants * share * effect[response] * (0.5 + need)
                is_eligible = response != "milat" or need > 0.4
                is_excellence = r.get("is_excellence", False)
                options.append((*key, dose, participants, benefit, is_eligible, is_excellence))
                price = r["fixed_cost"]["value"] + r["unit_cost"]["value"] * participants * dose
                parts = split_by_share(round(100 * price), r["funding"])
                costs += [(*key, channel, amount) for channel, amount in parts.items()]
    key = ["semel_mosad", "response_id", "dose_level"]
    values = ["dose", "participants", "benefit_sd_pupils", "is_eligible", "is_excellence"]
    everyone = int(table["pupils"].sum())
    caps = {"municipal_own": 64_000, "mifal_hapais": 18_000, "partner_ngo": 21_000}  # a pupil
    names = sorted({channel for *_, channel, _ in costs})
    return Problem(
        schools=table,
        options=pl.DataFrame(options, schema=[*key, *values], orient="row").with_columns(
            eligibility_reason_en=pl.lit("-"), eligibility_reason_he=pl.lit("-")
        ),
        costs=pl.DataFrame(costs, schema=[*key, "funding_channel", "amount_agorot"], orient="row"),
        channels=pl.DataFrame(
            {
                "funding_channel": names,
                "budget_agorot": [caps[n] * everyone if n in caps else None for n in names],
            },
            schema={"funding_channel": pl.String, "budget_agorot": pl.Int64},
        ),
        school_channels=table.select(
            funding_channel=pl.lit("gefen_school"),
            semel_mosad="semel_mosad",
            budget_agorot=pl.col("pupils") * GEFEN_AGOROT_PER_PUPIL,
        ),
        rules=(
            EverySchoolServed(),
            MoneyShare("at_least", 8.0, EXCELLENCE, "municipal_own"),
            SchoolCapacity("merchav", 500),
            Exclusive("day_extension", ("milat", "rvadim")),
        ),
    )


def _effect(response: dict) -> float:
    """Mean expected effect over the four subjects, discounted for transport."""
    total = sum(effect["mean"] for effect in response["effects"].values())
    return total / len(SUBJECTS) * response["transport_discount"]["value"]


RESPONSES = pl.DataFrame(
    [
        ("milat", 0.22, 40_000, 4_800, 0.08, (25, 65, 10)),
        ("merchav", 0.15, 180_000, 3_200, 0.03, (30, 20, 50)),
        ("rvadim", 0.20, 70_000, 2_400, 0.06, (55, 35, 10)),
        ("icei", 1.00, 150_000, 0, 0.02, (40, 40, 20)),
        ("makom_balev", 0.30, 60_000, 1_300, 0.01, (80, 0, 20)),
        ("posh", 0.12, 15_000, 1_500, 0.12, (40, 20, 40)),
        ("perach", 0.04, 5_000, 900, 0.05, (30, 50, 20)),
        ("hebrew_immigrants", 0.08, 20_000, 2_600, 0.10, (40, 60, 0)),
        ("amirim", 0.08, 25_000, 700, 0.05, (60, 40, 0)),
        ("gifted_centre", 0.012, 0, 6_500, 0.03, (35, 50, 15)),
        ("tikshuv", 1.00, 30_000, 120, 0.01, (70, 30, 0)),
        ("clubs", 0.15, 0, 900, 0.01, (60, 0, 40)),
    ],
    schema=["response_id", "served", "fixed", "unit", "effect", "shares"],
    orient="row",
)
"""Share of pupils served, fixed and unit cost in NIS, effect in SD, parts of the channels in
percent; the planning assumptions of the synthetic city."""

CHANNELS = ("municipal_own", "gefen_school", "ministry_other")
EXCELLENT = ("amirim", "gifted_centre")
SHARED, SHARED_LEVELS = ("merchav", "icei"), 3
KEY = ["semel_mosad", "response_id", "dose_level"]


def country(count: int, seed: int, *, is_shared: bool = True) -> Problem:
    """A made country: schools × 12 responses × 3 doses, with floors, overlaps and shared responses.

    One school in ten may open a dear response together with its neighbour, who pays half. Budgets
    are by pupil; every school gets at least 60 NIS a pupil and one response.
    """
    random = np.random.default_rng(seed)
    pupils = np.clip(random.lognormal(np.log(TYPICAL_PUPILS), 0.5, count), 30, 1200).astype(int)
    table = pl.DataFrame(
        {
            "semel_mosad": [f"{100_000 + i}" for i in range(count)],
            "school_name_he": [f"בית ספר {i}" for i in range(count)],
            "pupils": pupils,
            "need": random.uniform(0, 1, count),
        }
    )
    doses = pl.DataFrame(
        [(level, dose, share) for level, (dose, share) in DOSES.items()],
        schema=["dose_level", "dose", "share"],
        orient="row",
    )
    luck = np.maximum(1 + 0.3 * random.standard_normal(count * len(RESPONSES)), 0)
    offers = (
        table.join(RESPONSES, how="cross")
        .with_columns(luck=pl.Series(luck))
        .join(doses, how="cross")
        .with_columns(
            participants=(pl.col("pupils") * pl.col("served")).round().clip(1).cast(pl.Int64),
            partner=pl.lit(None, pl.String),
        )
    )
    if is_shared:
        number = pl.col("semel_mosad").cast(pl.Int64) - 100_000
        mate = pl.when(number % 2 == 0).then(number + 1).otherwise(number - 1)
        response = pl.when(number % 40 < 20).then(pl.lit(SHARED[0])).otherwise(pl.lit(SHARED[1]))
        together = offers.filter(number % 20 < 2, pl.col("response_id") == response).with_columns(
            dose_level=pl.col("dose_level") + SHARED_LEVELS,
            fixed=pl.col("fixed") // 2,
            partner=(mate + 100_000).cast(pl.String),
        )
        offers = pl.concat([offers, together])
    offers = offers.sort(KEY).with_columns(
        benefit_sd_pupils=pl.col("participants")
        * pl.col("share")
        * pl.col("effect")
        * pl.col("luck")
        * (0.5 + pl.col("need")),
        is_eligible=(pl.col("response_id") != "milat") | (pl.col("need") > 0.4),
        is_excellence=pl.col("response_id").is_in(EXCELLENT),
        whole=100
        * (
            pl.col("fixed")
            + (pl.col("unit") * pl.col("participants") * pl.col("dose")).round().cast(pl.Int64)
        ),
        eligibility_reason_en=pl.lit("-"),
        eligibility_reason_he=pl.lit("-"),
    )
    parts = [
        offers.select(
            *KEY,
            pl.lit(channel).alias("funding_channel"),
            amount_agorot=pl.col("whole") * pl.col("shares").list.get(place) // 100,
        )
        for place, channel in enumerate(CHANNELS)
    ]
    everyone = int(pupils.sum())
    sets = offers.drop_nulls("partner").filter(pl.col("semel_mosad") < pl.col("partner"))
    rules: list[Rule] = [
        EverySchoolServed(),
        MoneyShare("at_least", 8.0, EXCELLENCE, "municipal_own"),
        SchoolCapacity("merchav", count // 5),
        Exclusive("day_extension", ("milat", "rvadim")),
        SchoolFloor(6_000),
    ]
    if sets.height:
        rules.append(
            Together(
                tuple(
                    ((school, response, level), (partner, response, level))
                    for school, response, level, partner in sets.select(*KEY, "partner").iter_rows()
                )
            )
        )
    return Problem(
        schools=table,
        options=offers.select(
            *KEY,
            "dose",
            "participants",
            "benefit_sd_pupils",
            "is_eligible",
            "is_excellence",
            "eligibility_reason_en",
            "eligibility_reason_he",
        ),
        costs=pl.concat(parts).filter(
            (pl.col("amount_agorot") > 0) | (pl.col("funding_channel") == CHANNELS[0])
        ),
        channels=pl.DataFrame(
            {
                "funding_channel": CHANNELS,
                "budget_agorot": [64_000 * everyone, None, 36_000 * everyone],
            }
        ),
        school_channels=table.select(
            funding_channel=pl.lit("gefen_school"),
            semel_mosad="semel_mosad",
            budget_agorot=pl.col("pupils") * GEFEN_AGOROT_PER_PUPIL,
        ),
        overlaps=(
            Overlap("reading", "reading", "קריאה", ("milat", "posh", "hebrew_immigrants"), 0.5),
            Overlap("tutoring", "tutoring", "חונכות", ("perach", "rvadim"), 0.25),
        ),
        rules=tuple(rules),
    )
