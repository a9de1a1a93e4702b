"""A city of 36 schools and the country of 2,600: proven gaps in time, beside the alternatives."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from pathlib import Path

import cvxpy as cp
import highspy
import numpy as np
import polars as pl
import pytest

from models.allocation import Atkinson, Problem, Total, solve
from models.allocation.account.firmness import stability
from models.allocation.rules.choice import EverySchoolServed, Exclusive, MustKeep, SchoolCapacity
from models.allocation.rules.shares import EXCELLENCE, MoneyShare
from models.allocation.solve.model import model_of
from models.apportionment import split_by_share
from pipelines.commands import why
from pipelines.decide.account import drawn
from pipelines.decide.allocation import fairness, problem
from pipelines.decide.studio import Studio
from pipelines.settings.workspace import workspace
from tests.benchmarks.nation import country, nation

SCHOOLS = 36
DOSES = {1: 0.4, 2: 0.7, 3: 1.0}
CHANNELS = ("municipal_own", "gefen_school", "ministry_other")
# response: share of pupils served, fixed and unit cost in NIS, shares of the channels, effect (SD);
# the planning assumptions of the synthetic city
RESPONSES = {
    "milat": (0.22, 40_000, 4_800, (25, 65, 10), 0.08),
    "merchav": (0.15, 180_000, 3_200, (30, 20, 50), 0.03),
    "rvadim": (0.20, 70_000, 2_400, (55, 35, 10), 0.06),
    "icei": (1.00, 150_000, 0, (40, 40, 20), 0.02),
    "makom_balev": (0.30, 60_000, 1_300, (80, 0, 20), 0.0),
    "posh": (0.12, 15_000, 1_500, (40, 20, 40), 0.12),
    "perach": (0.04, 5_000, 900, (30, 50, 20), 0.05),
    "hebrew_immigrants": (0.08, 20_000, 2_600, (40, 60, 0), 0.10),
    "amirim": (0.08, 25_000, 700, (60, 40, 0), 0.05),
    "gifted_centre": (0.012, 0, 6_500, (35, 50, 15), 0.03),
    "tikshuv": (1.00, 30_000, 120, (70, 30, 0), 0.01),
    "clubs": (0.15, 0, 900, (60, 0, 40), 0.01),
}


def city(seed: int) -> Problem:
    """Municipal 9 M NIS, Gefen by basket, MILAT for the needy half only."""
    random = np.random.default_rng(seed)
    schools = pl.DataFrame(
        {
            "semel_mosad": [f"{100_000 + i}" for i in range(SCHOOLS)],
            "school_name_he": [f"בית ספר {i}" for i in range(SCHOOLS)],
            "pupils": random.integers(200, 650, SCHOOLS),
            "need": random.uniform(0, 1, SCHOOLS),
        }
    )
    options, costs = [], []
    for school, _, pupils, need in schools.iter_rows():
        for response, (served, fixed, unit, shares, effect) in RESPONSES.items():
            local = max(effect + random.normal(0, 0.02), 0) if effect else 0.0
            participants = round(pupils * served)
            for level, dose in DOSES.items():
                is_eligible = response != "milat" or need > 0.4
                is_excellence = response in ("amirim", "gifted_centre")
                benefit = local * participants * dose**0.7
                key = (school, response, level)
                options.append((*key, dose, participants, benefit, is_eligible, is_excellence))
                whole = round(100 * (fixed + unit * participants * dose))
                parts = split_by_share(whole, dict(zip(CHANNELS, shares, strict=True)))
                costs += [(*key, channel, amount) for channel, amount in parts.items()]
    key = ["semel_mosad", "response_id", "dose_level"]
    values = ["dose", "participants", "benefit_sd_pupils", "is_eligible", "is_excellence"]
    return Problem(
        schools=schools,
        options=pl.DataFrame(options, schema=[*key, *values], orient="row").with_columns(
            eligibility_reason_en=pl.lit("-"), eligibility_reason_he=pl.lit("-")
        ),
        costs=pl.DataFrame(costs, schema=[*key, "funding_channel", "amount_agorot"], orient="row"),
        channels=pl.DataFrame(
            {"funding_channel": CHANNELS, "budget_agorot": [900_000_000, None, 500_000_000]}
        ),
        school_channels=schools.select(
            funding_channel=pl.lit("gefen_school"),
            semel_mosad="semel_mosad",
            budget_agorot=pl.col("pupils") * 40_000,
        ),
        rules=(
            EverySchoolServed(),
            MoneyShare("at_least", 8.0, EXCELLENCE, "municipal_own"),
            SchoolCapacity("merchav", 7),
            Exclusive("day_extension", ("milat", "rvadim")),
            MustKeep((("100000", "tikshuv", 0.5), ("100001", "clubs", 0.5))),
        ),
    )


def greedy_by_ratio(problem: Problem) -> float:
    """Weighted benefit of the obvious alternative: buy by benefit per agora whatever still fits.

    Passes over the options are repeated, so that a small dose can grow, until nothing fits. It
    keeps budgets, baskets, capacity and exclusivity but no floor, share or must-keep, so its
    regret against the solver's plan is, if anything, understated.
    """
    key = ["semel_mosad", "response_id", "dose_level"]
    wide = problem.costs.pivot("funding_channel", index=key, values="amount_agorot")
    offers = (
        problem.options.filter(pl.col("is_eligible") & (pl.col("benefit_sd_pupils") > 0))
        .join(wide, on=key)
        .join(problem.schools.select("semel_mosad", "need"), on="semel_mosad")
        .with_columns(good=(problem.need_offset + pl.col("need")) * pl.col("benefit_sd_pupils"))
        .with_columns(ratio=pl.col("good") / pl.sum_horizontal(CHANNELS))
        .sort("ratio", *key, descending=[True, False, False, False])
        .rows(named=True)
    )
    left = dict(problem.channels.drop_nulls().iter_rows())
    baskets = dict(problem.school_channels.select("semel_mosad", "budget_agorot").iter_rows())
    nothing = dict.fromkeys((*CHANNELS, "good"), 0)
    held: dict[tuple[str, str], dict] = {}
    grew = True
    while grew:
        grew = False
        for row in offers:
            school, response = row["semel_mosad"], row["response_id"]
            now = held.get((school, response), nothing)
            step = {channel: row[channel] - now[channel] for channel in CHANNELS}
            other = {"milat": "rvadim", "rvadim": "milat"}.get(response)
            is_new_merchav = response == "merchav" and now is nothing
            if (
                row["good"] > now["good"]
                and all(step[channel] <= left[channel] for channel in left)
                and step["gefen_school"] <= baskets[school]
                and (school, other) not in held
                and not (is_new_merchav and sum(r == "merchav" for _, r in held) == 7)
            ):
                held[school, response] = row
                baskets[school] -= step["gefen_school"]
                for channel in left:
                    left[channel] -= step[channel]
                grew = True
    return sum(row["good"] for row in held.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_city_is_proven_within_five_seconds(benchmark, seed):
    case = city(seed)
    plan = benchmark.pedantic(solve, args=(case,), rounds=1, warmup_rounds=0)
    certificate = plan.certificate
    regret_pct = 100 * (1 - greedy_by_ratio(case) / certificate.objective)
    benchmark.extra_info.update(
        optimality_gap_pct=certificate.optimality_gap_pct,
        optimality_gap_nis=certificate.optimality_gap_agorot / 100,
        greedy_regret_pct=regret_pct,
        lines=plan.lines.height,
    )
    print(
        f"seed {seed}: gap {certificate.optimality_gap_pct:.4f} %, greedy regret {regret_pct:.2f} %"
    )
    assert certificate.optimality_gap_pct <= 0.01
    assert plan.rules["is_satisfied"].all()
    assert regret_pct > 0
    if benchmark.enabled:
        assert benchmark.stats.stats.max <= 5


@pytest.fixture(scope="module")
def demo():
    """The published demonstration city and where it is published."""
    release = Path(workspace("demo_city").marts_folder) / "current" / "analyst"
    if not release.is_dir():
        pytest.skip("the demonstration city is not published here; run `make run` first")
    return Studio.open(release), release


@pytest.fixture(scope="module")
def demo_plan(demo):
    """Its problem, its plan and the draws of its account."""
    studio, release = demo
    more = ("mart_need_indicator", "mart_effect")
    tables = studio.tables | {name: pl.read_parquet(release / f"{name}.parquet") for name in more}
    return studio.problem, studio.base, drawn(studio.city, tables)


@pytest.mark.parametrize(
    "change",
    [
        {"municipal_nis": 8_100_000},
        {"gamma": 2.0},
        {"floor_nis": 700},
        {"excellence_pct": (20.0, 100.0)},
        {"municipal_nis": 0},
    ],
    ids=["less_money", "more_preference", "a_floor", "more_excellence", "no_money"],
)
def test_the_studio_answers_within_a_second(benchmark, demo, change):
    studio, _ = demo
    shown = studio.draft(studio.settings)
    assert (shown.gap_pct, shown.worth_change_pct) == (_published_gap(studio), 0.0)
    assert (shown.totals["cost_change_agorot"], shown.totals["schools_moved"]) == (0, 0)
    draft, seconds = benchmark.pedantic(
        cpu_seconds,
        args=(lambda: studio.draft(replace(studio.settings, **change)),),
        rounds=1,
        warmup_rounds=0,
    )
    benchmark.extra_info.update(cpu_s=seconds)
    print(f"{change}: {seconds:.2f} s of CPU, gap {draft.gap_pct}, {draft.conflict_he or 'a plan'}")
    assert (draft.conflict_he is None) == (draft.gap_pct is not None)
    assert seconds <= 1
    if benchmark.enabled and benchmark.stats.stats.max <= 1:  # else the clock may have come first
        assert draft.conflict_he is None or change == {"municipal_nis": 0}


def _published_gap(studio):
    """The gap of the published plan."""
    return studio.tables["mart_allocation_certificate"]["optimality_gap_pct"].item()


def test_why_is_answered_within_ten_seconds(benchmark, demo):
    """A pair that is not in the plan though its school could have it: the slowest kind."""
    _, release = demo
    reasons = pl.read_parquet(release / "mart_allocation_reason.parquet")
    pair = reasons.filter(
        pl.col("plan_dose_level").is_null(), allocation_reason="below_line", response_id="milat"
    ).row(0, named=True)
    asked = ["demo_city", pair["semel_mosad"], pair["response_id"]]
    code, seconds = benchmark.pedantic(
        cpu_seconds, args=(lambda: why.main(asked),), rounds=1, warmup_rounds=0
    )
    print(f"why {asked[1]} lacks {asked[2]}: {seconds:.1f} s of CPU without the start of Python")
    assert code == 0
    assert seconds <= 8


def test_the_demonstration_is_planned_by_worth_and_with_fairness(benchmark, demo):
    """Seconds of CPU: by worth the least of three, with fairness once."""
    studio, _ = demo
    posed, fair = problem(studio.city, studio.tables), fairness(studio.city, studio.tables)
    by_worth_s = min(cpu_seconds(lambda: solve(posed))[1] for _ in range(3))
    plan, fair_s = benchmark.pedantic(
        cpu_seconds, args=(lambda: solve(posed, fairness=fair, time_limit_s=600),), rounds=1
    )
    told = plan.certificate.fairness
    benchmark.extra_info.update(by_worth_cpu_s=by_worth_s, fair_cpu_s=fair_s)
    print(
        f"by worth {by_worth_s:.2f} s, with fairness {fair_s:.1f} s of CPU; envied money"
        f" {told.envy_agorot_best / 1e8:.2f}, stand-in {told.envy_agorot_start / 1e8:.2f}, plan"
        f" {told.envy_agorot / 1e8:.2f}, bound {told.envy_bound_agorot / 1e8:.2f} M NIS;"
        f" ties {len(told.ties)}"
    )
    assert told.envy_agorot <= told.envy_agorot_start <= told.envy_agorot_best
    # Twice the figures to hold (.5 and 10): seconds of CPU grow where the cores are shared.
    assert by_worth_s <= 1
    assert fair_s <= 20


def test_two_hundred_draws_of_the_demonstration_city_take_a_minute(benchmark, demo_plan):
    """The city's own problem with all its rules, overlaps, shared and supported options."""
    built, lines, draws = demo_plan
    seconds = time.process_time()
    found = benchmark.pedantic(
        stability, args=(built, lines, draws), kwargs={"workers": 2}, rounds=1, warmup_rounds=0
    )
    seconds = time.process_time() - seconds
    print(f"200 draws of the demonstration city: {seconds:.0f} s of CPU on two workers")
    assert found.draws["draw"].n_unique() == 200
    assert found.draws["gap_pct"].max() <= 0.5
    if benchmark.enabled:
        assert benchmark.stats.stats.max <= 60


