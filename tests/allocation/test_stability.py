"""Selection under draws, robust plans and the value of information, against enumeration (R96)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation import solve
from models.allocation.account.firmness import stability
from models.allocation.account.information import value_of_partial_perfect_information
from models.allocation.account.robust import robust_plans
from models.allocation.rules.money import SchoolFloor
from models.allocation.solve.resolve import Effort
from models.keys import PAIR
from tests.examples import examples

from .cases import best_plan, gain, is_allowed, option, plans, problem, problems

EXACT = Effort(gap_pct=0.0)


def draws_of(rows):
    """(draw, school, benefit, cost) of response milat."""
    return pl.DataFrame(
        [
            (draw, school, "milat", float(benefit), float(cost))
            for draw, school, benefit, cost in rows
        ],
        schema=["draw", *PAIR, "benefit_multiplier", "cost_multiplier"],
        orient="row",
    )


def rivals(**other):
    """Two schools of equal need, one place."""
    schools = {"1": (100, 0.5), "2": (100, 0.5)}
    options = [option("1", "milat", 1, 10, 100), option("2", "milat", 1, 9, 100)]
    return problem(options, schools=schools, budget=100, **other)


def test_how_often_a_line_is_chosen():
    """The second school overtakes the first in 30 of 100 draws."""
    built = rivals()
    lines = solve(built, gap_pct=0).lines
    drawn = draws_of([(k, "2", 1.2 if k < 30 else 1.0, 1) for k in range(100)])
    found = stability(built, lines, drawn)
    first, second = found.pairs.iter_rows(named=True)
    assert (first["draws_chosen"], second["draws_chosen"], first["draws"]) == (70, 30, 100)
    assert (first["agreement_share"], second["agreement_share"]) == (0.7, 0.7)
    assert (first["stability"], second["stability"]) == ("contested", "contested")
    # Wilson's 90 % interval of 70 in 100.
    assert (first["selection_lo"], first["selection_hi"]) == pytest.approx(
        (0.6198, 0.7696), abs=1e-3
    )
    assert (second["dose_level"], second["usual_dose_level"]) == (None, 1)
    lost = (found.draws["best_worth"] - found.draws["plan_worth"]).to_numpy()
    assert lost == pytest.approx([0.6 * 0.8] * 30 + [0] * 70)


@pytest.mark.parametrize(
    ("overtaken", "label", "other"),
    [
        # 90 %: .97-1, .90-.98, .84-.94, .83-.93, .67-.81, .52-.68, .51-.67, .14-.28.
        (0, "firm", None),
        (6, "firm", "contested"),
        (10, "firm", "contested"),
        (11, "contested", "firm"),
        (25, "contested", None),
        (40, "contested", "coin_flip"),
        (41, "coin_flip", "contested"),
        (80, "coin_flip", None),
    ],
)
def test_bounds_of_firm_contested_and_coin_flip(overtaken, label, other):
    """A class, and the one beyond a limit that the draws leave open; alike in the plan or not."""
    built = rivals()
    drawn = draws_of([(k, "2", 1.2 if k < overtaken else 1.0, 1) for k in range(100)])
    found = stability(built, solve(built, gap_pct=0).lines, drawn)
    assert found.pairs["stability"].to_list() == [label, label]
    assert found.pairs["other_stability"].to_list() == [other, other]


def test_a_few_draws_that_all_agree_leave_open_whether_a_line_is_firm():
    """Ten in ten: 90 % hold .79-1; and of two limits in one interval the nearer is told."""
    built = rivals()
    lines = solve(built, gap_pct=0).lines
    drawn = draws_of([(k, "2", 1.0, 1) for k in range(10)])
    assert stability(built, lines, drawn).pairs["other_stability"].to_list() == ["contested"] * 2
    for overtaken, other in ((2, "firm"), (3, "coin_flip")):
        drawn = draws_of([(k, "2", 1.2 if k < overtaken else 1.0, 1) for k in range(10)])
        found = stability(built, lines, drawn).pairs
        assert found["stability"].to_list() == ["contested"] * 2
        assert found["other_stability"].to_list() == [other] * 2


def test_a_draw_no_plan_can_pay_is_counted_apart():
    built = rivals(rules=(SchoolFloor(1, "gefen_school"),))
    built = replace(
        built,
        costs=built.costs.with_columns(
            amount_agorot=pl.when(pl.col("funding_channel") == "gefen_school")
            .then(100)
            .otherwise("amount_agorot")
        ),
    )
    built = replace(built, channels=built.channels.with_columns(budget_agorot=pl.lit(250)))
    lines = solve(built, gap_pct=0).lines
    drawn = draws_of([(0, "1", 1, 1), (1, "1", 1, 2), (2, "1", 1, 1)])
    found = stability(built, lines, drawn)
    assert found.draws["is_possible"].to_list() == [True, False, True]
    assert found.draws["best_worth"].null_count() == 1
    assert found.pairs["selection_share"].to_list() == [1, 1]
    with pytest.raises(ValueError, match="under none of them"):
        stability(built, lines, drawn.filter(draw=1))


@st.composite
def drawn_problems(draw, most=4):
    """A small problem, and a few draws for some of its pairs."""
    built = draw(problems())
    pairs = built.options.select(PAIR).unique().sort(PAIR).rows()
    rows = [
        (
            number,
            *pair,
            draw(st.sampled_from([-0.5, 0.0, 0.5, 1.0, 1.25, 3.0])),
            draw(st.sampled_from([1.0, 1.0, 2.0])),
        )
        for number in range(draw(st.integers(1, most)))
        for pair in pairs
        if number == 0 or draw(st.booleans())
    ]
    names = ["draw", *PAIR, "benefit_multiplier", "cost_multiplier"]
    return built, pl.DataFrame(rows, schema=names, orient="row")


def under(built, drawn, *, costs=True, benefit=None):
    """The problem as one draw has it."""
    joined = built.options.join(drawn, on=PAIR, how="left", maintain_order="left")
    times = pl.col("benefit_multiplier").fill_null(1) if benefit is None else benefit
    options = joined.with_columns(benefit_sd_pupils=pl.col("benefit_sd_pupils") * times)
    times = pl.col("cost_multiplier").fill_null(1)
    shekels = (pl.col("amount_agorot") * times / 100).round().cast(pl.Int64) * 100
    paid = built.costs.join(drawn, on=PAIR, how="left", maintain_order="left").with_columns(
        amount_agorot=pl.when(times == 1).then("amount_agorot").otherwise(shekels)
    )
    return replace(
        built,
        options=options.select(built.options.columns),
        costs=paid.select(built.costs.columns) if costs else built.costs,
    )


def _top_plans(built):
    """The pairs of every plan that no other is better than."""
    allowed = [plan for plan in plans(built) if is_allowed(built, plan)]
    good = [gain(built, plan) for plan in allowed]
    return [
        {(row["semel_mosad"], row["response_id"]) for row in plan}
        for plan, worth in zip(allowed, good, strict=True)
        if worth >= max(good) - 1e-9
    ]


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(drawn_problems(), st.randoms(use_true_random=False))
def test_every_draw_is_solved_as_enumeration_does(case, random):
    built, drawn = case
    best = best_plan(built)
    if best is None:
        return
    lines = solve(built, gap_pct=0).lines
    expected = {
        n: best_plan(under(built, drawn.filter(draw=n))) for n in drawn["draw"].unique().sort()
    }
    if not any(expected.values()):
        return
    found = stability(built, lines, drawn, effort=EXACT)
    for number, is_possible, worth in found.draws.select(
        "draw", "is_possible", "best_worth"
    ).rows():
        assert is_possible == (expected[number] is not None)
        if is_possible:
            assert worth == pytest.approx(expected[number][0], abs=1e-6)
    possible = sum(plan is not None for plan in expected.values())
    assert found.pairs["draws"].unique().to_list() == [possible]
    tops = [_top_plans(under(built, drawn.filter(draw=number))) for number in expected]
    if all(len(top) <= 1 for top in tops):
        counted = {
            pair: sum(pair in plan for top in tops for plan in top)
            for pair in found.pairs.select(PAIR).rows()
        }
        assert counted == {
            (s, r): n for s, r, n in found.pairs.select(*PAIR, "draws_chosen").iter_rows()
        }
    shuffled = drawn[random.sample(range(drawn.height), drawn.height)]
    again = stability(built, lines.reverse(), shuffled, effort=EXACT)
    assert again.pairs.equals(found.pairs)
    assert again.draws.equals(found.draws)


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(drawn_problems(), st.sampled_from([0.0, 0.5, 0.8]))
def test_robust_plans_equal_enumeration(case, alpha):
    """The best expected worth, tail mean and regret over all plans there are."""
    built, drawn = case
    allowed = [plan for plan in plans(built) if is_allowed(built, plan)]
    if not allowed:
        return
    lines = solve(built, gap_pct=0).lines
    found = robust_plans(built, lines, drawn, alpha=alpha, effort=EXACT)
    numbers = drawn["draw"].unique().sort().to_list()
    times = {(n, *pair): benefit / cost for n, *pair, benefit, cost in drawn.iter_rows()}
    by_draw = [
        [_at(plan, {pair: times.get((n, *pair), 1.0) for pair in _pairs(plan)}) for n in numbers]
        for plan in allowed
    ]
    hindsight = np.array([[gain(built, drawn) for drawn in of_plan] for of_plan in by_draw])
    worths = np.array([_settled(built, of_plan) for of_plan in by_draw])
    mass = (1 - alpha) * len(numbers)
    weights = np.clip(mass - np.arange(len(numbers)), 0, 1) / mass
    best = {
        "expected": ("expected_worth", worths.mean(axis=1).max()),
        "cvar": ("cvar_worth", (np.sort(worths, axis=1) @ weights).max()),
        "min_max_regret": ("max_regret", (hindsight.max(axis=0) - worths).max(axis=1).min()),
    }
    for name, (column, value) in best.items():
        row = found.plans.filter(plan=name).row(0, named=True)
        assert row[column] == pytest.approx(value, abs=1e-4), name
        assert row["may_miss_worth"] == pytest.approx(0, abs=1e-4), name
    planned = found.plans.filter(plan="planned").row(0, named=True)
    assert planned["lines"] == lines.height


def _pairs(plan):
    return [(row["semel_mosad"], row["response_id"]) for row in plan]


def _at(plan, at):
    """The plan's lines with their benefits multiplied."""
    return [
        row | {"good": row["good"] * at[pair]} for row, pair in zip(plan, _pairs(plan), strict=True)
    ]


