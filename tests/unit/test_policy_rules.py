"""Each rule of the policy becomes the rule of the allocation that it stands for (R82–R93)."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest
from pydantic import ValidationError

from models.allocation import HoldHarmless, MustKeep, PartShareMax, PartShareMin, RiseCap
from pipelines.decide.allocation import with_minimum_groups
from pipelines.decide.rules import rules
from pipelines.policy_rules import Rules

CITED = {"source": "test", "reason": "test"}


def parameter(value):
    return {"value": value, "unit": "-", **CITED}


def response(**others):
    return SimpleNamespace(**{"horizon": "short", "committed_until": None, "is_allocated": True} | others)  # fmt: skip


def city(stated, **responses):
    known = {"tutoring": response(), "mentoring": response(horizon="long")} | responses
    policy = SimpleNamespace(
        rules=Rules.model_validate(stated),
        responses=known,
        dose_response=SimpleNamespace(value={0.5: 0.6, 1.0: 1.0}),
        equity_gamma=SimpleNamespace(value=1.0),
        need_offset=SimpleNamespace(value=0.5),
    )
    return SimpleNamespace(policy=policy, planning_year=2027)


def tables(**others):
    """Four equal schools of falling need, two streams; tutoring runs in the first."""
    return {
        "mart_need_index": pl.DataFrame(
            {
                "semel_mosad": ["a", "b", "c", "d"],
                "stream": ["state", "state", "haredi", "haredi"],
                "pupils": [100, 100, 100, 100],
                "need": [0.9, 0.7, 0.3, 0.1],
            }
        ),
        "mart_response_map": pl.DataFrame(
            [(s, r, True, s == "a" and r == "tutoring") for s in "abcd" for r in ("tutoring", "mentoring")],
            schema=["semel_mosad", "response_id", "is_measured", "is_served"], orient="row",
        ),
        "mart_last_plan": pl.DataFrame({"semel_mosad": ["d", "a", "closed"], "last_year_agorot": [50, 900, 7]}),
        "mart_verdict": pl.DataFrame(
            [("tutoring", "effective"), ("mentoring", "insufficient_evidence"), ("clubs", "insufficient_evidence")],
            schema=["response_id", "verdict"], orient="row",
        ).with_columns(group_id=pl.lit("all"), subject=pl.lit("all")),
        "mart_design_option": pl.DataFrame({"response_id": ["mentoring", "clubs"], "design": ["lottery", "none"]}),
    } | others  # fmt: skip


def of_kind(kind, stated, **responses):
    return [rule for rule in rules(city(stated, **responses), tables()) if isinstance(rule, kind)]


def test_no_rule_is_declared_none_holds():
    assert rules(city({}), tables()) == ()


def test_the_long_term_is_the_responses_of_a_long_horizon():
    (rule,) = of_kind(PartShareMin, {"long_term_min": parameter(20)})
    assert rule.min_share_pct == 20
    assert rule.part.responses == ("mentoring",)
    assert rule.part.schools is None


def test_the_neediest_quarter_is_a_quarter_of_the_pupils():
    (rule,) = of_kind(PartShareMin, {"neediest_quarter_min": parameter(40)})
    assert rule.part.schools == ("a",)


def test_exploration_is_what_is_not_known_and_can_be_evaluated():
    stated = {"exploration_min": parameter(2), "exploration_max": parameter(9)}
    (least,), (most,) = of_kind(PartShareMin, stated), of_kind(PartShareMax, stated)
    assert least.part == most.part
    assert least.part.responses == ("mentoring",)
    assert (least.min_share_pct, most.max_share_pct) == (2, 9)


def test_streams_stay_near_their_share_of_the_weighted_pupils():
    stated = {"stream_tolerance": parameter(10)}
    least = {rule.part.schools: rule.min_share_pct for rule in of_kind(PartShareMin, stated)}
    most = {rule.part.schools: rule.max_share_pct for rule in of_kind(PartShareMax, stated)}
    # Weights .5 + need: 1.4 + 1.2 against .8 + .6, so 65 % and 35 %.
    assert least == {("a", "b"): 55.0, ("c", "d"): 25.0}
    assert most == {("a", "b"): 75.0, ("c", "d"): 45.0}


def test_last_year_is_that_of_the_schools_of_the_plan():
    stated = {"hold_harmless": parameter(80), "rise_cap": parameter(150)}
    (kept,), (capped,) = of_kind(HoldHarmless, stated), of_kind(RiseCap, stated)
    assert kept.last_year == capped.last_year == (("a", 900), ("d", 50))
    assert (kept.kept_pct, capped.most_pct) == (80, 150)


def test_without_last_year_s_money_the_rule_is_refused():
    nothing = pl.DataFrame(schema={"semel_mosad": pl.String, "last_year_agorot": pl.Int64})
    with pytest.raises(ValueError, match="no budget of a former year"):
        rules(city({"hold_harmless": parameter(80)}), tables(mart_last_plan=nothing))


@pytest.mark.parametrize(("until", "kept"), [(2027, [MustKeep((("a", "tutoring", 0.5),))]), (2026, [])])  # fmt: skip
def test_a_commitment_into_the_planning_year_stays_where_it_runs(until, kept):
    assert of_kind(MustKeep, {}, tutoring=response(committed_until=until)) == kept


def test_a_kept_response_that_is_committed_too_is_kept_once():
    stated = {"must_keep": [{"response": "tutoring", "schools": "served", "dose_level": 2, **CITED}]}  # fmt: skip
    (rule,) = of_kind(MustKeep, stated, tutoring=response(committed_until=2028))
    assert rule.pairs == (("a", "tutoring", 1.0),)


def test_who_is_served_must_be_known():
    unknown = tables()["mart_response_map"].with_columns(is_measured=False)
    with pytest.raises(ValueError, match="no participation is reported"):
        rules(city({}, tutoring=response(committed_until=2027)), tables(mart_response_map=unknown))


def test_a_rise_cannot_be_capped_below_last_year():
    with pytest.raises(ValidationError, match="rise_cap"):
        Rules.model_validate({"rise_cap": parameter(90)})


def test_a_group_that_is_too_small_is_not_eligible_and_says_why():
    stated = {"minimum_groups": [{"response": "tutoring", "participants": 12, **CITED}]}
    choices = pl.DataFrame(
        {
            "semel_mosad": ["a", "b", "c", "d"],
            "response_id": ["tutoring", "tutoring", "tutoring", "mentoring"],
            "participants": pl.Series([11, 12, 3, 3], dtype=pl.Int32),
            "is_eligible": [True, True, False, True],
            "eligibility_reason_en": ["open", "open", "not of the stream", "open"],
            "eligibility_reason_he": ["פתוח", "פתוח", "לא בזרם", "פתוח"],
        }
    )
    found = with_minimum_groups(choices, city(stated))
    assert found["is_eligible"].to_list() == [False, True, False, True]
    assert found["eligibility_reason_en"].to_list() == [
        "11 participants here, and it is opened for at least 12", "open", "not of the stream", "open",
    ]  # fmt: skip
    assert "11" in found["eligibility_reason_he"][0]