def bare_highs(model, gap, time_limit_s):
    """The same rows handed to the solver alone, as it comes: its plan (None = none) and its
    bound.
    """
    scale = 1000 / model.weighted.max()
    milp = model.milp(-scale * model.benefit())
    lp, (rows, columns) = highspy.HighsLp(), milp.matrix.shape
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_, lp.col_lower_ = milp.cost, np.zeros(columns)
    lp.col_upper_ = np.where(np.arange(columns) < milp.binaries, 1.0, highspy.kHighsInf)
    lp.row_lower_, lp.row_upper_ = milp.lower, milp.upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = columns, rows
    lp.a_matrix_.start_, lp.a_matrix_.index_ = milp.matrix.indptr, milp.matrix.indices
    lp.a_matrix_.value_ = milp.matrix.data
    whole, free = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    lp.integrality_ = [whole] * milp.binaries + [free] * (columns - milp.binaries)
    highs = highspy.Highs()
    for name, value in {
        "output_flag": False,
        "threads": 1,
        "mip_rel_gap": gap,
        "time_limit": time_limit_s,
    }.items():
        highs.setOptionValue(name, value)
    highs.passModel(lp)
    highs.run()
    info = highs.getInfo()
    has_plan = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.round(np.array(highs.getSolution().col_value)[: milp.binaries]) if has_plan else None
    return x, -info.mip_dual_bound / scale