def _settled(built, by_draw):
    """What a plan is worth in each draw when the lines that count in full are the same in all."""
    group_of = {r: o for o in built.overlaps for r in o.responses}
    worths = np.zeros(len(by_draw))
    together = {}
    for rows in zip(*by_draw, strict=True):
        group = group_of.get(rows[0]["response_id"])
        key = (rows[0]["semel_mosad"], group.overlap_id if group else rows[0]["response_id"])
        good = np.array([row["good"] for row in rows])
        share = group.counted_share if group else 1.0
        first = (
            -round(good.clip(min=0).mean(), 9),
            -rows[0]["benefit_sd_pupils"],
            rows[0]["position"],
        )
        together.setdefault(key, []).append((first, good, share))
    for own in together.values():
        for place, (_, good, share) in enumerate(sorted(own, key=lambda line: line[0])):
            worths += good if place == 0 else np.where(good < 0, good, share * good)
    return worths


@settings(max_examples=examples(25), deadline=None, derandomize=True)
@given(drawn_problems(most=3))
def test_value_of_information_equals_enumeration(case):
    built, drawn = case
    allowed = [plan for plan in plans(built) if is_allowed(built, plan)]
    if not allowed:
        return
    lines = solve(built, gap_pct=0).lines
    found = value_of_partial_perfect_information(built, lines, drawn, groups=3, effort=EXACT)
    numbers = drawn["draw"].unique().sort().to_list()
    times = {(n, *pair): benefit / cost for n, *pair, benefit, cost in drawn.iter_rows()}
    pairs = built.options.select(PAIR).unique().rows()
    mean = {p: np.mean([times.get((n, *p), 1.0) for n in numbers]) for p in pairs}

    def worth(plan, at):
        return gain(built, _at(plan, at))

    top = max(worth(plan, mean) for plan in allowed)
    average = [plan for plan in allowed if worth(plan, mean) >= top - 1e-5]
    for response, value in found.select("response_id", "information_worth").iter_rows():
        known = [
            {p: times.get((n, *p), 1.0) if p[1] == response else mean[p] for p in pairs}
            for n in numbers
        ]
        tops = np.mean([max(worth(plan, at) for plan in allowed) for at in known])
        kept = [np.mean([worth(plan, at) for at in known]) for plan in average]
        assert tops - max(kept) - 1e-4 <= value <= tops - min(kept) + 1e-4
        assert value >= 0


