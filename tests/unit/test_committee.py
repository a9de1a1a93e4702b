"""What nothing counts for: which responses, whose amount, by which need, to whom (R122)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from models.allocation.problem.rule import Row
from models.allocation.rules.alone import Alone
from models.allocation.rules.choice import MustDrop, MustKeep, SchoolCapacity
from pipelines.decide import committee
from pipelines.decide.committee import registered_need, settled
from pipelines.decide.goals import counted_effects, uncounted
from pipelines.settings.city import load_city
from pipelines.settings.parameters import Parameter
from pipelines.warehouse.tables import nothing
from tests.allocation.cases import option, problem

A, B, C = "100001", "100002", "100003"
FULL = 100


@pytest.fixture(scope="module")
def city(small_city):
    return load_city(small_city)


def changed(city, response_id=None, effects=None, **update):
    """The city with another registration of one response, or other settings of effects."""
    policy = city.policy
    responses = dict(policy.responses)
    if response_id:
        responses[response_id] = responses[response_id].model_copy(update=update)
    own = policy.effects.model_copy(update=effects or {})
    policy = policy.model_copy(update={"responses": responses, "effects": own})
    return city.model_copy(update={"policy": policy})


def parameter(value):
    return Parameter.model_construct(value=value, unit="-", source="a test", reason="a test")


def effect_tables(city, measured=()):
    """Every registered effect, measured here where named; absence of merchav measured."""
    rows = [
        (name, subject, name in measured, city.policy.carried_share(name), 0.1, 0.05)
        for name, item in city.policy.responses.items()
        for subject in item.effects
    ]
    names = ["response_id", "subject", "is_measured", "transport_discount"]
    return {
        "mart_effect": pl.DataFrame(
            rows, schema=[*names, "effect_sd", "effect_se_sd"], orient="row"
        ),
        "mart_effect_absence": pl.DataFrame(
            {
                "response_id": ["merchav", "milat"],
                "is_goal": [True, False],
                "absence_saved_local": [1.2, 0.1],
                "absence_saved": [1.0, 0.1],
                "absence_saved_lo": [0.5, -0.5],
                "absence_saved_hi": [1.5, 0.7],
            }
        ),
    }


def test_what_nothing_counts_for_and_why(city):
    assert uncounted(city, effect_tables(city)) == {
        "merchav": "no_exchange_rate",
        "perach": "no_measure",
        "hebrew_immigrants": "assumed_only",
        "amirim": "assumed_only",
        "tikshuv": "no_measure",
        "informal_clubs": "no_measure",
    }
    # One estimate of one's own pupils is more than an assumption, where it is of the goal.
    found = uncounted(city, effect_tables(city, measured=("amirim", "tikshuv")))
    assert "amirim" not in found
    assert found["tikshuv"] == "no_measure"


def test_an_effect_on_what_measures_no_goal_of_it_does_not_count(city):
    counted = counted_effects(city, effect_tables(city, measured=city.policy.responses))
    assert not {"perach", "tikshuv", "informal_clubs"} & set(counted["response_id"])
    assert counted.filter(response_id="hebrew_immigrants")["subject"].to_list() == ["hebrew"]


def test_absence_counts_by_a_registered_exchange_rate_alone(city):
    rated = changed(city, effects={"sd_per_absence": parameter(0.02)})
    (row,) = counted_effects(rated, effect_tables(city)).filter(subject="absence").to_dicts()
    assert (row["response_id"], row["effect_sd"]) == ("merchav", pytest.approx(0.02))
    assert row["effect_se_sd"] == pytest.approx(0.02 * 0.5 / 1.6448536)
    assert "merchav" not in uncounted(rated, effect_tables(city))


INDICATORS = pl.DataFrame(
    [
        (A, "chronic_absence", True, 0.9),
        (A, "overt_dropout", True, 0.5),
        (A, "climate_safety", True, 0.1),
        (A, "gap_hebrew", True, 0.2),
        (B, "chronic_absence", True, 0.4),
        (B, "overt_dropout", False, None),
        (B, "gap_hebrew", True, 0.6),
        (C, "chronic_absence", False, None),
    ],
    schema=["semel_mosad", "indicator_id", "is_measured", "indicator_need"],
    orient="row",
)


def decision(value):
    """A decision of the log on PERACH."""
    row = {
        "decision_id": "d1",
        "planning_year": 2027,
        "decision_kind": "response",
        "response_id": "perach",
        "decision_value": value,
        "is_in_force": True,
    }
    return pl.DataFrame([row], schema_overrides={"planning_year": pl.Int32})


def need_tables(amounts=None, decided=None):
    return {
        "core_decision": pl.concat(
            [nothing("core_decision"), *([decision(decided)] if decided else [])], how="diagonal"
        ),
        "mart_need_index": pl.DataFrame({"semel_mosad": [A, B, C], "need": [0.8, 0.5, 0.3]}),
        "mart_need_indicator": INDICATORS,
        "mart_last_line": pl.DataFrame(
            list((amounts or {}).items()),
            schema={"response_id": pl.String, "last_year_agorot": pl.Int64},
            orient="row",
        ).with_columns(funding_channel=pl.lit("municipal_own")),
    }


@pytest.mark.parametrize(
    ("response_id", "basis", "needs"),
    [
        # Named by needs of its goals: what a school lacks is left out, all of it: the need index.
        ("merchav", "chronic_absence,climate_safety,overt_dropout", [0.5, 0.4, 0.3]),
        ("tikshuv", "need_index", [0.8, 0.5, 0.3]),  # no need is registered for its goal
        ("informal_clubs", "climate_safety", [0.1, 0.5, 0.3]),  # of its goal, though not named
        ("hebrew_immigrants", "gap_hebrew", [0.2, 0.6, 0.3]),
    ],
)
def test_the_need_is_what_is_registered_for_its_goals(city, response_id, basis, needs):
    found, by = registered_need(city, need_tables(), response_id)
    assert by == basis
    assert found.sort("semel_mosad")["need"].to_list() == pytest.approx(needs)


def shared(city, amounts, rules=(), budget=10_000, decided=None):
    """Who gets what of PERACH's amount: in each of three schools half a dose costs half of FULL."""
    options = [
        option(school, "perach", level, 0, FULL * level // 2, participants=10)
        for school in (A, B, C)
        for level in (1, 2)
    ]
    posed = problem(options, budget=budget, rules=rules)
    posed = SimpleNamespace(
        canonical=posed.canonical,
        options=posed.options.with_columns(
            host_semel_mosad=pl.lit(None, pl.String), asset_id=pl.lit(None, pl.String)
        ),
    )
    tables = need_tables(amounts, decided) | effect_tables(city)
    fixed, told = settled(city, tables, posed)
    (row,) = told.filter(response_id="perach").to_dicts()
    sources = dict(told.select("response_id", "amount_source").iter_rows())
    assert all(rule.source == sources[rule.response_id] for rule in fixed)
    return next((dict(r.doses) for r in fixed if r.response_id == "perach"), None), row


def test_an_amount_that_is_enough_reaches_all(city):
    doses, row = shared(city, {"perach": 3 * FULL})
    assert doses == {A: 1.0, B: 1.0, C: 1.0}
    assert (row["amount_source"], row["amount_agorot"]) == ("last_year", 3 * FULL)


def test_what_the_committee_decided_takes_the_place_of_last_year_s(city):
    doses, row = shared(city, {"perach": 3 * FULL}, decided="keep:1")
    assert (row["amount_source"], row["amount_agorot"]) == ("decision", 100)
    assert sum(FULL * dose for dose in doses.values()) <= 100
    _, row = shared(city, {"perach": 3 * FULL}, decided="keep")
    assert row["amount_source"] == "last_year"


def test_where_it_is_not_the_least_need_gives_way_first_and_no_more_is_spent(city):
    doses, _ = shared(city, {"perach": 120})
    assert set(doses) < {A, B, C}
    assert sum(FULL * dose for dose in doses.values()) <= 120
    order = [A, B, C]  # by need of the goals of PERACH: the mean of what is measured
    found, _ = registered_need(city, need_tables(), "perach")
    weights = dict(found.iter_rows())
    order.sort(key=lambda school: -weights[school])
    assert set(doses) == set(order[: len(doses)])


def test_capacity_eligibility_and_decisions_are_kept(city):
    doses, _ = shared(city, {"perach": 3 * FULL}, [SchoolCapacity("perach", 1)])
    assert len(doses) == 1
    doses, _ = shared(city, {"perach": 3 * FULL}, [MustDrop(((A, "perach"),))])
    assert set(doses) == {B, C}
    # Kept comes before need, and more than the amount is spent rather than a promise broken.
    doses, row = shared(city, {"perach": 10}, [MustKeep(((C, "perach", 0.5),))])
    assert doses == {C: 0.5}
    assert row["amount_agorot"] == 10


def test_no_more_than_the_channel_has(city):
    doses, _ = shared(city, {"perach": 3 * FULL}, budget=FULL)
    assert sum(FULL * dose for dose in doses.values()) <= FULL


def test_without_an_amount_nothing_is_shared_and_it_is_said(city):
    doses, row = shared(city, {})
    assert doses is None
    assert (row["amount_source"], row["amount_agorot"]) == ("none", None)


def test_the_committee_s_own_amount_goes_before_last_year_s(city):
    decided = changed(city, "perach", committee_amount=parameter(2))
    doses, row = shared(decided, {"perach": 3 * FULL})
    assert (row["amount_source"], row["amount_agorot"]) == ("policy", 200)
    assert sum(FULL * dose for dose in doses.values()) <= 200


@pytest.mark.parametrize("seed", range(25))
def test_how_many_are_served_is_found_by_halving_as_by_trying_each_number(city, seed, monkeypatch):
    """The same options as when every number of schools is tried, the greatest first."""
    random = np.random.default_rng(seed)
    count = int(random.integers(3, 40))
    codes = [f"{100_001 + k}" for k in range(count)]
    participants = random.integers(1, 60, count)
    fixed = random.choice([0, 5_000, 40_000])
    own = pl.DataFrame(
        [
            (code, level, int(fixed + participants[k] * 900 * level))
            for k, code in enumerate(codes)
            for level in range(1, 4)
        ],
        schema=["semel_mosad", "dose_level", "cost_agorot"],
        orient="row",
    ).with_columns(
        pl.int_range(pl.len()).alias("column"),
        participants=pl.Series(np.repeat(participants, 3)),
        is_kept=pl.Series(np.repeat(random.random(count) < 0.1, 3)),
        need=pl.lit(0.0),
    )
    need = pl.DataFrame({"semel_mosad": codes, "need": random.choice([0.1, 0.4, 0.9], count)})
    cost = own["cost_agorot"].to_numpy()
    rows = [
        Row.counting(own["column"].to_numpy(), upper=int(random.integers(1, count + 1))),
        Row(own["column"].to_numpy(), cost // 3, upper=int(random.integers(1, cost.sum()))),
    ]
    alone = Alone(np.ones(len(cost), bool), np.zeros(len(cost), bool), tuple(rows))
    x = np.zeros(len(cost))
    amount = int(random.integers(1, cost.sum()))
    found = committee._bought(city, own, need, amount, x, alone)
    monkeypatch.setattr(committee, "_most_served", lambda own, schools, *_: schools.height)
    assert found.equals(committee._bought(city, own, need, amount, x, alone))
