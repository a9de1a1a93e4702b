"""Why each school has a response, or has it not: one reason for every pair (R94).

The measure is the *price line*. Money has a price: what a further shekel of a channel, or of a
school's own basket, does elsewhere (`prices`). A response is worth its money where its weighted
benefit is at least what its money would do elsewhere. Its benefit is what it adds to the rest of
the plan: where it overlaps with what its school has besides, that is less than it would bring
alone, and the pairs of a school add up to less than the school gains (R92). What is above the line
and still not bought, or below it and is, has another reason: a rule, or that responses are bought
whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.account.prices import Prices, shadow_prices
from models.allocation.account.reasons import sentences
from models.allocation.account.swaps import best_swaps, no_swaps
from models.allocation.problem.choices import refuse
from models.allocation.problem.problem import Problem
from models.allocation.rules.choice import MustDrop, MustKeep
from models.allocation.rules.decided import CommitteeAmount
from models.allocation.solve.model import Model, Moves, model_of
from models.allocation.solve.resolve import is_national, linear_at, plan_vector
from models.keys import PAIR

_EPSILON = 1e-9


@dataclass(frozen=True)
class Explanation:
    """The reasons of a plan.

    Attributes:
        pairs: for every school and response

            - semel_mosad, response_id, need, need_weight;
            - plan_dose_level: null = not in the plan;
            - dose_level: the dose the figures are for: the plan's, or else the eligible one that
              stands highest above the price line;
            - benefit_sd_pupils, weighted_benefit: what it adds to the rest of the plan (the latter
              as the objective counts a little more there); cost_agorot;
            - full_benefit_sd_pupils: what it would bring alone; overlap_response_id: what leads its
              overlap group besides it, where that makes it less (null = nothing does);
            - money_price: weighted benefit that its money would bring elsewhere;
            - above_line: weighted_benefit − money_price;
            - reason_code, reason_rules (ids that decide it, comma-separated), reason_he, reason_en;
            - dose_code: why not a larger dose: "highest", "dose_no_benefit", "dose_below_line",
              "dose_rule", "dose_budget", "dose_overlooked"; null where not in the plan;
            - other_semel_mosad, other_response_id, other_dose_level, swap_loss: the nearest
              alternative: the line that would have to make room for this one, or that could have
              the room of this one, all rules kept, and what the plan would lose (null = there is
              none one for one; of all pairs of a country it is not sought).
        parts: semel_mosad, response_id, part ("weighted_benefit", or the id of a rule), worth:
            what the pair's benefit is set against, rule by rule (rules that ask nothing left out);
            the parts of a pair add up to its `surplus` to the last bit, in the order given.
        surplus: semel_mosad, response_id, surplus: above 0 = worth all that it takes.
        prices: as `Prices.table`.
    """

    pairs: pl.DataFrame
    parts: pl.DataFrame
    surplus: pl.DataFrame
    prices: pl.DataFrame


def explain(
    problem: Problem,
    lines: pl.DataFrame,
    asked: pl.DataFrame | None = None,
    *,
    months_per_sd: float,
) -> Explanation:
    """Give every school × response its reason, price and nearest alternative, without re-solving.

    Codes in the plan: "worth_its_price" (at or above the line), "must_keep", "rule" (below it, but
    a rule would break without it), "fills_what_is_left" (below it; the money would not buy a better
    one whole). Not in the plan: "not_eligible", "must_drop", "no_benefit", "below_line", "rule"
    (another rule stands in its way), "overlap" (beside the school's other responses it adds
    nothing), "budget" (above the line, but there is no room for all of it), "overlooked" (it would
    do good and fit: the plan is not at its best). In it or not: "committee" (nothing counts for the
    response, and its amount is shared by need).

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan.
        asked: semel_mosad, response_id: the pairs to explain (a country asks for one school at a
            time); all of them where it is not given.
        months_per_sd: months of progress that a pupil's SD stands for, for the sentences.

    Raises:
        ValueError: bad tables; a line or pair that is not among the options; no plan keeps the
            rules.
    """
    problem = problem.canonical()
    model = model_of(problem)
    x = plan_vector(model, lines)
    model = linear_at(model, x)
    prices, moves = shadow_prices(model), model.moves(x)
    pairs, pair = model.columns.pairs, model.columns.pair
    money = _money_price(model, prices)
    value = model.counting.marginal(x, pair)
    alone = model.columns.options["benefit_sd_pupils"].to_numpy()
    unweighted = model.counting.at(alone).marginal(x, pair)
    above = value - money
    shown = _shown(model, x, pair, above)
    if asked is not None:
        unknown = asked.join(pairs, on=PAIR, how="anti").select(PAIR).sort(PAIR)
        refuse("asked", "no such school and response among the options", unknown)
        is_asked = pairs.join(
            asked.with_columns(asked=True), on=PAIR, how="left", maintain_order="left"
        )["asked"].is_not_null()
        pairs, shown = pairs.filter(is_asked), shown[is_asked.to_numpy()]
    stops = model.rules_broken_by(moves)
    found = _Found.of(model, moves, x)
    reasons = [_reason(model, found, x, int(j), value, above, stops) for j in shown]
    doses = [_dose(model, moves, found, x, int(j), above, stops) for j in shown]
    is_whole_country = asked is None and is_national(model)
    swaps = no_swaps(len(shown)) if is_whole_country else best_swaps(model, x, shown)
    options = model.columns.options[shown.tolist()]
    table = pairs.with_columns(
        need=options["need"],
        need_weight=options["need_weight"],
        plan_dose_level=pl.when(pl.Series(x[shown] > 0.5)).then(options["dose_level"]),
        dose_level=options["dose_level"],
        benefit_sd_pupils=pl.Series(unweighted[shown]),
        weighted_benefit=pl.Series(value[shown]),
        full_benefit_sd_pupils=pl.Series(alone[shown]),
        overlap_response_id=pl.Series(_overlapping(model, x, shown), dtype=pl.String),
        cost_agorot=options["cost_agorot"],
        money_price=pl.Series(money[shown]),
        above_line=pl.Series(above[shown]),
        reason_code=pl.Series([code for code, _ in reasons], dtype=pl.String),
        reason_rules=pl.Series(
            [",".join(model.rules[k].rule_id for k in ks) for _, ks in reasons], dtype=pl.String
        ),
        dose_code=pl.Series(doses, dtype=pl.String),
    ).hstack(swaps)
    worded = table.hstack(options.select("eligibility_reason_he", "eligibility_reason_en"))
    worded_reasons = [
        sentences(row, [model.rules[k] for k in ks], problem.response_names, months_per_sd)
        for row, (_, ks) in zip(worded.iter_rows(named=True), reasons, strict=True)
    ]
    table = table.with_columns(
        reason_he=pl.Series([he for he, _ in worded_reasons], dtype=pl.String),
        reason_en=pl.Series([en for _, en in worded_reasons], dtype=pl.String),
    )
    parts, surplus = _parts(model, prices, pairs, shown, value)
    return Explanation(table, parts, surplus, prices.table(model))


def _money_price(model: Model, prices: Prices) -> np.ndarray:
    """What the money of every option would bring elsewhere: budgets and baskets only."""
    paid = [prices.paid(model, k) for k, rule in enumerate(model.rules) if rule.is_budget]
    return np.sum(paid, axis=0) if paid else np.zeros(model.matrix.shape[1])


def _shown(model: Model, x: np.ndarray, pair: np.ndarray, above: np.ndarray) -> np.ndarray:
    """One option of each pair: the plan's; else the eligible one highest above the line."""
    eligible = model.columns.options["is_eligible"].to_numpy()
    order = np.lexsort((np.arange(len(x)), -above, ~eligible, x < 0.5, pair))
    return order[np.flatnonzero(np.append(True, np.diff(pair[order]) > 0))]


