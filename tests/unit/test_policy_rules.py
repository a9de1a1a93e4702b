"""Each rule of the policy becomes the rule of the allocation that it stands for (R82–R93)."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest
from pydantic import ValidationError

from models.allocation.rules.change import HoldHarmless, NeediestKept, RiseCap
from models.allocation.rules.choice import EverySchoolServed, MustDrop, MustKeep
from models.allocation.rules.conditions import MinimumGroup, Prerequisite
from models.allocation.rules.decided import (
    Commitment,
    DecidedDrop,
    DecidedKeep,
    ManualOverride,
    NoticePeriod,
)
from models.allocation.rules.money import SchoolFloor, SourceExcluded
from models.allocation.rules.shares import MoneyShare
from models.allocation.solve.relaxation import RELAX_ORDER
from pipelines.decide.rules import minimum_groups, rules
from pipelines.settings.city import CityError
from pipelines.settings.policy_rules import SCENARIO_SOURCE, SHARES, Rules
from pipelines.warehouse.tables import nothing

CITED = {"source": "test", "reason": "test"}


def parameter(value, unit="percent"):
    return {"value": value, "unit": unit, **CITED}


def response(**others):
    plain = {
        "horizon": "short",
        "committed_until": None,
        "is_allocated": True,
        "name_he": "מענה",
        "name_en": "a response",
    }
    return SimpleNamespace(**plain | others)


def city(stated, **responses):
    known = {"tutoring": response(), "mentoring": response(horizon="long")} | responses
    policy = SimpleNamespace(
        planning_year=SimpleNamespace(value=2027),
        rules=Rules.model_validate(stated),
        responses=known,
        school_responses={name: item for name, item in known.items() if item.is_allocated},
        dose_response=SimpleNamespace(value={0.5: 0.6, 1.0: 1.0}),
        equity_gamma=SimpleNamespace(value=1.0),
        need_offset=SimpleNamespace(value=0.5),
        need=SimpleNamespace(sure=SimpleNamespace(value=0.9)),
    )
    return SimpleNamespace(policy=policy, planning_year=2027)


def tables(**others):
    """Four equal schools of falling need, two streams; tutoring runs in the first."""
    return {
        "mart_need_index": pl.DataFrame(
            {
                "semel_mosad": ["a", "b", "c", "d"],
                "school_name_he": ["א", "ב", "ג", "ד"],
                "stream": ["state", "state", "haredi", "haredi"],
                "pupils": [100, 100, 100, 100],
                "need": [0.9, 0.7, 0.3, 0.1],
                "need_tier": ["A", "A", "B", "B"],
                "p_need_tier": [0.9, 0.89, 0.9, 1.0],
            }
        ),
        "mart_response_map": pl.DataFrame(
            [
                (s, r, True, s == "a" and r == "tutoring")
                for s in "abcd"
                for r in ("tutoring", "mentoring")
            ],
            schema=["semel_mosad", "response_id", "is_measured", "is_served"],
            orient="row",
        ),
        "mart_last_plan": pl.DataFrame(
            {"semel_mosad": ["d", "a", "closed"], "last_year_agorot": [50, 900, 7]}
        ),
        "mart_verdict": (
            pl.DataFrame(
                [
                    ("tutoring", "effective"),
                    ("mentoring", "insufficient_evidence"),
                    ("clubs", "insufficient_evidence"),
                ],
                schema=["response_id", "verdict"],
                orient="row",
            ).with_columns(group_id=pl.lit("all"), subject=pl.lit("all"))
        ),
        "mart_design_option": pl.DataFrame(
            {"response_id": ["mentoring", "clubs"], "design": ["lottery", "none"]}
        ),
        "core_decision": nothing("core_decision"),
    } | others


def of_kind(kind, stated, **responses):
    return [rule for rule in rules(city(stated, **responses), tables()) if isinstance(rule, kind)]


def shares(side, stated):
    return [rule for rule in of_kind(MoneyShare, stated) if rule.side == side]


def test_no_rule_is_declared_none_holds():
    assert rules(city({}), tables()) == ()


def test_the_long_term_is_the_responses_of_a_long_horizon():
    (rule,) = shares("at_least", {"long_term_min": parameter(20)})
    assert rule.share_pct == 20
    assert rule.part.responses == ("mentoring",)
    assert rule.part.schools is None


def test_the_neediest_quarter_is_a_quarter_of_the_pupils():
    (rule,) = shares("at_least", {"neediest_quarter_min": parameter(40)})
    assert rule.part.schools == ("a",)


@pytest.mark.parametrize(
    ("needs", "neediest"),
    [
        ([0.5], ("a",)),
        ([0.5, 0.5], ("a", "b")),
        ([0.9, 0.1], ("a",)),
        ([0.5, 0.5, 0.5, 0.5], ("a", "b", "c", "d")),
    ],
)
def test_some_schools_are_the_neediest_quarter_however_few_or_equal_they_are(needs, neediest):
    few = tables()["mart_need_index"].head(len(needs)).with_columns(need=pl.Series(needs))
    stated = city({"neediest_quarter_min": parameter(40)})
    (rule,) = rules(stated, tables(mart_need_index=few))
    assert rule.part.schools == neediest


def test_exploration_is_what_is_not_known_and_can_be_evaluated():
    stated = {"exploration_min": parameter(2), "exploration_max": parameter(9)}
    (least,), (most,) = shares("at_least", stated), shares("at_most", stated)
    assert least.part == most.part
    assert least.part.responses == ("mentoring",)
    assert (least.share_pct, most.share_pct) == (2, 9)


def test_streams_stay_near_their_share_of_the_weighted_pupils():
    stated = {"stream_tolerance": parameter(10)}
    least = {rule.part.schools: rule.share_pct for rule in shares("at_least", stated)}
    most = {rule.part.schools: rule.share_pct for rule in shares("at_most", stated)}
    # Weights .5 + need: 1.4 + 1.2 against .8 + .6, so 65 % and 35 %.
    assert least == {("a", "b"): 55.0, ("c", "d"): 25.0}
    assert most == {("a", "b"): 75.0, ("c", "d"): 45.0}


def test_last_year_is_that_of_the_schools_of_the_plan():
    stated = {"hold_harmless": parameter(80), "rise_cap": parameter(150)}
    (kept,), (capped,) = of_kind(HoldHarmless, stated), of_kind(RiseCap, stated)
    assert kept.last_year == capped.last_year == (("a", 900), ("d", 50))
    assert (kept.share_pct, capped.share_pct) == (80, 150)


def test_the_neediest_are_those_surely_of_the_first_tier():
    (rule,) = of_kind(NeediestKept, {"neediest_kept": parameter(90)})
    assert (rule.last_year, rule.share_pct) == ((("a", 900),), 90)


def test_without_last_year_s_money_the_rule_is_refused():
    nothing = pl.DataFrame(schema={"semel_mosad": pl.String, "last_year_agorot": pl.Int64})
    with pytest.raises(ValueError, match="no budget of a former year"):
        rules(city({"hold_harmless": parameter(80)}), tables(mart_last_plan=nothing))


@pytest.mark.parametrize(
    ("until", "kept"), [(2027, [Commitment((("a", "tutoring", 0.5),))]), (2026, [])]
)
def test_a_commitment_into_the_planning_year_stays_where_it_runs(until, kept):
    assert of_kind(Commitment, {}, tutoring=response(committed_until=until)) == kept


def test_a_kept_response_that_is_committed_too_is_kept_by_both():
    stated = {
        "must_keep": [{"response": "tutoring", "schools": "served", "dose_level": 2, **CITED}]
    }
    held = of_kind(MustKeep, stated, tutoring=response(committed_until=2028))
    assert held == [MustKeep((("a", "tutoring", 1.0),)), Commitment((("a", "tutoring", 0.5),))]


DECIDED = pl.DataFrame(
    {
        "planning_year": [2026, 2027, 2027],
        "response_id": ["mentoring", "tutoring", "mentoring"],
        "decision": ["keep", "keep", "drop"],
    },
    schema_overrides={"planning_year": pl.Int32},
)


def test_what_people_decided_binds_where_the_policy_says_so():
    """Of the planned year alone; what is kept stays where it runs, what is dropped is not given."""
    said = tables(mart_decision=DECIDED)
    bound = rules(city({"decisions": parameter(True, "yes or no")}), said)
    assert bound == (
        DecidedKeep((("a", "tutoring", 0.5),)),
        DecidedDrop(tuple((school, "mentoring") for school in "abcd")),
    )
    assert (
        rules(city({"decisions": parameter(False, "yes or no")}), said)
        == rules(city({}), said)
        == ()
    )


def test_what_the_policy_keeps_anyway_is_left_to_its_own_rule():
    """Of two rules that ask the same, neither would have a price."""
    keep = {"must_keep": [{"response": "tutoring", "schools": "served", "dose_level": 2, **CITED}]}
    bound = rules(
        city(keep | {"decisions": parameter(True, "yes or no")}),
        tables(mart_decision=DECIDED.head(2)),
    )
    assert bound == (MustKeep((("a", "tutoring", 1.0),)),)


@pytest.mark.parametrize("decision", ["change", "evaluate"])
def test_to_change_or_to_evaluate_binds_nothing(decision):
    said = tables(mart_decision=DECIDED.with_columns(decision=pl.lit(decision)))
    assert rules(city({"decisions": parameter(True, "yes or no")}), said) == ()


def test_a_decision_on_what_is_not_decided_on_here_binds_nothing():
    stated = city(
        {"decisions": parameter(True, "yes or no")},
        tutoring=response(is_allocated=False),
        mentoring=response(is_allocated=False),
    )
    assert rules(stated, tables(mart_decision=DECIDED)) == ()


def test_who_is_served_must_be_known():
    unknown = tables()["mart_response_map"].with_columns(is_measured=False)
    with pytest.raises(ValueError, match="no participation is reported"):
        rules(city({}, tutoring=response(committed_until=2027)), tables(mart_response_map=unknown))


def test_a_rise_cannot_be_capped_below_last_year():
    with pytest.raises(ValidationError, match=r"rise_cap\.value"):
        Rules.model_validate({"rise_cap": parameter(90)})


def test_a_group_is_as_large_as_all_the_schools_that_share_it():
    stated = {"minimum_groups": [{"response": "tutoring", "participants": 12, **CITED}]}
    choices = pl.DataFrame(
        [
            ("a", "tutoring", 1, 11, None),
            ("b", "tutoring", 1, 12, None),
            ("c", "tutoring", 1, 3, None),
            ("a", "tutoring", 2, 11, "c"),  # with c: 14
            ("c", "tutoring", 2, 3, "c"),
            ("d", "mentoring", 1, 3, None),
        ],
        schema=["semel_mosad", "response_id", "dose_level", "participants", "host_semel_mosad"],
        orient="row",
    )
    (rule,) = minimum_groups(city(stated), choices)
    assert rule == MinimumGroup(
        "tutoring", 12, (("a", 1), ("c", 1)), response_he="מענה", response_en="a response"
    )


@pytest.mark.parametrize(
    ("last_year", "running", "dropped"),
    [(2027, [("a",)], []), (2026, [], [tuple((s, "tutoring") for s in "abcd")])],
)
def test_a_response_under_notice_goes_on_where_it_runs_and_then_ends(last_year, running, dropped):
    stated = {"notice_periods": [{"response": "tutoring", "last_year": last_year, **CITED}]}
    assert [rule.schools for rule in of_kind(NoticePeriod, stated)] == running
    assert [rule.pairs for rule in of_kind(MustDrop, stated)] == dropped


def test_conditions_of_responses_and_of_money():
    stated = {
        "prerequisites": [{"response": "tutoring", "needs": "mentoring", **CITED}],
        "source_exclusions": [
            {"channel": "gefen_school", "responses": ["tutoring"], **CITED},
            {"channel": "gefen_school", "responses": ["mentoring"], **CITED},
        ],
        "school_floor_per_pupil": parameter(100, "NIS per pupil per year"),
    }
    (needs,), (excluded,) = of_kind(Prerequisite, stated), of_kind(SourceExcluded, stated)
    assert (needs.response_id, needs.needed_id) == ("tutoring", "mentoring")
    assert (excluded.funding_channel, excluded.response_ids) == (
        "gefen_school",
        ("mentoring", "tutoring"),
    )
    assert of_kind(SchoolFloor, stated) == [SchoolFloor(10_000)]


OVERRIDE = {
    "response": "tutoring",
    "schools": ["a", "b"],
    "decision": "forbidden",
    "reason": "the school refuses it",
    "decided_by_role": "department_head",
    "decided_on": "2026-05-03",
}


def test_an_override_is_one_rule_for_each_school_with_its_reason():
    forbidden = of_kind(ManualOverride, {"overrides": [OVERRIDE]})
    assert [(r.semel_mosad, r.is_forced, r.school_he) for r in forbidden] == [
        ("a", False, "א"),
        ("b", False, "ב"),
    ]
    assert all(
        "the school refuses it" in r.sentence_he
        and "department head" in r.sentence_en
        and "מנהל/ת אגף החינוך" in r.sentence_he
        for r in forbidden
    )


@pytest.mark.parametrize("left_out", ["reason", "decided_by_role", "decided_on"])
@pytest.mark.parametrize("given", [None, " "])
def test_an_override_without_reason_is_refused(left_out, given):
    said = {key: value for key, value in OVERRIDE.items() if key != left_out}
    said |= {} if given is None else {left_out: given}
    with pytest.raises(ValidationError, match=left_out):
        Rules.model_validate({"overrides": [said]})


def test_an_override_of_a_school_that_is_not_in_the_plan_is_refused():
    with pytest.raises(ValueError, match="no school x"):
        rules(city({"overrides": [OVERRIDE | {"schools": ["x"]}]}), tables())


def test_a_school_may_go_without_by_recorded_decision_only():
    stated = {"every_school_served": parameter(True, "yes or no")}
    assert of_kind(EverySchoolServed, stated) == [EverySchoolServed()]
    decided = {
        "schools": ["c"],
        "reason": "closes in summer",
        "decided_by_role": "department_head",
        "decided_on": "2026-05-03",
    }
    exempt = stated | {"served_exemptions": [decided]}
    assert of_kind(EverySchoolServed, exempt) == [EverySchoolServed(("c",))]
    with pytest.raises(ValidationError, match="reason"):
        Rules.model_validate({"served_exemptions": [decided | {"reason": ""}]})


def test_a_policy_can_order_all_that_may_give_way():
    assert Rules.model_validate({"relax_order": list(RELAX_ORDER)}).relax_order == RELAX_ORDER
    with pytest.raises(ValidationError, match="relax_order"):
        Rules.model_validate({"relax_order": ["eligibility"]})


def logged(*rows):
    """The committee's log: rows of core_decision in force for the planned year."""
    common = {
        "planning_year": 2027,
        "decision_reason": "כך הוחלט",
        "decided_by_role": "budget_committee",
        "is_in_force": True,
    }
    held = pl.DataFrame(
        [common | {"decision_id": f"d{n}"} | row for n, row in enumerate(rows)],
        schema_overrides={"planning_year": pl.Int32},
    )
    return {"core_decision": pl.concat([nothing("core_decision"), held], how="diagonal")}


