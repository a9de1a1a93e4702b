"""Keep, change, drop or evaluate: proposals with reasons, beside people's decisions (R68)."""

from __future__ import annotations

import polars as pl

from models.checks import every_row, one_row_each

DISPOSITIONS = ("keep", "change", "drop", "evaluate")
_DECISION = {
    "response_id": pl.String,
    "decision": pl.String,
    "decided_by_role": pl.String,
    "decided_on": pl.Date,
    "decision_reason": pl.String,
}

_EFFECTIVE = pl.col("verdict").is_in(["fairly_effective", "very_effective"])
_RED = pl.col("verdict") == "not_effective"
_ALONE, _BOUND = pl.col("is_only_response"), pl.col("is_committed")
_NO_GAP = pl.col("covers_gap").eq(False).fill_null(False)  # measured, and there is none
_DEAR = pl.col("is_dear").fill_null(False)
_BIG, _BLIND = pl.col("is_big_money"), ~pl.col("is_evaluable")

# The first rule that holds proposes. Nothing is dropped for want of evidence, nothing that is bound
# by contract, and nothing that alone answers a need: that need would be left without any response.
# What works well is kept where no gap is left: the gap may be closed because of it. Big money of
# which nobody can learn the effect as it is placed (it is in every school) should be placed
# otherwise.
RULES: tuple[tuple[str, pl.Expr, str], ...] = (
    ("red_bound", _RED & _BOUND, "change"),
    ("red_alone", _RED & _ALONE, "change"),
    ("red", _RED, "drop"),
    ("effective_dear", _EFFECTIVE & _DEAR & ~_ALONE & ~_BOUND, "change"),
    (
        "positive_no_gap",
        (pl.col("verdict") == "fairly_effective") & _NO_GAP & ~_ALONE & ~_BOUND,
        "change",
    ),
    ("effective", _EFFECTIVE, "keep"),
    ("unknown_worth_knowing", pl.col("is_worth_evaluating") & ~_BLIND, "evaluate"),
    ("unknown_no_gap", _NO_GAP & ~_ALONE & ~_BOUND, "change"),
    ("unknown_big_blind", _BIG & _BLIND, "change"),
    ("unknown_big", _BIG, "evaluate"),
    ("unknown_small", pl.lit(True), "keep"),
)
# Every signal that holds is a reason for or against; what the verdict says is always one of them.
REASONS: tuple[tuple[str, pl.Expr], ...] = (
    ("evidence_worthwhile", pl.col("verdict") == "very_effective"),
    ("evidence_positive", pl.col("verdict") == "fairly_effective"),
    ("evidence_not_effective", _RED),
    ("evidence_insufficient", pl.col("verdict") == "insufficient_evidence"),
    ("covers_gap", pl.col("covers_gap").fill_null(False)),
    ("covers_no_gap", _NO_GAP),
    ("gap_not_measured", pl.col("covers_gap").is_null()),
    ("big_money", _BIG),
    ("dear_per_month", _DEAR),
    ("only_response", _ALONE),
    ("contract", _BOUND),
    ("worth_evaluating", pl.col("is_worth_evaluating")),
    ("no_design", _BLIND),
)
_VERDICTS = ("very_effective", "fairly_effective", "not_effective", "insufficient_evidence")
_FLAGS = (
    "is_big_money",
    "is_only_response",
    "is_committed",
    "is_evaluable",
    "is_worth_evaluating",
)


