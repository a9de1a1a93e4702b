"""Proposals: the rule table, its reasons, and the decisions of people."""

from __future__ import annotations

from datetime import date
from itertools import product

import polars as pl
import pytest

from models.effects.alignment import alignment
from models.effects.proposals import (
    DISPOSITIONS,
    REASONS,
    RULES,
    cost_outliers,
    only_responses,
    proposals,
)
from tests.effects.test_alignment import city, judged

VERDICTS = ("very_effective", "fairly_effective", "not_effective", "insufficient_evidence")
PLAIN = {
    "verdict": "insufficient_evidence",
    "is_big_money": False,
    "is_dear": None,
    "covers_gap": True,
    "is_only_response": False,
    "is_committed": False,
    "is_evaluable": True,
    "is_worth_evaluating": False,
}
TYPES = {name: pl.Boolean for name in PLAIN if name != "verdict"}


def facts(**of: dict) -> pl.DataFrame:
    rows = [{"response_id": name, **PLAIN, **own} for name, own in of.items()]
    return pl.DataFrame(rows, schema_overrides=TYPES)


def decision(response: str, decided: str, reason: str | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "response_id": [response],
            "decision": [decided],
            "decided_by_role": ["department_head"],
            "decided_on": [date(2026, 5, 1)],
            "decision_reason": [reason],
        },
        schema_overrides={"decision_reason": pl.String},
    )


def every_case() -> pl.DataFrame:
    """All combinations of the signals."""
    three, two = (None, False, True), (False, True)
    cases = product(VERDICTS, two, three, three, two, two, two, two)
    rows = [(f"r{i:04}", *case) for i, case in enumerate(cases)]
    return pl.DataFrame(rows, schema=["response_id", *PLAIN], orient="row").cast(TYPES)


def test_each_rule_by_hand():
    red, green, yellow = ({"verdict": f"{name}_effective"} for name in ("not", "very", "fairly"))
    found = proposals(
        facts(
            red=red,
            red_bound={**red, "is_committed": True},
            red_alone={**red, "is_only_response": True},
            green=green,
            yellow=yellow,
            misplaced={**yellow, "covers_gap": False},
            closed={**green, "covers_gap": False},
            blind={"is_big_money": True, "is_evaluable": False},
            dear={**yellow, "is_dear": True},
            dear_alone={**yellow, "is_dear": True, "is_only_response": True},
            unknown={},
            unknown_big={"is_big_money": True},
            unknown_worth={"is_worth_evaluating": True},
            unknown_idle={"covers_gap": False},
            unknown_unmeasured={"covers_gap": None},
        )
    )
    assert dict(found.select("response_id", "proposal").iter_rows()) == {
        "red": "drop",
        "red_bound": "change",
        "red_alone": "change",
        "green": "keep",
        "yellow": "keep",
        "misplaced": "change",
        "closed": "keep",
        "blind": "change",
        "dear": "change",
        "dear_alone": "keep",
        "unknown": "keep",
        "unknown_big": "evaluate",
        "unknown_worth": "evaluate",
        "unknown_idle": "change",
        "unknown_unmeasured": "keep",
    }
    reasons = dict(found.select("response_id", "reason_codes").iter_rows())
    assert reasons["red_bound"] == "evidence_not_effective,covers_gap,contract"
    assert reasons["unknown_unmeasured"] == "evidence_insufficient,gap_not_measured"


def test_the_planted_responses():
    """Local estimates as sure as a three-year lottery, 40 times; digital equipment is in every
    school.
    """
    spent, *_ = city()
    told = []
    for seed in range(40):
        found = judged(0.03, seed).filter(pl.col("subject") == "all")
        laid = alignment(found, spent, kinds=["municipal"]).select("response_id", "is_big_money")
        case = found.join(laid, on="response_id").select(
            "response_id",
            "verdict",
            "is_big_money",
            is_dear=pl.lit(None, pl.Boolean),
            covers_gap=True,
            is_only_response=False,
            is_committed=False,
            is_evaluable=pl.col("response_id") != "tikshuv",
            is_worth_evaluating=False,
        )
        told.append({row["response_id"]: row for row in proposals(case).iter_rows(named=True)})
    kept = [(one["posh"]["proposal"], one["posh"]["proposal_rule"]) for one in told]
    assert kept == [("keep", "effective")] * 40
    for one in told:
        assert one["tikshuv"]["proposal_rule"] == "unknown_big_blind"
        assert (
            one["tikshuv"]["reason_codes"] == "evidence_insufficient,covers_gap,big_money,no_design"
        )
    # What does nothing is dropped, but for the tenth of estimates in which nothing looks like
    # something.
    null = pl.Series([one["makom_balev"]["proposal_rule"] for one in told])
    assert (null == "red").mean() >= 0.65
    assert (null == "effective").mean() <= 0.10 + 1.645 * (0.09 / 40) ** 0.5
    assert {
        one["makom_balev"]["proposal"]
        for one in told
        if one["makom_balev"]["verdict"] == "not_effective"
    } == {"drop"}


