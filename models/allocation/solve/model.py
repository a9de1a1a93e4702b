"""The allocation as a 0/1 programme: the rules' rows side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse

from models.allocation.problem.columns import Columns
from models.allocation.problem.objective import Maximin, Objective
from models.allocation.problem.overlap import Counting
from models.allocation.problem.plan import Plan
from models.allocation.problem.problem import Problem
from models.allocation.problem.rule import Measure, Row, Rule
from models.allocation.rules.choice import Eligibility
from models.allocation.rules.money import ChannelBudget, SchoolChannelCap
from models.allocation.solve.highs import Milp

_LARGEST_WORTH = 1000.0
NATIONAL_OPTIONS = 10_000
"""From so many options on (about 280 schools) the schools of a problem are taken apart: the solver
alone takes too long, and so does one move after the other (`stack.md`)."""


@dataclass(frozen=True)
class Moves:
    """Changes of one pair: buy the option `add` and give up the option `drop` (-1 = none).

    Attributes:
        add: option bought.
        drop: option given up.
        gain: change of the weighted benefit.
        cost_step: change of the cost, agorot.
        blocked_move: with blocked_row, the pairs of a move and a row it would break.
        blocked_row: see blocked_move.
    """

    add: np.ndarray
    drop: np.ndarray
    gain: np.ndarray
    cost_step: np.ndarray
    blocked_move: np.ndarray
    blocked_row: np.ndarray

    def best_free(self) -> np.ndarray:
        """The moves that break nothing and do good, save money or tidy up; the best first."""
        free = np.ones(len(self.add), dtype=bool)
        free[self.blocked_move] = False
        saves = (self.cost_step < 0) | ((self.cost_step == 0) & (self.add < 0))
        good = np.flatnonzero(free & ((self.gain > 0) | ((self.gain == 0) & saves)))
        return good[np.lexsort((self.add[good], self.cost_step[good], -self.gain[good]))]


@dataclass(frozen=True)
class Model:
    """Rows of all rules over the columns of all options.

    One binary per dose and at most one dose per pair: no big-M anywhere, so the bound is tight.

    Attributes:
        columns: the options.
        rules: the rules, standing ones included, by rule id.
        rows: all rows, in whole agorot, pupils or pairs.
        owner: position in `rules` of each row's rule; -1 for "one dose per pair".
        matrix: the rows' coefficients.
        lower: lower limits of the rows.
        upper: upper limits of the rows.
        leading: coefficients that come on top where an option leads its overlap group.
        objective: what a plan is worth.
    """

    columns: Columns
    rules: tuple[Rule, ...]
    rows: tuple[Row, ...]
    owner: np.ndarray
    matrix: sparse.csr_array
    lower: np.ndarray
    upper: np.ndarray
    leading: sparse.csr_array
    objective: Objective | Maximin

    @classmethod
    def of(cls, columns: Columns, rules: tuple[Rule, ...], objective: Objective | Maximin) -> Model:
        """Collect the rows of the rules."""
        owned = [(-1, row) for row in _one_dose_rows(columns)]
        owned += [(i, row) for i, rule in enumerate(rules) for row in rule.rows(columns)]
        rows = tuple(row for _, row in owned)
        size = (len(rows), columns.options.height)
        matrix = _matrix([(row.columns, row.coefficients) for row in rows], size)
        nothing = np.zeros(0, dtype=np.int64)
        leading = _matrix(
            [
                (nothing, nothing) if row.leading is None else (row.columns, row.leading)
                for row in rows
            ],
            size,
        )
        leading.eliminate_zeros()
        lower = np.array([row.lower - row.fixed for row in rows], dtype=float)
        upper = np.array([row.upper - row.fixed for row in rows], dtype=float)
        owner = np.array([i for i, _ in owned])
        return cls(columns, rules, rows, owner, matrix, lower, upper, leading, objective)

    def milp(self, cost: np.ndarray, kept: np.ndarray | None = None) -> Milp:
        """Minimise a cost of options, or of options and leads, under all rows or those of a mask.

        A lead is a continuous column beside the option of an overlap group: at most as much as is
        bought, and at most one in a group and school. That is all the largest of a group needs, in
        parts of options too: no other bound for it is tighter (it is the rank of a matroid).
        """
        rows = np.ones(len(self.rows), dtype=bool) if kept is None else kept
        whole = np.ones(int(rows.sum()), dtype=bool)
        matrix, lower, upper = self.matrix[rows], self.lower[rows], self.upper[rows]
        options, lead = matrix.shape[1], self.lead
        if len(cost) == options and not self.leading[rows].nnz:
            return Milp(cost, matrix, lower, upper, whole, options)
        held, most = self.lead_rows()
        return Milp(
            np.append(cost, np.zeros(options + len(lead) - len(cost))),
            sparse.vstack(
                [sparse.hstack([matrix, self.leading[rows][:, lead]]), held], format="csr"
            ),
            np.append(lower, np.full(len(most), -np.inf)),
            np.append(upper, most),
            np.append(whole, np.zeros(len(most), dtype=bool)),
            options,
            complete=self.filled,
        )

    @property
    def weighted(self) -> np.ndarray:
        """The weighted benefit of every option alone, before any overlap."""
        return self.columns.options["weighted_benefit"].to_numpy()

    @property
    def scale(self) -> float:
        """What worths are multiplied by for the solver, so that the largest benefit is 1000."""
        return _LARGEST_WORTH / float(np.abs(self.weighted).max() or 1.0)

    @property
    def counting(self) -> Counting:
        """What each option counts beside the others of its school."""
        return self.columns.counting

    @property
    def lead(self) -> np.ndarray:
        """Positions of the options that have a column for their lead: those for which it counts."""
        counting = self.counting
        return np.flatnonzero((counting.group >= 0) & (counting.first > 0))

    def lead_rows(self) -> tuple[sparse.csr_array, np.ndarray]:
        """What limits the leads, over options and leads; and the upper limits."""
        lead, options = self.lead, self.matrix.shape[1]
        number, count = np.arange(len(lead)), len(lead)
        bought = sparse.csr_array((-np.ones(count), (number, lead)), (count, options))
        groups = np.unique(self.counting.group[lead], return_inverse=True)[1]
        in_group = sparse.csr_array(
            (np.ones(count), (groups, number)), (int(groups.max(initial=-1)) + 1, count)
        )
        rows = sparse.vstack(
            [
                sparse.hstack([bought, sparse.eye_array(count)]),
                sparse.hstack([sparse.csr_array((in_group.shape[0], options)), in_group]),
            ],
            format="csr",
        )
        return rows, np.append(np.zeros(count), np.ones(in_group.shape[0]))

    def filled(self, x: np.ndarray) -> np.ndarray:
        """A plan with its leads behind it."""
        bought = x[: self.matrix.shape[1]]
        return np.append(bought, self.counting.leads(bought)[self.lead])

    def benefit(self) -> np.ndarray:
        """The need-weighted gain of a plan, as coefficients of options and leads."""
        return np.append(self.counting.each, self.counting.first[self.lead])

    def gain_rows(self) -> sparse.csr_array:
        """The need-weighted gain of each school, in a row over options and leads."""
        options, schools = self.columns.options, self.columns.schools
        codes = schools.select("semel_mosad").with_row_index("row")
        row = options.join(codes, on="semel_mosad", maintain_order="left")["row"].to_numpy()
        benefit, row = self.benefit(), np.append(row, row[self.lead])
        return sparse.csr_array(
            (benefit, (row, np.arange(len(benefit)))), (schools.height, len(benefit))
        )

    @property
    def summed(self) -> Objective:
        """The objective, as a sum over schools.

        Raises:
            ValueError: it is the maximin, which is none before its floor is a rule.
        """
        if isinstance(self.objective, Maximin):
            raise ValueError("The maximin is solved in two stages; make its floor a rule first.")
        return self.objective

    def worth(self, x: np.ndarray) -> float:
        """What a plan is worth."""
        if self.summed.is_linear:
            return self.counting.total(x)
        pupils = self.columns.schools["pupils"].to_numpy()
        return float(self.summed.worth(self.gain_rows() @ self.filled(x), pupils).sum())

    def slope(self, x: np.ndarray) -> np.ndarray:
        """What a little more gain counts beside a plan, by option: its school's."""
        pupils = self.columns.schools["pupils"].to_numpy()
        by_school = self.summed.slope(self.gain_rows() @ self.filled(x), pupils)
        codes = self.columns.schools["semel_mosad"].to_numpy()
        return by_school[np.searchsorted(codes, self.columns.options["semel_mosad"].to_numpy())]

    def moves(self, x: np.ndarray) -> Moves:
        """Every change of one pair that buys another eligible option or gives one up."""
        add, drop = self._changes(x)
        return self._moves(x, add, drop, self.counting.change(x, add, drop))

    def _changes(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What every change of one pair buys, and what it gives up (-1 = nothing)."""
        options, pair = self.columns.options, self.columns.pair
        held = np.full(pair.max() + 1, -1)
        taken = np.flatnonzero(x > 0.5)
        held[pair[taken]] = taken
        buys = np.flatnonzero(options["is_eligible"].to_numpy() & (x < 0.5))
        add = np.concatenate([buys, np.full(len(taken), -1)])
        return add, np.concatenate([held[pair[buys]], taken])

    def _cost_steps(self, add: np.ndarray, drop: np.ndarray) -> np.ndarray:
        """What changes cost more, agorot."""
        # Position -1 picks the zero at the end: nothing bought, nothing given up.
        cost = np.append(self.columns.options["cost_agorot"].to_numpy(), 0)
        return cost[add] - cost[drop]

    def _moves(self, x: np.ndarray, add: np.ndarray, drop: np.ndarray, gain: np.ndarray) -> Moves:
        """Some changes of a plan, with the rows that they break."""
        step = self._steps(add, drop, x).tocoo()
        activity = self.activity(x)[step.row] + step.data
        broken = (activity < self.lower[step.row]) | (activity > self.upper[step.row])
        return Moves(
            add, drop, gain, self._cost_steps(add, drop), step.col[broken], step.row[broken]
        )

    def _steps(self, add: np.ndarray, drop: np.ndarray, x: np.ndarray) -> sparse.csc_array:
        """What each of some moves changes in every row; −1 = nothing bought, nothing given up."""
        padded, first = self._padded
        steps = padded[:, add] - padded[:, drop]
        if self.leading.nnz:
            one, two, three, four = self.counting.lead_changes(x, add, drop)
            steps = steps + first[:, two] - first[:, one] + first[:, four] - first[:, three]
        return steps.tocsc()

    @cached_property
    def _padded(self) -> tuple[sparse.csc_array, sparse.csc_array]:
        """The coefficients of the rows and of leaders, by column, and a last column of zeros."""
        nothing = sparse.csc_array((len(self.rows), 1))
        matrix = sparse.hstack([self.matrix, nothing], format="csc")
        return matrix, sparse.hstack([self.leading, nothing], format="csc")

    def rules_broken_by(self, moves: Moves) -> dict[int, list[int]]:
        """Move → the rules it would break, by position ("one dose for a pair" is none)."""
        broken: dict[int, set[int]] = {}
        for move, row in zip(moves.blocked_move, moves.blocked_row, strict=True):
            if self.owner[row] >= 0:
                broken.setdefault(int(move), set()).add(int(self.owner[row]))
        return {move: sorted(rules) for move, rules in broken.items()}

    def with_limits(
        self, rows: np.ndarray, *, lower: float = -np.inf, upper: float = np.inf
    ) -> Model:
        """The same model with other limits of some rows."""
        lowest, highest = self.lower.copy(), self.upper.copy()
        lowest[rows], highest[rows] = lower, upper
        return replace(self, lower=lowest, upper=highest)

    def activity(self, x: np.ndarray) -> np.ndarray:
        """What a plan makes of every row."""
        return self.matrix @ x + self.leading @ self.counting.leads(x)

    def keeps(self, x: np.ndarray) -> bool:
        """Whether a plan keeps every row."""
        activity = self.activity(x)
        return bool(np.all((activity >= self.lower) & (activity <= self.upper)))

    def polish(
        self,
        x: np.ndarray,
        may: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Take every single move that still does good; each one raises benefit or saves money.

        In a city the best one first, looked for anew after each that does good; those that only
        save, and in a country all, in the order of one look, a school's one, while they keep the
        rows.

        Args:
            x: a plan, 0/1 per option.
            may: of a plan and of what moves buy and give up (−1 = nothing), which may be taken;
                None = all of them.
        """
        x = x.copy()
        is_national = len(x) >= NATIONAL_OPTIONS
        while True:
            add, drop = self._changes(x)
            gain = self.counting.change(x, add, drop)
            # What neither does good nor saves is never taken; it needs no look at its rows.
            saves = (self._cost_steps(add, drop) < 0) | (add < 0)
            is_useful = (gain > 0) | ((gain == 0) & saves)
            useful = np.flatnonzero(is_useful if may is None else is_useful & may(x, add, drop))
            moves = self._moves(x, add[useful], drop[useful], gain[useful])
            good = moves.best_free()
            if not len(good):
                return x
            is_one = not is_national and moves.gain[good[0]] > 0
            taken = good[:1] if is_one else self._together(moves, good, x)
            x[moves.drop[taken][moves.drop[taken] >= 0]] = 0
            x[moves.add[taken][moves.add[taken] >= 0]] = 1

    def _together(self, moves: Moves, good: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Of some moves, in their order, one a school at most that all keep the rows together."""
        activity, taken = self.activity(x), list[int]()
        school = np.append(self.columns.school, -1)
        moved = np.zeros(self.columns.schools.height, dtype=bool)
        owners = np.maximum(school[moves.add], school[moves.drop])
        steps = self._steps(moves.add[good], moves.drop[good], x)
        for at, move in enumerate(good):
            entries = slice(steps.indptr[at], steps.indptr[at + 1])
            rows = steps.indices[entries]
            after = activity[rows] + steps.data[entries]
            if (
                moved[owners[move]]
                or ((after < self.lower[rows]) | (after > self.upper[rows])).any()
            ):
                continue
            activity[rows], moved[owners[move]] = after, True
            taken.append(int(move))
        return np.array(taken, dtype=np.int64)


def _matrix(rows: list[tuple[np.ndarray, np.ndarray]], size: tuple[int, int]) -> sparse.csr_array:
    """A matrix from the columns and coefficients of its rows."""
    return sparse.csr_array(
        (
            np.concatenate([coefficients for _, coefficients in rows]).astype(float),
            np.concatenate([columns for columns, _ in rows]),
            np.cumsum([0, *(len(columns) for columns, _ in rows)]),
        ),
        shape=size,
    )


def _one_dose_rows(columns: Columns) -> Iterator[Row]:
    """At most one dose per school × response."""
    for positions in columns.by_pair.values():
        yield Row.counting(positions, upper=1)


def model_of(problem: Problem) -> Model:
    """The model of a canonical problem, standing rules included."""
    return Model.of(Columns.of(problem), all_rules(problem), problem.objective)


def without_rule(problem: Problem, rule_id: str) -> Model:
    """The model of a canonical problem without one rule of the policy."""
    kept = tuple(rule for rule in problem.rules if rule.rule_id != rule_id)
    return model_of(replace(problem, rules=kept))


def all_rules(problem: Problem) -> tuple[Rule, ...]:
    """The policy's rules and those that stand in the tables, by rule id."""
    capped = problem.channels.drop_nulls("budget_agorot")
    standing: list[Rule] = [ChannelBudget(*row) for row in capped.iter_rows()]
    for (channel,), part in problem.school_channels.partition_by(
        "funding_channel", as_dict=True
    ).items():
        caps = tuple(part.select("semel_mosad", "budget_agorot").iter_rows())
        standing.append(SchoolChannelCap(channel, caps))
    standing.append(Eligibility())
    rules = sorted([*standing, *problem.rules], key=lambda rule: rule.rule_id)
    for first, second in pairwise(rules):
        if first.rule_id == second.rule_id:
            raise ValueError(
                f"Rule {first.rule_id} is given twice. Budgets, baskets and eligibility are read "
                "off the tables; any other rule is given once."
            )
    return tuple(rules)


def recheck(rules: tuple[Rule, ...], plan: Plan) -> list[Measure]:
    """What every rule measures on a plan's tables; none of it comes from the solver.

    Raises:
        RuntimeError: the plan breaks a rule although the solver kept its rows: a defect.
    """
    measures = [rule.measure(plan) for rule in rules]
    broken = [r for r, measure in zip(rules, measures, strict=True) if not measure.satisfied]
    if broken:
        raise RuntimeError(
            "The re-check found rules that the plan breaks although the solver kept their rows: "
            + "; ".join(f"{rule.sentence_en} [{rule.rule_id}]" for rule in broken)
        )
    return measures