def test_what_the_log_decides_by_hand_is_a_rule_and_comes_before_the_policy_s():
    stated = {
        "overrides": [
            {
                "response": "tutoring",
                "schools": ["a", "b"],
                "decision": "forced",
                "reason": "test",
                "decided_by_role": "department_head",
                "decided_on": "2026-06-01",
            }
        ]
    }
    log = logged(
        {
            "decision_kind": "override",
            "response_id": "tutoring",
            "semel_mosad": "a",
            "decision_value": "forbidden",
        },
        {
            "decision_kind": "override",
            "response_id": "mentoring",
            "semel_mosad": "c",
            "decision_value": "forced:2",
        },
    )
    made = {
        (rule.semel_mosad, rule.response_id): (rule.is_forced, rule.dose_level, rule.role)
        for rule in rules(city(stated), tables(**log))
        if isinstance(rule, ManualOverride)
    }
    assert made == {
        ("a", "tutoring"): (False, None, "budget committee"),
        ("b", "tutoring"): (True, None, "department head"),
        ("c", "mentoring"): (True, 2, "budget committee"),
    }


@pytest.mark.parametrize("name", SHARES)
def test_a_share_that_was_decided_holds_before_the_policy_s(name):
    stated = Rules.model_validate({name: parameter(10, Rules.parameter_units()[name].unit)})
    decided = stated.with_share(name, 15, source="committee", reason="decided")
    assert getattr(decided, name).value == 15
    asked = stated.model_copy(
        update={name: getattr(stated, name).model_copy(update={"source": f"{SCENARIO_SOURCE}more"})}
    )
    assert getattr(asked.with_share(name, 15, source="x", reason="y"), name).value == 10


def test_only_shares_are_decided_so():
    with pytest.raises(KeyError):
        Rules().with_share("rise_cap", 120, source="x", reason="y")


@pytest.mark.parametrize(
    "change", [{"semel_mosad": "zz"}, {"response_id": "unheard"}, {"decision_value": "forced:9"}]
)
def test_a_decision_by_hand_on_what_no_plan_gives_says_so_in_both_languages(change):
    row = {
        "decision_kind": "override",
        "response_id": "tutoring",
        "semel_mosad": "a",
        "decision_value": "forced",
    }
    with pytest.raises(CityError, match="decision d0 of the log") as refused:
        rules(city({}), tables(**logged(row | change)))
    assert "החלטה d0 ביומן" in refused.value.he