def plain_cvxpy(model, gap):
    """The same rows as a plain cvxpy model, solved by its HiGHS; the plan's worth."""
    x = cp.Variable(len(model.weighted), boolean=True)
    used = model.matrix @ x
    up, down = np.isfinite(model.upper), np.isfinite(model.lower)
    rows = [used[up] <= model.upper[up], used[down] >= model.lower[down]]
    problem = cp.Problem(cp.Maximize(model.weighted @ x), rows)
    return problem.solve(solver=cp.HIGHS, highs_options={"mip_rel_gap": gap, "threads": 1})


def cpu_seconds(work):
    """What a piece of work returns, and the seconds of CPU it took: the machine may be shared."""
    start = time.process_time()
    return work(), time.process_time() - start


def test_city_beside_bare_highs_and_cvxpy(benchmark):
    """As ratios in one run, least of three: ours with tables, polish, re-check and certificate."""
    case = city(1)
    model = model_of(case.canonical())
    own, bare, cvxpy = [], [], []
    for _ in range(3):
        plan, seconds = cpu_seconds(lambda: solve(case))
        own.append(seconds)
        (x, _), seconds = cpu_seconds(lambda: bare_highs(model, 1e-4, 60))
        bare.append(seconds)
        worth, seconds = cpu_seconds(lambda: plain_cvxpy(model, 1e-4))
        cvxpy.append(seconds)
    benchmark.pedantic(solve, args=(case,), rounds=1)
    own_per_bare, own_per_cvxpy = min(own) / min(bare), min(own) / min(cvxpy)
    benchmark.extra_info.update(own_per_bare_highs=own_per_bare, own_per_cvxpy=own_per_cvxpy)
    print(
        f"CPU seconds: own {min(own):.2f}, bare HiGHS {min(bare):.2f} (ratio {own_per_bare:.2f}), "
        f"cvxpy {min(cvxpy):.2f} (ratio {own_per_cvxpy:.2f})"
    )
    certificate = plan.certificate
    assert model.weighted @ x <= certificate.objective_bound * (1 + 1e-9)
    assert worth == pytest.approx(certificate.objective, rel=2e-4)
    assert certificate.optimality_gap_pct <= 0.01
    assert own_per_bare <= 1.3


