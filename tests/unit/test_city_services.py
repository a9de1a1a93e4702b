"""Services of the whole city, whose money it is, and what parents pay (R18, R79, R83)."""

from types import SimpleNamespace

import polars as pl
import pytest

from models.allocation.rules.money import ParentsPayments
from pipelines.decide import city_services, parents
from pipelines.decide.allocation import with_payers
from pipelines.settings.city import CityError, load_city
from pipelines.settings.scenario_files import confirmed_only
from pipelines.warehouse.tables import nothing

SERVICES = pl.DataFrame(
    [
        ("centre", True, 11, "keep"),
        ("given_up", True, 20, "drop"),
        ("unheard", True, None, None),
        ("national", False, 500, None),
    ],
    schema=["response_id", "is_allocated", "places_kept", "decision"],
    orient="row",
)
CHILD = {"municipal_own": 0.35, "ministry_other": 0.5, "parents": 0.15}


def value(what):
    return SimpleNamespace(value=what)


def city(decided=(), *, binds=True, parents_rule=True):
    response = SimpleNamespace(
        fixed_cost=value(1_000), unit_cost=value(65), funding=CHILD, is_excellence=True
    )
    allocated = dict.fromkeys(("centre", "given_up", "unheard"), response)
    policy = SimpleNamespace(
        planning_year=value(2027),
        responses=allocated | {"clubs": response},
        city_services=allocated,
        channels={"municipal_own": None, "parents": None},
        rules=SimpleNamespace(
            city_places=[SimpleNamespace(response=name, places=n) for name, n in decided],
            decisions=value(binds),
            parents_payments=value(parents_rule),
        ),
        suppression=SimpleNamespace(count_pupils=value(5)),
        confirmation=lambda _, channel: {"municipal_own": "confirmed"}.get(channel, "assumed"),
    )
    return SimpleNamespace(policy=policy)


@pytest.mark.parametrize(
    ("decided", "binds", "expected"),
    [
        ((), True, {"centre": 11, "given_up": 0, "unheard": None}),
        ((), False, {"centre": 11, "given_up": 20, "unheard": None}),
        ((("centre", 8), ("given_up", 3)), True, {"centre": 8, "given_up": 3, "unheard": None}),
    ],
)
def test_who_is_placed_keeps_the_place_unless_decided(decided, binds, expected):
    tables = {"core_city_service": SERVICES}
    assert city_services.places(city(decided, binds=binds), tables) == expected


def test_a_service_is_paid_once_and_by_its_shares():
    tables = {"core_city_service": SERVICES}
    paid = city_services.paid(city(), tables)
    # 1,000 NIS + 11 × 65 NIS = 1,715 NIS.
    assert paid.select("response_id", "funding_channel", "amount_agorot").rows() == [
        ("centre", "ministry_other", 85_750),
        ("centre", "municipal_own", 60_025),
        ("centre", "parents", 25_725),
    ]
    told = {row["response_id"]: row for row in city_services.told(city(), tables).to_dicts()}
    assert told["centre"]["cost_agorot"] == 171_500
    assert (told["given_up"]["places"], told["given_up"]["cost_agorot"]) == (0, 0)
    assert told["unheard"]["cost_agorot"] is None, "of unknown places the price is not known"
    assert told["national"]["places"] is None


def test_a_line_says_who_pays_it_and_what_nobody_confirmed():
    lines = pl.DataFrame({"semel_mosad": ["1", "2"], "response_id": ["clubs", "clubs"]})
    money = pl.DataFrame(
        [
            ("1", "clubs", "municipal_own", 60),
            ("1", "clubs", "parents", 40),
            ("1", "clubs", "ministry_other", 7),
        ],
        schema=["semel_mosad", "response_id", "funding_channel", "amount_agorot"],
        orient="row",
    )
    assert with_payers(
        city(), {"core_confirmation": nothing("core_confirmation")}, lines, money
    ).rows() == [
        ("1", "clubs", 60, 40, 47),
        ("2", "clubs", 0, 0, 0),
    ]


NEED = pl.DataFrame(
    {
        "semel_mosad": ["a", "b", "c", "d"],
        "pupils": [100, 100, 100, 100],
        "need": [0.9, 0.7, 0.3, 0.1],
    }
)


def paid(*rows):
    return pl.DataFrame(
        rows,
        schema={
            "place": pl.String,
            "response_id": pl.String,
            "school_year": pl.Int32,
            "paid_agorot": pl.Int64,
            "pupils": pl.Int32,
            "small_pupils": pl.Int32,
        },
        orient="row",
    )