def test_a_safe_plan_for_those_who_fear_the_worst():
    """10 or nothing, evenly, against a sure 4: the mean wants the first, the bad half the
    second.
    """
    built = rivals()
    built = replace(
        built, options=built.options.with_columns(benefit_sd_pupils=pl.Series([10.0, 4.0]) / 0.6)
    )
    lines = solve(built, gap_pct=0).lines
    drawn = draws_of([(k, "1", k % 2, 1) for k in range(10)])
    found = robust_plans(built, lines, drawn, alpha=0.5)
    school = dict(found.lines.select("plan", "semel_mosad").iter_rows())
    assert school == {"planned": "1", "expected": "1", "cvar": "2", "min_max_regret": "1"}
    told = {r["plan"]: r for r in found.plans.iter_rows(named=True)}
    assert told["expected"]["expected_worth"] == pytest.approx(5)
    assert told["cvar"]["cvar_worth"] == pytest.approx(4)
    # Knowing the first response's effect: 10 in half the draws, 4 in the others, instead of 5.
    drawn = drawn.with_columns(response_id=pl.lit("milat"))
    information = value_of_partial_perfect_information(built, lines, drawn, groups=2)
    assert information["information_worth"][0] == pytest.approx(2)


def test_plans_are_judged_by_draws_they_were_not_made_for():
    """Two good years in two promise 10; in ten the same plan gives 5, a regret only where it was
    sought.
    """
    built = rivals()
    built = replace(
        built, options=built.options.with_columns(benefit_sd_pupils=pl.Series([10.0, 4.0]) / 0.6)
    )
    lines = solve(built, gap_pct=0).lines
    few = draws_of([(k, "1", 1, 1) for k in (1, 3)])
    many = draws_of([(k, "1", k % 2, 1) for k in range(10)])
    found = robust_plans(built, lines, few, many, alpha=0.5)
    told = {r["plan"]: r for r in found.plans.iter_rows(named=True)}
    assert told["cvar"]["expected_worth"] == pytest.approx(5)
    assert told["cvar"]["cvar_worth"] == pytest.approx(0)
    assert told["cvar"]["max_regret"] == pytest.approx(0)
    flattered = robust_plans(built, lines, few, alpha=0.5).plans.filter(plan="cvar")
    assert flattered["cvar_worth"].item() == pytest.approx(10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cost_multiplier": 0.0}, "are not numbers, the cost's above zero"),
        ({"benefit_multiplier": float("nan")}, "are not numbers, the cost's above zero"),
        ({"semel_mosad": "9"}, "no such school and response"),
        ({"draw": 0, "semel_mosad": "1"}, "rows twice"),
    ],
)
def test_bad_draws_are_named(changes, message):
    built = rivals()
    drawn = draws_of([(0, "1", 1, 1), (1, "1", 1, 1)])
    drawn = drawn.with_columns(**{name: pl.lit(value) for name, value in changes.items()})
    with pytest.raises(ValueError, match=message):
        stability(built, solve(built).lines, drawn.cast({"draw": pl.Int64}))
    with pytest.raises(ValueError, match="there are none"):
        stability(built, solve(built).lines, drawn.clear())


