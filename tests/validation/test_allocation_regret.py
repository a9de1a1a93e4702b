"""What the plan loses against an oracle who knows true needs and effects (make validate; R79, R80,
R118).

In each generated city plans are made under the same budgets, rules, costs and doses of the policy,
and each is judged by the truth (`planted_plans`): regret = 1 - true need-weighted benefit / the
oracle's. What nothing measures is bought by the committee's amounts, the same in every plan (R122).

- oracle: the same problem with true needs and effects.
- posterior: Tikkun by worth; the published plan is the fairest within 1 % of it, so it may lose so
  much more.
- data_only: the local estimates alone; what was not measured is taken to do nothing.
- data_or_prior (for information): the local estimate where there is one, else the discounted
  literature. What is not measured, such as the equipment that all schools have, is then not lost,
  as data_only loses it.
- need_blind: γ = 0, all else as Tikkun.
- equal_per_pupil: beside what rules and amounts hold every school has the same municipal money per
  pupil (a cap), and spends it by its own liking, a random number per school and response by which a
  municipal shekel counts; neither need nor evidence is used. All rules, other channels, eligibility
  and kept places stay, and the plan is solved, so it spends what it may and is no straw man. Drawn
  anew in every city.
- equal_by_evidence (for information): the same equal money, spent by Tikkun's effects without need.
- prior_only (for information): the discounted literature alone.
- right, neutral: the posterior where the literature errs around the truth by what it says, and
  where it expects nothing (`expectations`), for information.
- before: as plans were made before goals and evidence counted: every effect on every test,
  assumptions at their means, no committee's amounts; under the same expectations again. It is free
  to spend the amounts on what tests measure, so it is no plan of the same problem and its regret
  may be below 0. "Before with amounts" holds them too: there the choices alone are compared.
- misled: every response has the prior means of another; dealt: the means of all responses and
  subjects dealt out anew. The posterior and prior_only each again.

Judged "by goal" a response has one true effect in all schools on what measures its goals. "By goal
and school" it has the one planted in that very school (SD .03 by chance, which nobody can know
before): an oracle nobody could be, printed only. "By all" its effects on all tests count, as they
did before; printed only.

`TIKKUN_REGRET_SEEDS` says how many cities (20 if not given, at least 2; about a minute each).
"""

import os

import duckdb
import polars as pl
import pytest

from models.keys import OPTION
from pipelines.decide.allocation import STEPS, problem
from pipelines.settings.city import load_city
from tests.validation.planted_plans import (
    goal_effects,
    planned_city,
    study,
    without_pooling,
    worth,
)

pytestmark = pytest.mark.slow
SEEDS = range(1, 1 + int(os.environ.get("TIKKUN_REGRET_SEEDS", "20")))
BASELINES = ("data_only", "need_blind", "equal_per_pupil")
BAND = 0.01  # of worth: plans nearer than that are as good (design, principle 2)


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


@pytest.fixture(scope="module")
def regrets(city):
    return pl.concat([study(city, seed) for seed in SEEDS])


def table(regrets):
    """Return regret by judge and plan over the cities: mean, SD, lowest, highest, n."""
    regret = pl.col("regret")
    return (
        regrets.group_by("judge", "plan")
        .agg(
            regret.mean().alias("mean"),
            regret.std().alias("sd"),
            regret.min().alias("min"),
            regret.max().alias("max"),
            pl.len().alias("n"),
        )
        .sort("judge", "mean", "plan")
    )


def more_than(regrets, plan, other, judge="by goal"):
    """Return by how much more `other` loses than `plan`, city by city: mean and its standard
    error.
    """
    wide = regrets.filter(pl.col("judge") == judge).pivot("plan", index="seed", values="regret")
    apart = wide[other] - wide[plan]
    error = apart.std() / len(apart) ** 0.5
    print(
        f"{judge}: {other} − {plan}: {apart.mean():+.4f} (standard error {error:.4f},"
        f" n = {len(apart)}, worse in {(apart > 0).sum()})"
    )
    return apart.mean(), error


