"""Each rule: what it allows, what it measures on a plan that breaks it, when it is binding."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import polars as pl
import pytest

import models.allocation.rules
from models.allocation import InfeasibleRules, Total, solve
from models.allocation.account.frontier import rule_prices
from models.allocation.account.turning_points import turning_points
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Rule
from models.allocation.rules.assets import AssetHours
from models.allocation.rules.benefit import BenefitFloor
from models.allocation.rules.change import HoldHarmless, NeediestKept, RiseCap
from models.allocation.rules.choice import (
    Eligibility,
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.conditions import MinimumGroup, Prerequisite
from models.allocation.rules.decided import (
    Commitment,
    CommitteeAmount,
    DecidedDrop,
    DecidedKeep,
    ManualOverride,
    NoticePeriod,
)
from models.allocation.rules.money import (
    ChannelBudget,
    ParentsPayments,
    SchoolCap,
    SchoolChannelCap,
    SchoolFloor,
    SourceExcluded,
)
from models.allocation.rules.pooling import Together
from models.allocation.rules.shares import EXCELLENCE, MoneyShare, Part
from models.allocation.solve.model import Model

from .cases import GEFEN, OWN, option, problem

A, B = "100001", "100002"

# Positions:                 0        1          2       3          4        5
OPTIONS = [
    option(A, "amirim", 1, 2, 100, is_excellence=True),
    option(A, "milat", 1, 3, 300, 100, participants=10),
    option(A, "milat", 2, 4, 500, 200, participants=20),
    option(B, "amirim", 1, 2, 100, is_excellence=True),
    option(B, "milat", 1, 3, 300, 100, participants=10),
    option(B, "posh", 1, 1, 50, is_eligible=False),
]
CASE = problem(OPTIONS, schools={A: (10, 0.5), B: (20, 0.5)})
MILAT = Part("milat", "MILAT", "מילת", responses=("milat",))
FIRST = Part("first", "the first school", "בית הספר הראשון", schools=(A,))
USES = ((A, "milat", 1, 4), (A, "milat", 2, 8), (B, "milat", 1, 4))
LAST_YEAR = ((A, 500), (B, 0))


def measured(rule, *chosen):
    columns = Columns.of(CASE.canonical())
    return rule.measure(Plan.of(columns, np.array(chosen, dtype=int)))


MEASURED = [
    (ChannelBudget(OWN, 800), (2, 4), 800, True, True),
    (ChannelBudget(OWN, 799), (2, 4), 800, False, True),
    (ChannelBudget(OWN, 899), (2, 4), 800, True, True),  # the cheapest step, amirim, is 100
    (ChannelBudget(OWN, 900), (2, 4), 800, True, False),
    (SchoolChannelCap(GEFEN, ((A, 200), (B, 400))), (2, 4), 100, True, False),
    (SchoolChannelCap(GEFEN, ((A, 199),)), (1,), 100 * 100 / 199, True, True),
    (SchoolChannelCap(GEFEN, ((A, 199),)), (2,), 100 * 200 / 199, False, True),
    (ParentsPayments(GEFEN, ((A, 200), (B, 400))), (2, 4), 100, True, False),
    (ParentsPayments(GEFEN, ((A, 199),)), (2,), 100 * 200 / 199, False, True),
    (Eligibility(), (0, 4), 0, True, False),
    (Eligibility(), (0, 5), 1, False, False),
    (SchoolCapacity("milat", 2), (2, 4), 2, True, True),
    (SchoolCapacity("milat", 1), (2, 4), 2, False, False),
    (SchoolCapacity("milat", 2), (2, 3), 1, True, False),
    (ParticipantCapacity("milat", 29), (1, 4), 20, True, True),
    (ParticipantCapacity("milat", 30), (1, 4), 20, True, False),
    (ParticipantCapacity("milat", 19), (1, 4), 20, False, True),
    (MustKeep(((A, "milat", 1.0), (B, "milat", 0.5))), (2, 4), 2, True, True),
    (MustKeep(((A, "milat", 1.0), (B, "milat", 0.5))), (1, 4), 1, False, True),
    (MustDrop(((A, "milat"),)), (0, 4), 0, True, True),
    (MustDrop(((A, "milat"),)), (1, 4), 1, False, True),
    (MustDrop(((A, "milat"),)), (2, 4), 1, False, False),
    (EverySchoolServed(), (0, 3, 4), 1, True, True),
    (EverySchoolServed(), (0, 2, 3, 4), 2, True, False),
    (EverySchoolServed(), (0, 2), 0, False, False),
    (SchoolFloor(20), (2, 4), 20, True, True),
    (SchoolFloor(21), (2, 4), 20, False, True),
    (SchoolFloor(5, OWN), (0, 2, 3, 4), 20, True, False),
    (SchoolCap(70), (2, 4), 70, True, True),
    (SchoolCap(69), (2, 4), 70, False, True),
    (SchoolCap(90, OWN), (2, 4), 50, True, False),
    (MoneyShare("at_least", 25.0, EXCELLENCE, OWN), (0, 1), 25, True, True),
    (MoneyShare("at_least", 25.1, EXCELLENCE, OWN), (0, 1), 25, False, True),
    (MoneyShare("at_least", 5.0, EXCELLENCE, OWN), (0, 1), 25, True, False),
    (MoneyShare("at_least", 8.0, EXCELLENCE, OWN), (), 0, True, True),
    (MoneyShare("at_most", 25.0, EXCELLENCE, OWN), (0, 1), 25, True, True),
    (MoneyShare("at_most", 24.9, EXCELLENCE, OWN), (0, 1), 25, False, True),
    (MoneyShare("at_most", 60.0, EXCELLENCE, OWN), (0, 1), 25, True, False),
    (MoneyShare("at_least", 75.0, MILAT, OWN), (0, 1), 75, True, True),
    (MoneyShare("at_least", 60.0, MILAT, OWN), (0, 1), 75, True, False),
    (
        MoneyShare("at_least", 75.0, MILAT, OWN),
        (0, 3, 4),
        60,
        False,
        False,
    ),  # nothing outside is left to buy
    (
        MoneyShare("at_least", 80.0, MILAT),
        (0, 1),
        80,
        True,
        True,
    ),  # amirim of B would make it 2 in 3
    (MoneyShare("at_least", 40.0, MILAT), (), 0, True, True),
    (MoneyShare("at_most", 50.0, FIRST), (1, 4), 50, True, True),
    (MoneyShare("at_most", 49.9, FIRST), (1, 4), 50, False, True),
    (MoneyShare("at_most", 90.0, FIRST), (1, 4), 50, True, False),
    (HoldHarmless(LAST_YEAR, 80.0), (1,), 80, True, True),
    (HoldHarmless(LAST_YEAR, 80.0), (0,), 20, False, True),
    (HoldHarmless(LAST_YEAR, 80.0), (0, 2), 160, True, False),
    (NeediestKept(LAST_YEAR[:1], 80.0), (0,), 20, False, True),
    (NeediestKept(LAST_YEAR[:1], 20.0), (0,), 20, True, True),
    (RiseCap(LAST_YEAR, 160.0), (0, 2, 4), 160, True, False),  # no useful step is left in A
    (RiseCap(LAST_YEAR, 159.0), (0, 2, 4), 160, False, True),
    (RiseCap(LAST_YEAR, 99.0), (1,), 80, True, True),
    (RiseCap(LAST_YEAR, 100.0), (1,), 80, True, False),
    (AssetHours("hall", 12, USES), (2, 4), 12, True, True),
    (AssetHours("hall", 11, USES), (2, 4), 12, False, False),
    (AssetHours("hall", 11, USES), (1, 4), 8, True, True),  # half a dose more in A is 4 hours
    (AssetHours("hall", 12, USES), (1, 4), 8, True, False),
    (AssetHours("hall", 12, USES), (3,), 0, True, False),
    (Exclusive("x", ("amirim", "milat")), (0, 4), 1, True, True),
    (Exclusive("x", ("amirim", "milat")), (0, 2), 2, False, False),
    (Exclusive("x", ("posh", "milat")), (2, 4), 1, True, False),
    (EverySchoolServed((B,)), (0, 2), 2, True, False),
    (EverySchoolServed((B,)), (3, 4), 0, False, False),
    (Commitment(((A, "milat", 1.0),)), (2, 4), 1, True, True),
    (Commitment(((A, "milat", 1.0),)), (1, 4), 0, False, True),
    (DecidedKeep(((A, "milat", 0.5),)), (1, 4), 1, True, True),
    (DecidedKeep(((A, "milat", 0.5),)), (3,), 0, False, True),
    (DecidedDrop(((A, "milat"),)), (3,), 0, True, True),
    (DecidedDrop(((A, "milat"),)), (2,), 1, False, False),
    (CommitteeAmount("milat", ((A, 1.0), (B, 0.5)), 9), (2, 4), 2, True, True),
    (CommitteeAmount("milat", ((A, 1.0), (B, 0.5)), 9), (1, 4), 1, False, True),
    (CommitteeAmount("milat", ((A, 0.5),), 9), (1, 4), 1, False, True),
    (NoticePeriod("milat", (A,), 2027), (1, 3), 1, True, True),
    (NoticePeriod("milat", (A,), 2027), (1, 4), 1, False, True),
    (NoticePeriod("milat", (A,), 2027), (3,), 0, False, True),
    (ManualOverride("milat", A, True, "r", "head"), (1,), 1, True, True),
    (ManualOverride("milat", A, True, "r", "head", 2), (1,), 0, False, True),
    (ManualOverride("milat", A, False, "r", "head"), (3,), 0, True, True),
    (ManualOverride("milat", A, False, "r", "head", 1), (2,), 0, True, False),
    (ManualOverride("milat", A, False, "r", "head"), (2,), 1, False, False),
    (Prerequisite("amirim", "milat"), (0, 1), 0, True, True),  # amirim of B would do good
    (Prerequisite("amirim", "milat"), (0, 1, 4), 0, True, False),
    (Prerequisite("amirim", "milat"), (0, 3, 4), 1, False, False),
    (MinimumGroup("milat", 15, ((A, 1), (B, 1))), (2,), 0, True, True),
    (MinimumGroup("milat", 15, ((A, 1), (B, 1))), (2, 4), 1, False, False),
    (SourceExcluded(GEFEN, ("milat",)), (0, 3), 0, True, True),
    (SourceExcluded(GEFEN, ("milat",)), (1, 3), 100, False, True),
    (SourceExcluded(GEFEN, ("amirim",)), (0, 1), 0, True, False),
    (Together((((A, "amirim", 1), (B, "amirim", 1)),)), (0, 3), 0, True, False),
    (Together((((A, "amirim", 1), (B, "amirim", 1)),)), (0,), 1, False, True),
    (BenefitFloor(0.1, ((A, 10), (B, 0)), 10), (0,), 120, True, True),
    (BenefitFloor(0.2, ((A, 24), (B, 0)), 10), (0,), 50, False, True),
]


@pytest.mark.parametrize(("rule", "chosen", "value", "satisfied", "binding"), MEASURED)
def test_measure(rule, chosen, value, satisfied, binding):
    measure = measured(rule, *chosen)
    assert measure.value == pytest.approx(value)
    assert (measure.satisfied, measure.binding) == (satisfied, binding)


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (SchoolCapacity("milat", 1), 3),
        (ParticipantCapacity("milat", 10), 3),
        (MustDrop(((A, "milat"),)), 3),
        (Exclusive("x", ("amirim", "milat")), 2),
        (SchoolCap(30), 3),
        (SchoolCap(35, OWN), 3),
        (MoneyShare("at_most", 10.0, EXCELLENCE, OWN), 2),
        (MoneyShare("at_most", 12.0, EXCELLENCE, OWN), 3),
        (MoneyShare("at_most", 0.0, MILAT), 2),
        (MoneyShare("at_least", 100.0, MILAT), 2),
        (RiseCap(((A, 100),), 100.0), 3),
        (NoticePeriod("milat", (A,), 2027), 3),
        (ManualOverride("milat", A, False, "r", "head"), 3),
        (Prerequisite("milat", "posh"), 2),
        (MinimumGroup("milat", 11, ((A, 1), (B, 1))), 3),
        (SourceExcluded(GEFEN, ("milat",)), 2),
    ],
)
def test_the_solver_obeys(rule, lines):
    """Without the rule all four pairs of eligible options are bought."""
    assert solve(CASE, gap_pct=0).lines.height == 4
    plan = solve(problem(OPTIONS, schools={A: (10, 0.5), B: (20, 0.5)}, rules=[rule]), gap_pct=0)
    assert plan.lines.height == lines


def test_a_rule_that_needs_it_buys_an_option_of_no_benefit():
    options = [
        option(A, "milat", 1, 0, 700),
        option(A, "posh", 1, 0, 300),
        option(B, "milat", 1, 5, 300),
    ]
    assert solve(problem(options), gap_pct=0).lines["semel_mosad"].to_list() == [B]
    served = solve(problem(options, rules=[EverySchoolServed()]), gap_pct=0)
    assert served.lines["response_id"].to_list() == ["posh", "milat"], "and the cheapest one"
    assert served.lines["is_must_keep"].to_list() == [False, False]


def test_must_keep_marks_its_lines():
    options = [
        option(A, "milat", 1, 0, 700),
        option(A, "milat", 2, 0, 900),
        option(B, "milat", 1, 5, 300),
    ]
    plan = solve(problem(options, rules=[MustKeep(((A, "milat", 0.5),))]), gap_pct=0)
    assert plan.lines.select("semel_mosad", "dose_level", "is_must_keep").rows() == [
        (A, 1, True),
        (B, 1, False),
    ]


@pytest.mark.parametrize("share", [0.0, 8.0, 20.0])
def test_excellence_share_costs_benefit_and_holds(share):
    """R82 at 0, 8 and 20 %: excellence is the poorer buy here, so it is bought only when asked."""
    options = [option(f"1000{i:02}", "milat", 1, 10, 1_000) for i in range(10)]
    options += [option(f"1000{i:02}", "amirim", 1, 1, 500, is_excellence=True) for i in range(10)]
    plan = solve(
        problem(options, budget=10_000, rules=[MoneyShare("at_least", share, EXCELLENCE, OWN)]),
        gap_pct=0,
    )
    money = plan.lines.group_by("response_id").agg(cost="cost_agorot")
    spent = {name: sum(cost) for name, cost in money.iter_rows()}
    assert 100 * spent.get("amirim", 0) >= share * sum(spent.values())
    assert spent["milat"] == {0.0: 10_000, 8.0: 9_000, 20.0: 8_000}[share]


def test_an_overspend_of_one_agora_is_refused():
    """A milliard on one side: the budget holds to the agora all the same."""
    million_nis = 100_000_000
    options = [
        option(A, "milat", 1, 100, 9 * million_nis),
        option(B, "milat", 1, 100, 1 * million_nis + 1),
        option(B, "posh", 1, 99, 1 * million_nis),
    ]
    short = solve(problem(options, budget=10 * million_nis), gap_pct=0)
    assert short.lines["response_id"].to_list() == ["milat", "posh"]
    exact = solve(problem(options, budget=10 * million_nis + 1), gap_pct=0)
    assert exact.lines["response_id"].to_list() == ["milat", "milat"]


def test_a_cap_per_pupil_holds_to_the_agora():
    options = [option(A, "milat", 1, 3, 3_001), option(A, "milat", 2, 2, 3_000)]
    plan = solve(problem(options, schools={A: (100, 0.5)}, rules=[SchoolCap(30)]), gap_pct=0)
    assert plan.lines["cost_agorot"].to_list() == [3_000]


def test_polish_takes_what_is_free_and_gives_up_what_is_useless():
    """From a poor plan (as a wide gap may leave it) to one no single step can improve."""
    options = [
        option(A, "amirim", 1, 0, 10),  # useless: given up
        option(A, "milat", 1, 3, 300),  # the larger dose does no more good: becomes this one
        option(A, "milat", 2, 3, 500),
        option(B, "milat", 1, 2, 200),  # fits once money is free
    ]
    columns = Columns.of(problem(options).canonical())
    model = Model.of(columns, (ChannelBudget(OWN, 510),), Total())
    assert model.polish(np.array([1.0, 0.0, 1.0, 0.0])).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_money_rows_are_the_same_in_the_model_and_in_the_measure():
    """What the solver counts for a budget is what the re-check counts."""
    columns = Columns.of(CASE.canonical())
    model = Model.of(columns, (ChannelBudget(GEFEN, 10_000),), Total())
    x = np.array([0, 0, 1, 0, 1, 0])
    assert (model.matrix @ x)[-1] == measured(ChannelBudget(GEFEN, 1), 2, 4).value


ONE_OF_EACH = [
    AssetHours("hall", 12, USES, "אולם"),
    BenefitFloor(0.1, ((A, 1),)),
    ChannelBudget(OWN, 1),
    Commitment(((A, "milat", 0.5),)),
    CommitteeAmount("milat", ((A, 0.5),), 900, response_he="מילת", response_en="MILAT"),
    DecidedDrop(((A, "milat"),)),
    DecidedKeep(((A, "milat", 0.5),)),
    Eligibility(),
    EverySchoolServed((A,)),
    MoneyShare("at_most", 8, EXCELLENCE, OWN),
    MoneyShare("at_least", 8, EXCELLENCE, OWN),
    Exclusive("x", ("milat",), "אחד", "one"),
    HoldHarmless(LAST_YEAR, 80.0),
    NeediestKept(LAST_YEAR, 80.0),
    ManualOverride(
        "milat", A, True, "promised", "head", 1, "בית ספר", response_he="מילת", response_en="MILAT"
    ),
    MinimumGroup("milat", 15, ((A, 1),), response_he="מילת", response_en="MILAT"),
    MustDrop(((A, "milat"),)),
    MustKeep(((A, "milat", 0.5),)),
    NoticePeriod("milat", (A,), 2027, response_he="מילת", response_en="MILAT"),
    ParentsPayments(GEFEN, ((A, 1),)),
    ParticipantCapacity("milat", 1, response_he="מילת", response_en="MILAT"),
    MoneyShare("at_most", 10.0, MILAT),
    MoneyShare("at_least", 10.0, MILAT),
    Prerequisite("milat", "posh", "פוש", "POSH", response_he="מילת", response_en="MILAT"),
    RiseCap(LAST_YEAR, 120.0),
    SchoolCap(1),
    SchoolCapacity("milat", 1, response_he="מילת", response_en="MILAT"),
    SchoolChannelCap(GEFEN, ((A, 1),)),
    SchoolFloor(1),
    SourceExcluded(GEFEN, ("milat",), "מילת", "MILAT"),
    Together((((A, "amirim", 1), (B, "amirim", 1)),)),
]


def test_every_rule_is_looked_at():
    """A rule that is added to the allocation has its sentences and its measure tested."""
    modules = [
        importlib.import_module(f"{models.allocation.rules.__name__}.{module.name}")
        for module in pkgutil.iter_modules(models.allocation.rules.__path__)
        if module.name != "order"  # what a fair plan kept: tests/allocation/test_fairness.py
    ]
    rules = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Rule)
        and kind.__module__ == module.__name__
        and {"id_template", "rule_id"} & vars(kind).keys()  # else what several rules share
    }
    assert {type(rule) for rule in ONE_OF_EACH} == rules
    assert {type(case[0]) for case in MEASURED} == rules


@pytest.mark.parametrize("rule", ONE_OF_EACH, ids=lambda rule: rule.rule_id)
def test_sentences_are_in_both_languages(rule):
    assert any("א" <= letter <= "ת" for letter in rule.sentence_he)
    assert not any("א" <= letter <= "ת" for letter in rule.sentence_en)
    assert rule.sentence_he.endswith(".")
    assert rule.sentence_en.endswith(".")
    assert rule.unit
    assert "channels pays" not in rule.sentence_en
    assert "payments pays" not in rule.sentence_en
    rule.check(CASE.canonical())


def test_a_floor_under_last_years_money_buys_what_it_needs():
    options = [option(A, "milat", 1, 1, 400), option(B, "milat", 1, 9, 700)]
    assert solve(problem(options, budget=700), gap_pct=0).lines["semel_mosad"].to_list() == [B]
    held = problem(options, budget=700, rules=[HoldHarmless(((A, 500),), 80.0)])
    assert solve(held, gap_pct=0).lines["semel_mosad"].to_list() == [A]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (HoldHarmless((("9", 5),), 80.0), "unknown school: 9"),
        (HoldHarmless(((A, 5), (A, 5)), 80.0), "names a school twice"),
        (RiseCap(((A, -5),), 80.0), "must be zero or more"),
        (MoneyShare("at_least", 101.0, MILAT), "not a percentage"),
        (MoneyShare("at_least", 10.0, MILAT, "x"), "unknown channel: x"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rule, says):
    with pytest.raises(ValueError, match=says):
        solve(problem(OPTIONS, schools={A: (10, 0.5), B: (20, 0.5)}, rules=[rule]))


def test_an_override_needs_a_reason_and_an_option():
    for rule, says in (
        (ManualOverride("milat", A, True, " ", "head"), "needs a reason"),
        (ManualOverride("posh", A, True, "r", "head"), "no such option"),
        (ManualOverride("milat", A, True, "r", "head", 7), "no such option"),
    ):
        with pytest.raises(ValueError, match=says):
            rule.check(CASE.canonical())


def test_a_forced_line_is_bought_at_its_dose_and_has_a_price():
    options = [
        option(A, "milat", 1, 1, 700),
        option(A, "milat", 2, 2, 1_000),
        option(B, "milat", 1, 9, 700),
    ]
    forced = ManualOverride("milat", A, True, "promised to the parents", "head of education", 1)
    case = problem(options, budget=1_000, rules=[forced])
    assert solve(problem(options, budget=1_000), gap_pct=0).lines["semel_mosad"].to_list() == [B]
    assert solve(case, gap_pct=0).lines.select("semel_mosad", "dose_level").rows() == [(A, 1)]
    price = rule_prices(case).row(0, named=True)
    assert (price["rule_id"], price["change"]) == (forced.rule_id, "left_out")
    assert price["worth_gain"] == pytest.approx(0.6 * (9 - 1))  # weight .1 + need .5


def test_a_forced_line_that_is_not_eligible_is_a_conflict():
    rule = ManualOverride("posh", B, True, "r", "head")
    with pytest.raises(InfeasibleRules) as caught:
        solve(problem(OPTIONS, rules=[rule]), gap_pct=0)
    assert caught.value.rules == ("eligibility", rule.rule_id)


def test_what_only_ties_options_together_is_no_lever():
    """Without it one school would pay a part of a shared cost, which nobody offers."""
    options = [option(A, "amirim", 1, 5, 100), option(B, "amirim", 1, 1, 900)]
    tied = Together((((A, "amirim", 1), (B, "amirim", 1)),))
    case = problem(options, budget=500, rules=[tied])
    plan = solve(case, gap_pct=0)
    assert plan.lines.is_empty()
    assert "together" not in rule_prices(case)["rule_id"].to_list()
    pair = pl.DataFrame({"semel_mosad": [A], "response_id": ["amirim"]})
    assert "together" not in turning_points(case, plan.lines, pair)["rule_id"].to_list()