def test_what_holds_in_every_case():
    found = proposals(every_case())
    assert found.height == 4 * 2 * 3 * 3 * 2 * 2 * 2 * 2
    assert found["proposal"].is_in(DISPOSITIONS).all()
    assert (found["reason_codes"].str.len_chars() > 0).all()
    assert found["needs_decision"].all()
    assert found["decision"].null_count() == found.height
    dropped = found.filter(pl.col("proposal") == "drop")
    assert set(dropped["verdict"]) == {"not_effective"}
    assert not dropped["is_only_response"].any()
    assert not dropped["is_committed"].any()
    kept = found.filter(pl.col("proposal") == "keep")
    assert "not_effective" not in set(kept["verdict"])
    used = set(found["reason_codes"].str.split(",").explode())
    assert used == {code for code, _ in REASONS}
    assert set(found["proposal_rule"]) == {name for name, *_ in RULES}


def test_row_order_decides_nothing():
    cases = every_case()
    assert proposals(cases.sample(fraction=1, shuffle=True, seed=1)).equals(proposals(cases))


def test_a_decision_is_recorded_beside_the_proposal():
    case = facts(a={}, b={"verdict": "not_effective"})
    decided = pl.concat(
        [decision("a", "keep"), decision("b", "keep", "the parents' council asks for a year")]
    )
    a, b = proposals(case, decided).iter_rows(named=True)
    assert (a["needs_decision"], a["is_against_proposal"], a["decided_by_role"]) == (
        False,
        False,
        "department_head",
    )
    assert (b["proposal"], b["decision"], b["is_against_proposal"]) == ("drop", "keep", True)
    half = proposals(case, decision("a", "keep"))
    assert half["needs_decision"].to_list() == [False, True]
    assert half["is_against_proposal"].to_list() == [False, None]


def test_decisions_that_cannot_stand():
    case = facts(a={}, b={"verdict": "not_effective"})
    for text in (None, "", "  "):
        with pytest.raises(ValueError, match="against the proposal without a reason: b"):
            proposals(case, decision("b", "keep", text))
    with pytest.raises(ValueError, match="of a response that is not known: z"):
        proposals(case, decision("z", "keep", "why not"))
    with pytest.raises(ValueError, match="given twice: a"):
        proposals(case, pl.concat([decision("a", "keep"), decision("a", "drop", "no")]))
    with pytest.raises(ValueError, match="none of keep, change, drop, evaluate: a"):
        proposals(case, decision("a", "postpone", "later"))
    with pytest.raises(ValueError, match="the role that decided, or the day: a"):
        proposals(case, decision("a", "keep").with_columns(decided_by_role=pl.lit(None, pl.String)))
    with pytest.raises(ValueError, match="without a verdict"):
        proposals(case.with_columns(is_committed=pl.lit(None, pl.Boolean)))
    with pytest.raises(ValueError, match="several rows of one response"):
        proposals(pl.concat([case, case]))


def test_who_alone_answers_a_need():
    serves = pl.DataFrame(
        {
            "response_id": ["a", "a", "b", "b", "c"],
            "need_id": ["math", "hebrew", "math", "climate", "climate"],
            "is_gap": [True, False, True, None, None],
        }
    )
    found = only_responses(serves, pl.DataFrame({"response_id": ["c", "b", "a", "idle"]}))
    assert found.rows() == [
        ("a", True, "hebrew", True),
        ("b", False, "", True),
        ("c", False, "", None),
        ("idle", False, "", None),
    ]
    no_gap = only_responses(
        serves.filter(pl.col("need_id") == "hebrew"), serves.select("response_id")
    )
    assert no_gap["covers_gap"].to_list() == [False, None, None]
    with pytest.raises(ValueError, match="a need twice"):
        only_responses(pl.concat([serves, serves]), serves)


def test_dear_is_only_what_is_surely_dear():
    money = pl.DataFrame(
        {
            "response_id": ["a", "b", "c", "d"],
            "cost_per_month_plan_agorot": [100, 200, 900, None],
            "cost_per_month_plan_agorot_lo": [50, 100, 300, 90],
        }
    )
    assert cost_outliers(money)["is_dear"].to_list() == [False, False, True, False]