LAST = (
    ("a", "all", 2025, 9_999, 100, None),
    ("a", "all", 2026, 1_000, 90, None),
    ("b", "all", 2026, 0, 100, None),
    ("d", "all", 2026, 400, 80, None),
    ("city", "all", 2026, 1_700, 370, None),
)


def test_parents_of_a_school_pay_no_more_per_pupil_than_last_year():
    tables = {"mart_need_index": NEED, "mart_parents_payment": paid(*LAST)}
    # 1,000 × 100 ÷ 90, rounded towards allowing more; of c nothing is known.
    assert parents.rules(city(), tables) == (
        ParentsPayments("parents", (("a", 1_112), ("b", 0), ("d", 500))),
    )
    assert parents.unchecked(city(), tables).is_empty()
    assert parents.rules(city(parents_rule=False), tables) == ()


def test_without_payments_the_rule_cannot_be_checked_and_says_so():
    tables = {"mart_need_index": NEED, "mart_parents_payment": paid()}
    assert parents.rules(city(), tables) == ()
    (row,) = parents.unchecked(city(), tables).to_dicts()
    assert row["rule_id"] == "parents_payments"
    assert (row["is_satisfied"], row["rule_value"]) == (None, None)
    assert parents.unchecked(city(parents_rule=False), tables).is_empty()


def told(*last):
    lines = pl.DataFrame(
        {"semel_mosad": ["a", "a", "d"], "parents_agorot": [500, 600, 40]},
        schema={"semel_mosad": pl.String, "parents_agorot": pl.Int64},
    )
    services = pl.DataFrame(
        {"funding_channel": ["parents", "municipal_own"], "amount_agorot": [90, 9]}
    )
    tables = {"mart_need_index": NEED, "mart_parents_payment": paid(*last)}
    rows = parents.told(tables, lines, services).to_dicts()
    return {(row["payment_scope"], row["division_id"]): row for row in rows}


def test_payments_are_told_by_school_quarter_and_city():
    found = told(*LAST)
    assert len(found) == 4 + 4 + 1
    a, first, third = (
        found[key] for key in (("school", "a"), ("need_quartile", "1"), ("need_quartile", "3"))
    )
    assert (a["last_year_per_pupil_agorot"], a["parents_per_pupil_agorot"]) == (11, 11)
    assert (first["last_year_paid_agorot"], first["parents_agorot"]) == (1_000, 1_100)
    assert third["last_year_paid_agorot"] is None, "c reported nothing, which is not nothing paid"
    whole = found["city", "city"]
    assert (whole["last_year_paid_agorot"], whole["parents_agorot"]) == (1_700, 1_100 + 40 + 90)


def test_the_plan_without_what_is_not_confirmed_has_whoever_confirmed_pay_all(small_city):
    policy = load_city(small_city).policy
    (made,) = confirmed_only(policy)
    for name, item in made.policy.school_responses.items():
        assert sum(item.funding.values()) == pytest.approx(1)
        assert {policy.confirmation(name, channel) for channel in item.funding} == {"confirmed"}
    assert made.policy.rules.hold_harmless is made.policy.rules.excellence_max is None
    assert made.policy.rules.excellence_min == policy.rules.excellence_min
    assert made.policy.rules.must_keep == policy.rules.must_keep
    said = {change.parameter_id for change in made.changes}
    assert "policy.responses.milat.funding.ministry_other" in said


def test_what_nobody_confirmed_is_given_to_nobody(small_city):
    policy = load_city(small_city).policy
    away = {"ministry_other": 1.0}
    responses = policy.responses | {
        name: policy.responses[name].model_copy(update={"funding": away})
        for name in ("milat", "gifted_center")
    }
    (made,) = confirmed_only(policy.model_copy(update={"responses": responses}))
    assert "milat" in [item.response for item in made.policy.rules.must_drop]
    assert [(item.response, item.places) for item in made.policy.rules.city_places] == [
        ("gifted_center", 0)
    ]


def test_all_confirmed_needs_no_other_plan(small_city):
    policy = load_city(small_city).policy
    sure = policy.channels["municipal_own"].confirmation
    channels = {
        name: item.model_copy(update={"confirmation": sure})
        for name, item in policy.channels.items()
    }
    assert confirmed_only(policy.model_copy(update={"channels": channels})) == ()


def test_a_rule_that_would_slice_a_service_of_the_city_is_refused(small_city, tmp_path):
    for name in ("city.yaml", "policy.yaml"):
        (tmp_path / name).write_text(
            (small_city / name)
            .read_text(encoding="utf-8")
            .replace(
                "{response: amirim, schools: served", "{response: gifted_center, schools: served"
            ),
            encoding="utf-8",
        )
    with pytest.raises(CityError, match=r"rules\.must_keep\.1.*service of the whole city"):
        load_city(tmp_path)
