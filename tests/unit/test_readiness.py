"""What a policy counts on and the files do not hold: named, with its line, in both languages."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.aim.readiness import Held, unready
from pipelines.settings.city import load_city

PLAIN = Path(__file__).parents[1] / "settings" / "plain_city"
WHOLE = Held(
    scales=frozenset({"INT"}),
    running=frozenset({"tutoring"}),
    assets=frozenset({"pool"}),
    schools=12,
    without_basket=0,
    measured=frozenset({"gap_math", "chronic_absence"}),
)


@pytest.fixture(scope="module")
def city():
    return load_city(PLAIN)


def test_a_policy_that_the_files_bear_out_has_no_finding(city):
    assert unready(city, WHOLE) == []


@pytest.mark.parametrize(
    ("change", "keys", "says"),
    [
        ({"scales": frozenset({"INT", "L1"})}, ("targets",), "L1, which has no target"),
        ({"scales": frozenset()}, ("targets",), "has no score"),
        ({"running": frozenset({"tutoring", "choir"})}, ("responses",), "choir runs in the city"),
        ({"schools": 9}, (), "9 schools are too few"),
        (
            {"measured": frozenset({"gap_math"})},
            ("need", "indicators", "absence"),
            "weighs 40 percent of need",
        ),
    ],
)
def test_what_is_not_borne_out_is_named_with_its_line(city, change, keys, says):
    [found] = unready(city, replace(WHOLE, **change))
    assert found.keys == keys
    assert says in found.en
    assert re.search("[א-ת]{3}", found.he)
    assert not found.stops
    line = (PLAIN / "policy.yaml").read_text(encoding="utf-8").splitlines()[found.line - 1]
    assert not keys or keys[-1] in line


def _with_policy(city, **update):
    return city.model_copy(update={"policy": city.policy.model_copy(update=update)})


def test_a_response_without_cost_gets_no_money(city):
    tutoring = city.policy.responses["tutoring"]
    free = {
        name: getattr(tutoring, name).model_copy(update={"value": 0})
        for name in ("fixed_cost", "unit_cost")
    }
    free = tutoring.model_copy(update={**free, "is_allocated": False})
    [found] = unready(_with_policy(city, responses={"tutoring": free}), WHOLE)
    assert found.keys == ("responses", "tutoring")
    assert "no plan gives it money" in found.en


def test_an_asset_that_no_inventory_holds_stops_the_run(city):
    [found] = unready(_with_policy(city, assets={"hall": {}, "pool": {}}), WHOLE)
    assert found.keys == ("assets", "hall")
    assert found.stops


def test_baskets_and_budgets_without_money_are_named(city):
    channels = dict(city.policy.channels)
    own = channels["municipal_own"]
    channels["gefen_school"] = channels["gefen_school"].model_copy(
        update={"per_pupil": None, "per_school_from": "gefen_agorot"}
    )
    channels["municipal_own"] = own.model_copy(
        update={"budget": own.budget.model_copy(update={"value": 0})}
    )
    found = unready(_with_policy(city, channels=channels), replace(WHOLE, without_basket=4))
    assert {one.keys[1] for one in found} == {"gefen_school", "municipal_own"}
    assert any("4 of 12 schools have no Gefen basket" in one.en for one in found)
