"""The claims about effects over generated cities: coverage, null responses, combination, planted
cases (make validate).
"""

import os

import numpy as np
import polars as pl
import pytest

from models.demo import generate, spec
from models.effects import (
    alignment,
    combine,
    local_estimates,
    perceived,
    placement,
    response_money,
)
from pipelines.decide.effects import effects, goal_subjects, priors
from pipelines.settings.city import load_city
from tests.validation.expectations import KIND, KINDS, expected, expecting
from tests.validation.planted_effects import planted, truth_of

pytestmark = pytest.mark.slow
# Generated cities, and cities without any effect: about half a minute each.
SEEDS = range(1, 1 + int(os.environ.get("TIKKUN_EFFECT_SEEDS", "50")))
NULL_SEEDS = range(1, 1 + int(os.environ.get("TIKKUN_NULL_SEEDS", "50")))
LEAST_LISTED = 0.6  # of the cities in which POSH is disliked and does most
ENOUGH = (
    40  # estimates of one response, for its own coverage to be judged (its error is then below .06)
)
KEY = ["response_id", "subject"]
WHOLE = pl.col("subject") == "all"


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.fixture(scope="module")
def found(city):
    """What the step makes of each generated city, beside the truth."""
    frames = {
        "mart_effect": [],
        "mart_verdict": [],
        "mart_effect_design": [],
        "truth": [],
        "weak_truth": [],
    }
    for seed in SEEDS:
        generated, tables, truth = planted(seed)
        weak = truth_of(generated, spec.WEAK_DECILE)
        own = expecting(city, KIND, known_of(city, truth), seed)
        made = effects(own, tables) | {"truth": truth, "weak_truth": weak}
        for name, rows in frames.items():
            rows.append(made[name].with_columns(seed=pl.lit(seed)))
    return {name: pl.concat(rows) for name, rows in frames.items()}


def known_of(city, truth):
    """Return the registered expectations beside the truth (0 where nothing was planted)."""
    known = priors(city).join(truth, on=KEY, how="left")
    return known.with_columns(pl.col("truth").fill_null(0.0)).sort(KEY)


def with_truth(frame, found):
    return frame.join(found["truth"], on=["seed", *KEY], how="left").with_columns(
        pl.col("truth").fill_null(0.0)
    )


def test_intervals_of_every_response_hold_the_truth(found):
    rows = with_truth(found["mart_effect"].filter("is_measured"), found).with_columns(
        pl.col("truth").is_between("effect_lo_sd", "effect_hi_sd").alias("is_in"),
        ((pl.col("local_sd") - pl.col("truth")).abs() <= 1.6449 * pl.col("local_se_sd")).alias(
            "is_in_local"
        ),
    )
    each = (
        rows.group_by("response_id")
        .agg(pl.col("is_in", "is_in_local").mean(), pl.len())
        .sort("response_id")
    )
    print(len(SEEDS), "cities", each)
    judged = each.filter(pl.col("len") >= ENOUGH)
    assert judged.height > 0 or len(SEEDS) < ENOUGH
    assert (judged["is_in"] >= 0.85).all()
    assert (judged["is_in_local"] >= 0.85).all()
    assert rows["is_in"].mean() >= 0.85
    assert rows["is_in_local"].mean() >= 0.85


def test_a_response_without_effect_is_seldom_called_effective(found):
    whole = found["mart_verdict"].filter(WHOLE, pl.col("group_id") == "all")
    assert at_most_a_tenth(whole.filter(pl.col("response_id") == "makom_balev")["is_effective"])


def test_where_nothing_has_an_effect_little_is_called_effective(city):
    called = []
    for seed in NULL_SEEDS:
        _, tables, truth = planted(seed, "null")
        own = expecting(city, KIND, known_of(city, truth), seed)
        judged = effects(own, tables)["mart_verdict"]
        # A response whose goal nobody measures is never called effective, and proves nothing here.
        whole = judged.filter(WHOLE, pl.col("group_id") == "all", pl.col("subjects_measured") > 0)
        called.append(whole.select("response_id", "is_effective"))
    rows = pl.concat(called)
    print(
        len(NULL_SEEDS),
        "cities without effect; called effective:",
        rows["is_effective"].mean(),
        rows.height,
    )
    print(
        rows.group_by("response_id")
        .agg(pl.col("is_effective").mean(), pl.len())
        .sort("response_id")
    )
    assert at_most_a_tenth(rows["is_effective"])