@pytest.mark.parametrize("objective", [Total(), Atkinson(1.0)], ids=["total", "atkinson"])
def test_city_objectives_are_proven(benchmark, objective):
    case = city(1)
    plan = benchmark.pedantic(
        solve, args=(replace(case, objective=objective),), rounds=1, warmup_rounds=0
    )
    print(f"{objective}: gap {plan.certificate.optimality_gap_pct:.4f} %")
    assert plan.certificate.optimality_gap_pct <= 0.01


@pytest.mark.parametrize("objective", [Total(), Atkinson(1.0)], ids=["total", "atkinson"])
def test_country_is_proven_within_a_minute(benchmark, shared_data, objective):
    case = nation(shared_data)
    plan, cpu_s = benchmark.pedantic(
        cpu_seconds,
        args=(lambda: solve(replace(case, objective=objective), gap_pct=0.1, time_limit_s=120),),
        rounds=1,
    )
    certificate = plan.certificate
    benchmark.extra_info.update(optimality_gap_pct=certificate.optimality_gap_pct, cpu_s=cpu_s)
    print(f"{objective}: gap {certificate.optimality_gap_pct:.5f} %, {cpu_s:.1f} s of CPU")
    assert certificate.method == "decomposition"
    assert certificate.optimality_gap_pct <= 0.1
    assert plan.rules["is_satisfied"].all()
    assert cpu_s <= 60