def _overlapping(model: Model, x: np.ndarray, shown: np.ndarray) -> list[str | None]:
    """Of each option, the response that leads its group besides it and so takes a part of it."""
    counting, response = model.counting, model.columns.options["response_id"]
    leaders = np.vstack([counting.leaders(x), [[-1, -1]]])[counting.group[shown]]
    own = model.columns.pair[shown]
    of_pair = np.append(model.columns.pair, -1)
    first = np.where(of_pair[leaders[:, 0]] == own, leaders[:, 1], leaders[:, 0])
    takes = (first >= 0) & (counting.first[shown] > 0) & (counting.first[first] > 0)
    return [response[int(k)] if is_less else None for k, is_less in zip(first, takes, strict=True)]


@dataclass(frozen=True)
class _Found:
    """Where the moves of each option stand.

    Attributes:
        buys: by option, the move that buys it; −1 = none.
        ends: by option, the move that gives it up for nothing; −1 = none.
        grows: option → the moves that change it for another dose.
        amounts: response → positions of the rules of the committee's amount for it.
    """

    buys: np.ndarray
    ends: np.ndarray
    grows: dict[int, np.ndarray]
    amounts: dict[str, list[int]]

    @classmethod
    def of(cls, model: Model, moves: Moves, x: np.ndarray) -> _Found:
        """Of all moves of a plan."""
        buys, ends = np.full(len(x), -1), np.full(len(x), -1)
        number = np.arange(len(moves.add))
        is_end = moves.add < 0
        buys[moves.add[~is_end]] = number[~is_end]
        ends[moves.drop[is_end]] = number[is_end]
        up = number[~is_end & (moves.drop >= 0)]
        up = up[np.argsort(moves.drop[up], kind="stable")]
        starts = np.flatnonzero(np.diff(moves.drop[up], prepend=-1))
        parts = np.split(up, starts[1:]) if len(up) else []
        amounts: dict[str, list[int]] = {}
        for k, rule in enumerate(model.rules):
            if isinstance(rule, CommitteeAmount):
                amounts.setdefault(rule.response_id, []).append(k)
        return cls(buys, ends, {int(moves.drop[own[0]]): own for own in parts}, amounts)