# ---- a whole city -------------------------------------------------------------------------------


def city_draws(built, count, seed, *, costs=True):
    """Joint draws: an effect for each response, its fit to each school, and a price."""
    random = np.random.default_rng(seed)
    pairs = built.options.select(PAIR).unique().sort(PAIR)
    responses = pairs["response_id"].unique().sort().to_list()
    frames = []
    for number in range(count):
        effect = dict(zip(responses, random.lognormal(-0.045, 0.3, len(responses)), strict=True))
        price = dict(zip(responses, random.lognormal(0, 0.05, len(responses)), strict=True))
        fit = pl.Series(random.lognormal(0, 0.1, pairs.height))
        frames.append(
            pairs.select(
                pl.lit(number).alias("draw"),
                *PAIR,
                benefit_multiplier=pl.col("response_id").replace_strict(effect) * fit,
                cost_multiplier=(
                    pl.col("response_id").replace_strict(price) if costs else pl.lit(1.0)
                ),
            )
        )
    return pl.concat(frames)


@pytest.fixture(scope="module")
def city():
    from tests.benchmarks.test_allocation_benchmark import city as generated

    built = generated(1)
    return built, solve(built)


@pytest.mark.slow
def test_what_is_firm_pays_at_least_as_the_plan_does(city):
    """On fresh draws, firm lines bring more for their money than the lower quartile of all lines,
    and the plan for the bad cases is no worse in them than the plan in hand (R96)."""
    built, plan = city
    found = stability(built, plan.lines, city_draws(built, 40, seed=2))
    in_plan = found.pairs.drop_nulls("dose_level")
    fresh = city_draws(built, 200, seed=3, costs=False)
    mean = fresh.group_by(PAIR).agg(pl.col("benefit_multiplier").mean())
    realised = (
        plan.lines.join(mean, on=PAIR)
        .join(in_plan.select(*PAIR, "stability"), on=PAIR)
        .filter(pl.col("cost_agorot") > 0)
        .with_columns(
            per_agora=pl.col("weighted_benefit")
            * pl.col("benefit_multiplier")
            / pl.col("cost_agorot")
        )
    )
    firm = realised.filter(stability="firm")
    assert firm.height > 100
    assert firm["per_agora"].median() >= realised["per_agora"].quantile(0.25)
    flips = realised.filter(stability="coin_flip")
    assert firm["per_agora"].median() > flips["per_agora"].median()
    robust = robust_plans(built, plan.lines, city_draws(built, 30, seed=4, costs=False))
    told = {row["plan"]: row for row in robust.plans.iter_rows(named=True)}
    assert told["cvar"]["cvar_worth"] >= told["planned"]["cvar_worth"] - 1e-6
    assert told["min_max_regret"]["max_regret"] <= told["planned"]["max_regret"] + 1e-6