def at_most_a_tenth(called):
    """True unless the share is above a tenth by more than the luck of so few cities allows."""
    return called.mean() <= 0.10 + 1.645 * np.sqrt(0.09 / max(len(called), 1)) * (
        len(called) < ENOUGH
    )


def test_a_weak_design_is_insufficient_evidence(found):
    """ICEI runs in two schools whose luck nobody can tell from its effect (R61)."""
    icei = found["mart_verdict"].filter(pl.col("response_id") == "icei", WHOLE)
    print(icei.group_by("design_grade", "verdict_reason").agg(pl.len()))
    graded = icei.filter(pl.col("design_grade") == "D")
    assert graded.height > 0
    assert set(graded["verdict_reason"]) == {"weak_design"}
    assert set(graded["verdict"]) == {"insufficient_evidence"}


def test_goals_that_no_test_measures_have_no_verdict_on_scores(found, city):
    judged = set(goal_subjects(city)["response_id"])
    whole = found["mart_verdict"].filter(WHOLE)
    others = whole.filter(~pl.col("response_id").is_in(judged))
    assert {"merchav", "perach", "tikshuv", "informal_clubs"} <= set(others["response_id"])
    assert set(others["verdict_reason"]) == {"not_measured"}


def weak_deciles(found):
    """Return what is said of deciles 8 to 10, beside what was planted there and what is said of
    all.
    """
    return (
        found["mart_verdict"]
        .filter(pl.col("group_id") == "decile_8_10", pl.col("subject") != "all")
        .join(found["weak_truth"], on=["seed", *KEY], how="left")
        .with_columns(pl.col("truth").fill_null(0.0))
        .join(found["mart_effect"].select("seed", *KEY, all_sd="effect_sd"), on=["seed", *KEY])
        .with_columns(
            pl.col("truth").is_between("effect_lo_sd", "effect_hi_sd").alias("is_in"),
            ((pl.col("local_sd") - pl.col("truth")).abs() <= 1.6449 * pl.col("local_se_sd")).alias(
                "is_in_local"
            ),
            (pl.col("effect_sd") - pl.col("truth")).alias("miss"),
            (pl.col("local_sd") - pl.col("truth")).alias("local_miss"),
            (pl.col("effect_sd") - pl.col("all_sd")).alias("contrast"),
        )
    )


def test_effects_on_weak_deciles_are_as_sure_as_said(found):
    rows = weak_deciles(found)
    each = (
        rows.group_by("response_id", "subject")
        .agg(pl.col("truth", "effect_sd", "contrast", "is_in", "is_in_local").mean(), pl.len())
        .sort("response_id", "subject")
    )
    print(each)
    assert rows["is_in"].mean() >= 0.85
    assert rows["is_in_local"].mean() >= 0.85
    assert (rows["miss"] ** 2).mean() < (rows["local_miss"] ** 2).mean()
    assert (rows["information_pct"] >= 0).all()
    # Where no difference is planted hardly one is made up.
    others = rows.filter(pl.col("response_id") != "milat")["contrast"]
    print("mean contrast where none is planted:", others.mean())
    assert abs(others.mean()) <= 0.01