def _reason(
    model: Model,
    found: _Found,
    x: np.ndarray,
    j: int,
    value: np.ndarray,
    above: np.ndarray,
    stops: dict[int, list[int]],
) -> tuple[str, list[int]]:
    """The code of one option, and the rules that decide it."""
    own = model.columns.options["response_id"][j]
    amounts = found.amounts.get(own, [])
    if amounts and (x[j] > 0.5 or model.columns.options["is_eligible"][j]):
        return "committee", amounts
    if x[j] > 0.5:
        move = int(found.ends[j])
        rules = [k for k in stops.get(move, []) if not model.rules[k].is_budget]
        if above[j] >= -_EPSILON and value[j] > 0:
            return "worth_its_price", []
        kept = [k for k in rules if isinstance(model.rules[k], MustKeep)]
        if kept:
            return "must_keep", kept
        return ("rule", rules) if rules else ("fills_what_is_left", [])
    if not model.columns.options["is_eligible"][j]:
        return "not_eligible", []
    move = int(found.buys[j])
    rules = stops.get(move, [])
    dropped = [k for k in rules if isinstance(model.rules[k], MustDrop)]
    others = [k for k in rules if not model.rules[k].is_budget]
    if dropped:
        return "must_drop", dropped
    if value[j] <= 0:
        return "overlap" if model.weighted[j] > 0 else "no_benefit", []
    if above[j] < -_EPSILON:
        return "below_line", [k for k in rules if model.rules[k].is_budget]
    if others:
        return "rule", others
    return ("budget", rules) if rules else ("overlooked", [])


def _dose(
    model: Model,
    moves: Moves,
    found: _Found,
    x: np.ndarray,
    j: int,
    above: np.ndarray,
    stops: dict[int, list[int]],
) -> str | None:
    """Why the pair has no larger dose; null where it is not in the plan."""
    if x[j] < 0.5:
        return None
    doses = model.columns.options["dose"].to_numpy()
    up = found.grows.get(j, np.zeros(0, dtype=np.int64))
    up = up[doses[moves.add[up]] > doses[j]]
    if not len(up):
        return "highest"
    step = int(up[np.argmax(above[moves.add[up]])])
    rules = stops.get(step, [])
    if moves.gain[step] <= 0:
        return "dose_no_benefit"
    if above[moves.add[step]] < above[j] - _EPSILON:
        return "dose_below_line"
    if any(not model.rules[k].is_budget for k in rules):
        return "dose_rule"
    return "dose_budget" if rules else "dose_overlooked"


def _parts(
    model: Model, prices: Prices, pairs: pl.DataFrame, shown: np.ndarray, value: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The shown options' benefit and what each rule takes of it, and what is left."""
    columns = [("weighted_benefit", value[shown])]
    for k, rule in enumerate(model.rules):
        paid = prices.paid(model, k)[shown]
        if np.any(paid != 0):
            columns.append((rule.rule_id, -paid))
    surplus = np.zeros(len(shown))
    for _, worth in columns:
        surplus = surplus + worth
    parts = pl.concat(
        [
            pairs.with_columns(part=pl.lit(name), worth=pl.Series(worth), order=pl.lit(k))
            for k, (name, worth) in enumerate(columns)
        ]
    )
    kept = parts.filter((pl.col("worth") != 0) | (pl.col("order") == 0)).sort(*PAIR, "order")
    return kept.drop("order"), pairs.with_columns(surplus=pl.Series(surplus))
