"""Schools that open responses together, as teams of a country's path: nothing is lost by them."""

import numpy as np
import polars as pl
import pytest

from models.allocation import solve
from models.allocation.problem.fairness import Fairness
from models.allocation.rules.pooling import Together
from models.allocation.solve.model import model_of
from models.allocation.solve.national import decomposition, lagrangian, repair, school_plans
from models.allocation.solve.national.decomposition import prices_apart, take_apart
from models.allocation.solve.national.lagrangian import relax
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import Search
from models.allocation.solve.national.teams import Teams
from models.allocation.solve.resolve import Effort, best
from tests.benchmarks.nation import SHARED_LEVELS, country

FEW, MANY = 40, 520


def _forever():
    return np.inf


@pytest.fixture(scope="module")
def few():
    return model_of(country(FEW, seed=3).canonical())


@pytest.fixture
def as_country(monkeypatch):
    """A few schools on the path of a country."""
    for module in (decomposition, lagrangian, repair, school_plans):
        monkeypatch.setattr(module, "MOST_APART", FEW - 1)


def test_a_team_is_laid_out_once_for_every_choice(few):
    teams = Teams.of(few)
    # Two pairs of neighbours of forty schools share a response at three doses: four choices each.
    assert len(teams.school) == FEW - 4 + 4 * 4
    assert len(teams.team) == FEW - 4 + 2 * 4
    ties = [isinstance(few.rules[owner], Together) if owner >= 0 else False for owner in few.owner]
    assert np.array_equal(teams.rows, ties)
    assert np.array_equal(np.unique(teams.school), np.arange(FEW))
    # Each entry holds one shared option at most, and what it does not hold is closed to it.
    entry, option = (np.concatenate(part) for part in zip(teams.held, teams.closed, strict=True))
    assert len(np.unique(np.column_stack([entry, option]), axis=0)) == 4 * 4 * 3
    assert np.bincount(teams.held[0]).max() == 1


def test_no_rows_of_the_kind_make_no_teams():
    teams = Teams.of(model_of(country(FEW, seed=3, is_shared=False).canonical()))
    assert teams.is_trivial
    assert not teams.rows.any()
    value = np.arange(FEW, dtype=float)
    assert np.array_equal(teams.tops(value), value)
    assert np.array_equal(teams.best(value), np.arange(FEW))


def test_a_team_takes_what_is_worth_most_together():
    """Two schools and two choices: each alone would choose otherwise."""
    of = np.array
    none = (np.zeros(0, dtype=np.int64),) * 2
    teams = Teams(of([0, 1, 0, 1, 2]), of([0, 0, 1, 1, 2]), of([0, 0, 1]), of([]), none, none)
    value = of([5.0, 1.0, 2.0, 3.0, -1.0])
    assert teams.tops(value) == pytest.approx([6.0, -1.0])
    assert teams.best(value).tolist() == [0, 1, 4]
    assert teams.best(of([-np.inf, 9.0, 2.0, 3.0, -1.0])).tolist() == [2, 3, 4]
    left, kept = teams.without(of([False, True, False, False, False]))
    assert kept.tolist() == [2, 3, 4]
    assert left.choice.tolist() == [0, 0, 1]
    assert teams.without(of([True, False, True, False, False])) is None


@pytest.mark.usefixtures("as_country")
def test_bound_and_plan_are_those_of_the_whole_programme(few):
    """The solver's own optimum lies between the plan of the country's path and its bound."""
    optimum = best(few, Effort(gap_pct=1e-4))  # of all schools at once: it is no country's size
    found = take_apart(few, gap=1e-3, seconds_left=_forever)
    assert found.x is not None
    assert few.keeps(found.x)
    assert few.worth(found.x) <= optimum.bound + 1e-9
    assert found.bound >= optimum.worth - 1e-9
    assert found.bound <= 1.01 * optimum.worth
    assert few.worth(found.x) >= 0.98 * optimum.worth


@pytest.mark.usefixtures("as_country")
def test_teams_prove_no_less_than_rows_between_schools(few):
    teamed, rowed = (
        relax(Search(BySchool.of(few, teams), few.summed), target=1e-5, seconds_left=_forever)
        for teams in (Teams.of(few), None)
    )
    assert teamed.bound <= rowed.bound * (1 + 1e-4)
    prices, bound = prices_apart(few)
    assert bound == pytest.approx(teamed.bound, rel=2e-3)
    assert np.isfinite(prices).all()


def test_a_country_that_shares_is_proven():
    case = country(MANY, seed=1)
    plan = solve(case, gap_pct=0.1)
    assert plan.certificate.method == "decomposition"
    assert plan.certificate.optimality_gap_pct <= 0.1
    assert plan.rules["is_satisfied"].all()
    assert plan.lines.filter(pl.col("dose_level") > SHARED_LEVELS).height  # some open together


def test_a_country_is_repaired_towards_less_envy():
    """Within one per cent of worth; every rule kept, as much spent to within the gap."""
    case = country(MANY, seed=2, is_shared=False)
    need = dict(case.schools.select("semel_mosad", "need").iter_rows())
    codes = sorted(need)
    groups = [codes[at : at + 26] for at in range(0, MANY, 26)]  # the schools of one authority
    order = [(a, b) for own in groups for a in own for b in own if need[a] > need[b] + 0.2]
    fairness = Fairness(
        1.0,
        pl.DataFrame(order, schema=["semel_mosad", "less_needy_semel_mosad"], orient="row"),
        case.options.select("semel_mosad", "response_id").unique().clear(),
        seed=0,
    )
    by_worth = solve(case, gap_pct=0.1)
    fair = solve(case, gap_pct=0.1, fairness=fairness)
    told = fair.certificate.fairness
    assert told.envy_bound_agorot is None
    assert told.envy_agorot < 0.9 * told.envy_agorot_best
    assert told.worth_best == pytest.approx(by_worth.certificate.objective)
    assert fair.certificate.objective >= 0.99 * told.worth_best * (1 - 1e-9)
    assert fair.rules["is_satisfied"].all()
    spent, before = (
        dict(plan.channels.select("funding_channel", "allocated_agorot").iter_rows())
        for plan in (fair, by_worth)
    )
    assert all(spent[name] >= 0.999 * before[name] - 1 for name in before)