def test_the_planted_difference_of_weak_deciles(found):
    """MILAT does half as much again for deciles 8 to 10: seen on the whole, never in one city.

    What is told is shrunk by what the policy expects groups to differ by, to about half of what is
    planted (.021); the error of one city's contrast is as large. Of one city's contrast nothing
    follows.
    """
    milat = weak_deciles(found).filter(
        pl.col("response_id") == "milat", pl.col("subject") == "math"
    )
    planted_more = milat.join(found["truth"].rename({"truth": "of_all"}), on=["seed", *KEY])
    more = (planted_more["truth"] - planted_more["of_all"]).mean()
    told, error = milat["contrast"].mean(), milat["contrast"].std() / np.sqrt(milat.height)
    print(
        f"MILAT in mathematics for deciles 8-10: planted {more:.3f}, told {told:.3f} (error"
        f" {error:.3f})"
    )
    assert told <= more + 2 * error
    assert told > 1.645 * error or milat.height < ENOUGH


def combined(found, city, change):
    """Return seed, key, truth, literature and what is combined of it and the data, by city."""
    frames = []
    for seed in SEEDS:
        own = pl.col("seed") == seed
        designs = (
            found["mart_effect_design"]
            .filter(own)
            .rename({"design_sd": "effect_sd", "design_se_sd": "effect_se_sd"})
        )
        known = known_of(city, found["truth"].filter(own).drop("seed"))
        changed = change(known, np.random.default_rng(seed))
        local = local_estimates(designs.drop("seed")).join(known, on=KEY, how="semi")
        rows = combine(changed.drop("source", "truth"), local).filter("is_measured")
        frames.append(rows.join(known.select(*KEY, "truth"), on=KEY))
    return pl.concat(frames).with_columns(
        literature=pl.col("prior_sd") * pl.col("transport_discount")
    )


def errors(rows):
    """Return the RMSE of posterior, literature and data."""
    return [
        float(((rows[name] - rows["truth"]) ** 2).mean()) ** 0.5
        for name in ("effect_sd", "literature", "local_sd")
    ]


def under(kind):
    return lambda known, rng: expected(known, kind, rng)


def too_high(known, _):
    return known.with_columns(pl.col("prior_sd") + 0.2)


def test_claims_under_each_expectation(found, city):
    """The same local estimates under each expectation: how sure the posterior is, and how near."""
    table = []
    for kind in KINDS:
        rows = combined(found, city, under(kind))
        held = rows.select(pl.col("truth").is_between("effect_lo_sd", "effect_hi_sd").mean()).item()
        null = rows.filter(pl.col("truth") == 0)
        called = (null["effect_lo_sd"] > 0).mean()
        table.append((kind, held, called, *errors(rows), rows.height))
    told = pl.DataFrame(
        table,
        schema=["expected", "coverage", "null_above_0", "posterior", "literature", "data", "n"],
        orient="row",
    )
    with pl.Config(tbl_width_chars=120):
        print(f"{len(SEEDS)} cities; RMSE of posterior, literature and data alone", told)
    each = {row["expected"]: row for row in told.to_dicts()}
    for kind in KINDS:
        assert each[kind]["coverage"] >= (0.80 if kind == "wrong" else 0.85), kind
        assert each[kind]["posterior"] < each[kind]["data"], kind


@pytest.mark.parametrize("change", [under("right"), under("wrong"), too_high])
def test_literature_and_data_together_beat_either(found, city, change):
    """Also where the literature misleads."""
    both, literature, data = errors(combined(found, city, change))
    print(both, literature, data)
    assert both < literature
    assert both < data


def test_the_registered_literature_and_data_together(found, city):
    """Open claim: the data beside the registered literature are no better than that literature
    alone, where it lies nearer to the truth than it claims to.
    """
    both, literature, data = errors(combined(found, city, under("registered")))
    assert both < data
    if both >= literature:
        pytest.xfail(
            f"registered priors: posterior {both:.3f}, literature alone {literature:.3f}, data"
            f" alone {data:.3f}"
        )


