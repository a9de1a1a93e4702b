"""The smallest change that turns a decision, found and verified by solving again (R94)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from models.allocation.account.prices import shadow_prices
from models.allocation.problem.problem import Problem
from models.allocation.problem.words import NO_PLAN
from models.allocation.rules.order import NeedOrder
from models.allocation.solve.model import Model, model_of, without_rule
from models.allocation.solve.resolve import (
    Effort,
    Resolved,
    best,
    linear_at,
    plan_vector,
    with_benefit,
)
from models.allocation.solve.search_result import NoPlanInTime
from models.keys import PAIR

Find = Callable[[Model, Effort], Resolved | None]

_SCHEMA = {
    "semel_mosad": pl.String,
    "response_id": pl.String,
    "is_in_plan": pl.Boolean,
    "lever": pl.String,
    "rule_id": pl.String,
    "unit": pl.String,
    "value_now": pl.Float64,
    "value_turned": pl.Float64,
    "value_not_turned": pl.Float64,
    "value_limit": pl.Float64,
    "status": pl.String,
    "solves": pl.Int64,
}


@dataclass(frozen=True)
class TurningPointSettings:
    """How far and how finely to search.

    Attributes:
        max_solves: of one call, for all pairs together.
        need_step: need is found to within this.
        budget_step_pct: budgets are found to within this share of the present one.
        budget_limit_pct: budgets are raised, or cut, by no more.
        effort: of each solve.
    """

    max_solves: int = 60
    need_step: float = 0.02
    budget_step_pct: float = 2.0
    budget_limit_pct: float = 50.0
    effort: Effort = Effort()  # noqa: RUF009 - frozen


class _SpentError(Exception):
    """No solves are left, or no time for this one."""


def turning_points(
    problem: Problem,
    lines: pl.DataFrame,
    pairs: pl.DataFrame,
    settings: TurningPointSettings = TurningPointSettings(),
    find: Find = best,
) -> pl.DataFrame:
    """What would have to change for each pair to enter the plan, or to leave it.

    Three levers, one at a time: the school's need (up to 1, or down to 0); the budget that weighs
    most on the pair (a channel, or the school's basket; raised, or cut); and, where no money is
    moved, each rule that stands against it, left out. Need and budget are searched by bisection
    between the present value, where the decision was verified to stand, and the limit, where it was
    verified to turn. Both ends of the bracket are solved plans. A plan is not bound to be monotone
    in money, so a smaller change between them cannot be ruled out.

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan.
        pairs: semel_mosad, response_id: whom to ask for, in this order.
        settings: how far and how finely.
        find: solves a model; what remembers (`Once`) spares several calls on one problem what they
            have in common, and counts as a solve of each.

    Returns:
        semel_mosad, response_id, is_in_plan, lever ("need", "budget", "rule"), rule_id (of the
        budget, or the rule left out), unit, value_now, value_turned and value_not_turned (the two
        verified ends), value_limit, status, solves; by pair as asked, then by lever. Status:
        "found"; "not_found" (verified not to turn at value_limit); "within_gap" (an equally good
        plan, to the gap, decides the other way already); "not_possible" (no plan keeps the rules at
        the limit); "not_searched" (max_solves, or the time of a solve, was used up).

    Raises:
        ValueError: bad tables; a line or pair that is not among the options; no plan at all.
    """
    problem = problem.canonical()
    model = model_of(problem)
    held = plan_vector(model, lines)
    search = _Search(problem, model, linear_at(model, held), settings, held, find)
    rows: list[tuple] = []
    for school, response in pairs.select(PAIR).iter_rows():
        own = (
            (model.columns.options["semel_mosad"] == school)
            & (model.columns.options["response_id"] == response)
        ).to_numpy()
        if not own.any():
            raise ValueError(f"pairs: no option of {response} in school {school}.")
        is_in = bool(held[own].any())
        for lever in search.levers(school, own, is_in):
            rows.append((school, response, is_in, *search.turn(lever, own, is_in)))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


@dataclass(frozen=True)
class _Lever:
    """One thing that can be moved from `now` to `limit`; None where it is a rule left out."""

    name: str
    rule_id: str | None
    unit: str | None
    now: float | None
    limit: float | None
    step: float
    at: Callable[[float], Model]


class _Search:
    """Solves, counted, around one problem."""

    def __init__(
        self,
        problem: Problem,
        model: Model,
        linear: Model,
        settings: TurningPointSettings,
        held: np.ndarray,
        find: Find,
    ) -> None:
        """Solve once at the present values, or take the plan in hand where time runs out."""
        self.problem, self.model, self.settings, self.solves = problem, model, settings, 0
        self.find = find
        self.prices = shadow_prices(linear)
        try:
            found = self.solve(model)
        except _SpentError:
            found = held
        if found is None:
            raise ValueError(NO_PLAN)
        self.base = found

    def solve(self, model: Model) -> np.ndarray | None:
        """The best plan; None where none keeps the rules."""
        if self.solves >= self.settings.max_solves:
            raise _SpentError
        self.solves += 1
        try:
            found = self.find(model, self.settings.effort)
        except NoPlanInTime as error:
            raise _SpentError from error
        return None if found is None else found.x

    def levers(self, school: str, own: np.ndarray, is_in: bool) -> list[_Lever]:
        """The levers of a pair."""
        need = float(self.problem.schools.filter(semel_mosad=school)["need"][0])
        levers = [
            _Lever(
                "need",
                None,
                "need",
                need,
                0.0 if is_in else 1.0,
                self.settings.need_step,
                partial(self._at_need, school),
            )
        ]
        row = self._budget_row(own)
        if row is not None:
            levers.append(self._budget(row, is_in))
        levers += [
            _Lever(
                "rule", rule.rule_id, None, None, None, 0.0, partial(self._without, rule.rule_id)
            )
            for k, rule in enumerate(self.model.rules)
            if rule in self.problem.rules and rule.is_priced and self._stands_against(k, own, is_in)
        ]
        return levers

    def turn(self, lever: _Lever, own: np.ndarray, is_in: bool) -> tuple:
        """The row of one lever."""
        start = self.solves
        lever_columns = (lever.name, lever.rule_id, lever.unit, lever.now)

        def row(turned: float | None, not_turned: float | None, status: str) -> tuple:
            return (*lever_columns, turned, not_turned, lever.limit, status, self.solves - start)

        if bool(self.base[own].any()) != is_in:
            return row(lever.now, None, "within_gap")
        try:
            x = self.solve(lever.at(lever.limit if lever.limit is not None else 0.0))
        except _SpentError:
            return row(None, None, "not_searched")
        if x is None:
            return row(None, None, "not_possible")
        if bool(x[own].any()) == is_in:
            return row(None, lever.limit, "not_found")
        if lever.now is None or lever.limit is None:
            return row(None, None, "found")
        stays, turned = lever.now, lever.limit
        try:
            while abs(turned - stays) > lever.step:
                middle = (stays + turned) / 2
                # More money, or a smaller cut than one with which there is a plan, leaves a plan.
                x = self.solve(lever.at(middle))
                assert x is not None
                if bool(x[own].any()) == is_in:
                    stays = middle
                else:
                    turned = middle
        except _SpentError:
            pass  # The bracket so far is verified, only wider than asked for.
        return row(turned, stays, "found")

    def _at_need(self, school: str, need: float) -> Model:
        """The model with another need of one school."""
        options = self.model.columns.options
        weight = (self.problem.need_offset + need) ** self.problem.equity_gamma
        own = (options["semel_mosad"] == school).to_numpy()
        benefit = weight * options["benefit_sd_pupils"].to_numpy()
        # Who is needier than the school, or less needy, is not known of another need.
        touches = np.diff(self.model.matrix[:, np.flatnonzero(own)].tocsr().indptr) > 0
        ordered = [k >= 0 and isinstance(self.model.rules[k], NeedOrder) for k in self.model.owner]
        free = self.model.with_limits(touches & np.array(ordered))
        return with_benefit(free, np.where(own, benefit, self.model.weighted))

    def _budget_row(self, own: np.ndarray) -> int | None:
        """The budget or basket that weighs most on the pair, by price and else by money used."""
        of_money = np.array([k >= 0 and self.model.rules[k].is_budget for k in self.model.owner])
        rows = np.flatnonzero(of_money & np.isfinite(self.model.upper))
        if not len(rows):
            return None
        used = self.model.matrix[rows][:, np.flatnonzero(own)].max(axis=1).toarray().ravel()
        if not used.any():
            return None
        order = np.lexsort((rows, -used, -used * self.prices.row[rows]))
        return int(rows[order[0]])

    def _budget(self, row: int, is_in: bool) -> _Lever:
        """The lever of one budget's row."""
        fixed = self.model.rows[row].fixed
        now = float(self.model.upper[row]) + fixed
        share = (-1 if is_in else 1) * self.settings.budget_limit_pct / 100

        def at(value: float) -> Model:
            return self.model.with_limits(np.array([row]), upper=np.floor(value) - fixed)

        return _Lever(
            "budget",
            self.model.rules[self.model.owner[row]].rule_id,
            "agorot",
            now,
            float(np.floor(now * (1 + share))),
            max(now * self.settings.budget_step_pct / 100, 1.0),
            at,
        )

    def _stands_against(self, rule: int, own: np.ndarray, is_in: bool) -> bool:
        """Whether one of the rule's rows holds the pair in or out of the present plan."""
        rows = np.flatnonzero(self.model.owner == rule)
        part = self.model.matrix[rows]
        activity = part @ self.base
        step = part[:, np.flatnonzero(own)].toarray()
        step = -step * self.base[own] if is_in else step
        after = activity[:, None] + step
        broken = (after < self.model.lower[rows, None]) | (after > self.model.upper[rows, None])
        moved = broken & (step != 0)
        return bool(moved.any())

    def _without(self, rule_id: str, _: float) -> Model:
        """The model without one rule, of which there is no more and less."""
        return without_rule(self.problem, rule_id)