@pytest.mark.parametrize(("count", "is_shared"), [(4_000, False), (20_000, False), (20_000, True)])
def test_a_made_country_with_floors_and_overlaps_is_proven(benchmark, count, is_shared):
    """Schools × 12 × 3; seconds of CPU and memory grow with the schools. One in ten may share."""
    case = country(count, seed=1, is_shared=is_shared)
    plan, cpu_s = benchmark.pedantic(
        cpu_seconds, args=(lambda: solve(case, gap_pct=0.1, time_limit_s=600),), rounds=1
    )
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info.update(
        optimality_gap_pct=plan.certificate.optimality_gap_pct, cpu_s=cpu_s, gib=gib
    )
    print(
        f"{count:,} schools: gap {plan.certificate.optimality_gap_pct:.4f} %, {cpu_s:.0f} s of"
        f" CPU, {gib:.2f} GiB"
    )
    assert plan.certificate.optimality_gap_pct <= 0.1
    assert plan.rules["is_satisfied"].all()
    assert cpu_s <= 120 * count / 20_000 + 10
    assert gib <= 3


def test_country_by_bare_highs_in_the_same_time(benchmark, shared_data):
    """What the solver alone reaches in a minute; a figure to compare with, nothing to pass."""
    case = nation(shared_data)
    model = model_of(case.canonical())
    x, bound = benchmark.pedantic(bare_highs, args=(model, 1e-3, 60), rounds=1)
    worth = 0.0 if x is None else float(model.weighted @ x)
    benchmark.extra_info.update(bare_gap_pct=100 * (1 - worth / bound), has_plan=x is not None)
    print(f"bare HiGHS on the country in 60 s: gap {100 * (1 - worth / bound):.3f} %")
    own = solve(case, gap_pct=0.1, time_limit_s=60).certificate
    assert own.objective >= worth
    assert own.objective <= bound * (1 + 1e-9)