@pytest.fixture(scope="module")
def cases(found):
    """Per generated city: what is first in money, what is disliked or liked against the estimate,
    what sits wrongly.
    """
    rows = []
    for seed in SEEDS:
        judged = (
            found["mart_verdict"]
            .filter(pl.col("seed") == seed, pl.col("group_id") == "all")
            .drop("seed", "group_id")
        )
        made = generate(seed)
        money = response_money(*books(made)).filter(pl.col("school_year") == 2026)
        laid = alignment(judged, money).filter(pl.col("money_kind") == "municipal")
        opinion = dict(
            perceived(ratings(made), judged, seed=1).select("response_id", "perception").iter_rows()
        )
        places = placement(*seats(made), seed=1, margin=0.5)
        lower = set(places.filter("is_regressive")["response_id"])
        others = [
            name
            for name, what in opinion.items()
            if what != "no_conflict" and name not in ("makom_balev", "posh")
        ]
        rows.append(
            {
                "first": laid["response_id"][0] == "tikshuv" and laid["is_flagged"][0],
                "liked": opinion["makom_balev"].startswith("liked_"),
                "posh": opinion["posh"],
                "regressive": "makom_balev" in lower and not {"milat", "merchav", "posh"} & lower,
                "others": len(others),
            }
        )
    return pl.DataFrame(rows)


def test_the_planted_cases_come_out(cases):
    """Big money without effect, the liked null, and the help where the need is not."""
    means = cases.select(pl.col("first", "liked", "regressive", "others").mean())
    print(means)
    assert means["first"].item() >= 0.9
    assert means["liked"].item() >= 0.8
    assert means["regressive"].item() >= 0.9


def test_the_disliked_response_that_does_most_is_listed(cases):
    """Open claim: POSH does .12 SD to some 120 pupils a year, which seven cities of ten show.

    Listed is a response whose effect is likely here; where a city's own pupils show none, as their
    luck has it, nobody may call it effective.
    """
    print(cases.group_by("posh").len())
    listed = cases["posh"].str.starts_with("disliked").mean()
    assert listed >= LEAST_LISTED
    if listed < 0.9:
        pytest.xfail(
            f"listed in {listed:.2f} of cities, by own data in"
            f" {(cases['posh'] == 'disliked_effective').mean():.2f}"
        )


def seats(made):
    """Return where each response runs in the last year, and each school's need (its nurture
    index).
    """
    year = max(made.years)
    need = (
        made.files[f"pupils_{year}.csv"]
        .group_by("semel_mosad")
        .agg(pl.col("nurture_decile").mean().round(9).alias("need"), pl.lit(0.0).alias("need_se"))
    )
    runs = made.files[f"delivery_{year}.csv"].select("response_id", "semel_mosad", is_served=True)
    grid = runs.select("response_id").unique().join(need.select("semel_mosad"), how="cross")
    served = grid.join(runs, on=["response_id", "semel_mosad"], how="left")
    return served.with_columns(pl.col("is_served").fill_null(False)), need


def books(made):
    merges = dict(made.files["merges.csv"].select(made.files["merges.csv"].columns[:2]).iter_rows())
    place = ["semel_mosad", "school_year", "response_id"]

    def all_years(name):
        rows = pl.concat([made.files[f"{name}_{year}.csv"] for year in made.years])
        return rows.with_columns(pl.col("semel_mosad").replace(merges))

    agorot = [
        (pl.col(f"{name}_nis").cast(pl.Float64) * 100)
        .round()
        .cast(pl.Int64)
        .alias(f"{name}_agorot")
        for name in ("plan", "actual")
    ]
    lines = all_years("budget").select(*place, "funding_channel", *agorot)
    lines = lines.group_by(*place, "funding_channel").agg(
        pl.col("plan_agorot", "actual_agorot").sum()
    )
    people = (
        all_years("delivery")
        .group_by(place)
        .agg(pl.col("participants").sum(), pl.col("dose").max())
    )
    return lines, people


def ratings(made):
    said = made.files["ratings.csv"]
    colour = {
        "red_raters": "not_effective",
        "yellow_raters": "fairly_effective",
        "green_raters": "very_effective",
    }
    return said.group_by("response_id", "goal_id", "role").agg(
        *(
            (pl.col("rating") == value).sum().cast(pl.Int32).alias(name)
            for name, value in colour.items()
        )
    )