def only_responses(serves: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """Return which responses alone answer a need or topic, and whether what they answer is a gap.

    Args:
        serves: response_id, need_id (a gap, goal or topic that the response answers), is_gap (true
            = a gap was found there, false = measured and none, null = not measured).
        responses: response_id of all responses.

    Returns:
        response_id, is_only_response (of at least one need), only_need_ids (comma-separated, in
        order; empty if none), covers_gap (true if any of its needs is a gap; null if none is and
        one is not measured, or it answers nothing); sorted by response.

    Raises:
        ValueError: if a response answers a need twice.

    Source: R54, R68.
    """
    one_row_each(
        serves, ["response_id", "need_id"], "a response answers a need twice; name each pair once"
    )
    counted = (
        serves.with_columns((pl.len().over("need_id") == 1).alias("is_only"))
        .sort("response_id", "need_id")
        .group_by("response_id", maintain_order=True)
        .agg(
            pl.col("is_only").any().alias("is_only_response"),
            pl.col("need_id").filter("is_only").str.join(",").alias("only_need_ids"),
            pl.col("is_gap").any(ignore_nulls=False).alias("covers_gap"),
        )
    )
    return (
        responses.select("response_id")
        .unique()
        .join(counted, on="response_id", how="left")
        .with_columns(
            pl.col("is_only_response").fill_null(False), pl.col("only_need_ids").fill_null("")
        )
        .sort("response_id")
    )


def cost_outliers(money: pl.DataFrame) -> pl.DataFrame:
    """Return which responses surely cost more per month of progress than the usual response.

    Dear is a response whose lower end of the cost per month is above the median estimate of all
    responses that have one: the doubt of its effect speaks for it, not against it.

    Args:
        money: result of `cost_per_month`.

    Returns:
        response_id, is_dear (null where no lower end is known); sorted by response.

    Source: R64, R68.
    """
    usual = pl.col("cost_per_month_plan_agorot").median()
    return money.select(
        "response_id", (pl.col("cost_per_month_plan_agorot_lo") > usual).alias("is_dear")
    ).sort("response_id")


def proposals(facts: pl.DataFrame, decisions: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return what is proposed for each response and why, beside what people decided.

    The first rule of `RULES` that holds proposes; all signals of `REASONS` that hold are told,
    those against the proposal too. A proposal is never a decision: until one is recorded it needs
    one.

    Args:
        facts: response_id; verdict (of `verdicts`); is_big_money (of `alignment`); is_dear (null =
            no cost per month); covers_gap (null = not measured) and is_only_response (of
            `only_responses`); is_committed (bound by contract in the planned year);
            is_evaluable (`detectable` has a design other than `none`); is_worth_evaluating (of
            `evaluate_first`, as the city cuts it).
        decisions: response_id, decision (keep, change, drop, evaluate), decided_by_role, decided_on
            (Date), decision_reason (may be empty where the decision follows the proposal).

    Returns:
        response_id, proposal, proposal_rule, reason_codes (comma-separated, at least one), the
        facts, needs_decision, decision, decided_by_role, decided_on, decision_reason,
        is_against_proposal (null while undecided); sorted by response.

    Raises:
        ValueError: if a response repeats or lacks a verdict or flag; if a decision is of an unknown
            response, repeats, is none of the four, lacks its role or date, or goes against the
            proposal without a reason.

    Source: R68, R89.
    """
    _check_facts(facts)
    proposed, rule = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for name, holds, disposition in reversed(RULES):
        proposed = pl.when(holds).then(pl.lit(disposition)).otherwise(proposed)
        rule = pl.when(holds).then(pl.lit(name)).otherwise(rule)
    codes = [pl.when(holds).then(pl.lit(code)) for code, holds in REASONS]
    rows = facts.select(
        "response_id",
        proposed.alias("proposal"),
        rule.alias("proposal_rule"),
        pl.concat_str(codes, separator=",", ignore_nulls=True).alias("reason_codes"),
        "verdict",
        "is_big_money",
        "is_dear",
        "covers_gap",
        "is_only_response",
        "is_committed",
        "is_evaluable",
        "is_worth_evaluating",
    ).sort("response_id")
    if decisions is None:
        decisions = pl.DataFrame(schema=_DECISION)
    decisions = decisions.select(list(_DECISION))
    _check_decisions(decisions, rows)
    return (
        rows.join(decisions, on="response_id", how="left")
        .with_columns(
            pl.col("decision").is_null().alias("needs_decision"),
            (pl.col("decision") != pl.col("proposal")).alias("is_against_proposal"),
        )
        .sort("response_id")
        .select(
            *rows.columns,
            "needs_decision",
            *(name for name in _DECISION if name != "response_id"),
            "is_against_proposal",
        )
    )


def _check_facts(facts: pl.DataFrame) -> None:
    one_row_each(facts, "response_id", "facts have several rows of one response")
    every_row(
        facts,
        pl.col("verdict").is_in(_VERDICTS) & pl.all_horizontal(pl.col(_FLAGS).is_not_null()),
        f"responses without a verdict or without one of {', '.join(_FLAGS)}",
        key=["response_id"],
    )


def _check_decisions(decisions: pl.DataFrame, proposed: pl.DataFrame) -> None:
    """Refuse decisions about nothing, incomplete, or against the proposal without a reason."""
    against = decisions.join(proposed, on="response_id").filter(
        (pl.col("decision") != pl.col("proposal"))
        & (pl.col("decision_reason").fill_null("").str.strip_chars() == "")
    )
    unsigned = pl.col("decided_by_role").is_null() | pl.col("decided_on").is_null()
    faults = {
        "of a response that is not known": decisions.join(proposed, on="response_id", how="anti"),
        "given twice": decisions.filter(pl.col("response_id").is_duplicated()),
        f"that are none of {', '.join(DISPOSITIONS)}": decisions.filter(
            ~pl.col("decision").is_in(DISPOSITIONS).fill_null(False)
        ),
        "without the role that decided, or the day": decisions.filter(unsigned),
        "against the proposal without a reason": against,
    }
    for what, rows in faults.items():
        if rows.height:
            names = rows["response_id"].fill_null("(empty)").unique().sort()
            raise ValueError(f"decisions {what}: {', '.join(names)}")