def test_the_plan_loses_little_and_less_than_the_baselines(regrets):
    with pl.Config(tbl_rows=-1):
        print(table(regrets))
    own = regrets.filter(pl.col("judge") == "by goal", pl.col("plan") == "posterior")
    assert own["regret"].mean() <= 0.15
    for plan in ("data_or_prior", "prior_only", "equal_by_evidence"):
        more_than(regrets, "posterior", plan)
    for plan in BASELINES:
        mean, error = more_than(regrets, "posterior", plan)
        assert mean > 2 * error


def test_where_the_literature_misleads_the_plan_is_no_worse_than_the_data(regrets):
    """Whether it beats the data or that literature is printed, not claimed: what assumptions bought
    is no longer the plan's choice, and 20 cities told of no difference from the data.
    """
    for how in ("misled", "dealt"):
        more_than(regrets, f"posterior, {how}", f"prior_only, {how}")
        mean, error = more_than(regrets, f"posterior, {how}", "data_only")
        assert mean > -(error + BAND)


@pytest.mark.parametrize("how", ["", ", right", ", neutral", ", misled", ", dealt"])
def test_goals_and_evidence_lose_no_more_than_before(regrets, how):
    """By goal, under the same amounts, beyond the error and the band.

    That they lose less where expectations mislead is printed, not claimed: 20 cities did not tell.
    By all effects, and against plans without amounts, as it was before, it is printed only: there
    the price of what the committee decides is in it.
    """
    for judge in ("by all", "by goal"):
        more_than(regrets, f"posterior{how}", f"before{how}", judge)
    mean, error = more_than(regrets, f"posterior{how}", f"before with amounts{how}")
    assert mean > -(error + BAND)


def test_no_plan_is_worth_more_than_the_oracle_s(regrets):
    """To the proven gap of the solver; and the ruler is the one the plan is made with."""
    for judge, oracle in (("by goal", "oracle"), ("by goal and school", "oracle by school")):
        rows = regrets.filter(
            pl.col("judge") == judge,
            pl.col("plan") != oracle,
            ~pl.col("plan").str.contains("before|oracle of all"),
        )
        assert rows["regret"].min() > -0.001


def test_what_is_made_in_memory_is_what_a_run_decides_on(city, published):
    planned = planned_city(city, 1, "small")
    reads = next(step for step in STEPS if step.name == "allocate_plan").reads
    with duckdb.connect(published.workspace().warehouse_path, read_only=True) as connection:
        found = {
            name: connection.sql(f"SELECT * FROM {name.split('_')[0]}.{name}").pl()
            for name in reads
        }
    ours, run = (
        planned.problem(planned.tables).canonical(),
        problem(without_pooling(city), found).canonical(),
    )
    for name in ("costs", "channels", "school_channels"):
        assert getattr(ours, name).equals(getattr(run, name))
    assert ours.rules == run.rules  # the committee's amounts among them
    both = ours.options.join(run.options, on=OPTION, how="full", coalesce=True, suffix="_run")
    assert both.height == ours.options.height
    assert (
        both.select(
            (pl.col("benefit_sd_pupils") - pl.col("benefit_sd_pupils_run")).abs().max()
        ).item()
        < 1e-9
    )
    need = ours.schools.join(run.schools, on="semel_mosad", suffix="_run")
    assert need.select((pl.col("need") - pl.col("need_run")).abs().max()).item() < 1e-9


def test_the_ruler_is_the_problem_s_own(city):
    """What an option is worth by the truth, made apart, is what the problem with the truth says."""
    planned = planned_city(city, 1, "small")
    options = planned.problem(planned.truth).options
    measured = worth(planned, options, goal_effects(planned, planned.truth["mart_effect"])).rename(
        {"benefit_sd_pupils": "again"}
    )
    apart = options.join(measured, on=OPTION).select(
        (pl.col("benefit_sd_pupils") - pl.col("again").clip(lower_bound=0)).abs().max()
    )
    assert apart.item() < 1e-9
