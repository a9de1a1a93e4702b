"""A bound on what any plan can be worth that nobody has to believe a solver for.

Whole numbers and multipliers, as they are published, and what follows from them by whole-number
arithmetic alone. For multipliers λ ≥ 0 on the rows between schools, each brought to Σ a·x ≤ b,

    Σ λ·b + Σ over schools of the most of (worth − Σ λ·a·x) over the plans the school could have

is at least the worth of every plan that keeps all rows (Lagrangian duality; Fisher 1981). Where the
multipliers come from is no matter: any give a bound, good ones a near one. A school's best plan is
found by branch and bound over its pairs, overlaps counted once. The plans it could have are those
that keep each row when all other schools use as little of it as they can.

Under a concave objective worth is held under its tangent at the plan in hand, which is never less
(`Atkinson`). Rows that count leaders of overlaps, such as a maximin's floor, are left out, which
can only raise the bound: it is then one of the total without the floor.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from models.allocation.problem.objective import Total
from models.allocation.problem.problem import Problem
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.national.lagrangian import relax
from models.allocation.solve.national.school_blocks import BySchool
from models.allocation.solve.national.school_plans import Search
from models.allocation.solve.resolve import linear_at, plan_vector
from models.keys import OPTION, WHOLE

WORTH_UNITS = 10**9
"""Units of worth in one SD·pupil."""
PRICE_UNITS = 10**6
"""Units of a multiplier in one unit of worth."""
_TARGET = 1e-5
_STEPS = 300_000
_OUTWARD = 1e-9


@dataclass(frozen=True)
class Proof:
    """A bound with all that it follows from, in whole numbers.

    Attributes:
        options: proof_column, semel_mosad, response_id, dose_level, overlap_group (number; null =
            in none), worth_units (in any case) and lead_units (besides, where it leads its group),
            rounded up; WORTH_UNITS to one SD·pupil.
        rows: proof_row, rule_id, rule_scope (a school, or "all"), row_limit (of Σ a·x ≤ b),
            multiplier_units (≥ 0; PRICE_UNITS to one unit of worth and one of the row).
        entries: proof_row, proof_column, coefficient.
        constant_units: worth beside that of the options (of tangents; 0 where worth is linear).
        bound_units: no plan that keeps the rows is worth more.
        worth_units: of the plan in hand, rounded down.
        schools_open: schools whose best plan was not found within the steps, so that a coarser
            bound stands for it.
    """

    options: pl.DataFrame
    rows: pl.DataFrame
    entries: pl.DataFrame
    constant_units: int
    bound_units: int
    worth_units: int
    schools_open: int

    @property
    def gap_pct(self) -> float:
        """The share of the bound that the plan may miss."""
        gap = self.bound_units - self.worth_units
        return 100 * gap / self.bound_units if self.bound_units > 0 else 0.0


def prove(problem: Problem, lines: pl.DataFrame) -> Proof:
    """The bound of a problem by prices of what schools share, for a plan in hand.

    Args:
        problem: the tables and rules; under the maximin with its floor as a rule.
        lines: semel_mosad, response_id, dose_level: a plan that keeps the rules.

    Raises:
        ValueError: bad tables, or a line that is no option.
        RuntimeError: the plan is worth more than the bound, or breaks a row: a defect.
    """
    model = model_of(problem.canonical())
    x = plan_vector(model, lines)
    if not model.keeps(x):
        raise RuntimeError("The plan breaks a row: nothing is proven of it.")
    linear, constant = linear_at(model, x), _above_tangents(model, x)
    group = linear.counting.group
    options = model.columns.options.select(
        pl.col("column").cast(pl.Int32).alias("proof_column"),
        *OPTION,
        overlap_group=pl.when(pl.Series(group >= 0)).then(pl.Series(group)),
        worth_units=_whole_worth(linear.counting.each),
        lead_units=_whole_worth(linear.counting.first),
    )
    rows, entries = _rows(linear)
    bound, schools_open = bound_of(options, rows, entries)
    worth = math.floor(model.worth(x) * WORTH_UNITS)
    if worth > constant + bound:
        raise RuntimeError("The plan is worth more than its bound: the proof is none.")
    return Proof(options, rows, entries, constant, constant + bound, worth, schools_open)


def _whole_worth(worth: np.ndarray) -> pl.Series:
    """Worth in whole units, rounded up."""
    return pl.Series([math.ceil(value * WORTH_UNITS) for value in worth.tolist()], dtype=pl.Int64)


def _above_tangents(model: Model, x: np.ndarray) -> int:
    """Worth beside that of the options where the objective is held under its tangents at a plan."""
    if model.summed.is_linear:
        return 0
    pupils, gain = model.columns.schools["pupils"].to_numpy(), model.gain_rows() @ model.filled(x)
    beside = model.summed.worth(gain, pupils) - model.summed.slope(gain, pupils) * gain
    # The slope is rounded: the tangent that has it exactly is higher by less than this.
    return math.ceil((math.fsum(beside) + _OUTWARD * (1 + math.fsum(gain))) * WORTH_UNITS)


def _rows(model: Model) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the rules as Σ a·x ≤ b with their multipliers, and their entries."""
    plain = (model.owner >= 0) & (np.diff(model.leading.indptr) == 0)
    up = np.flatnonzero(plain & np.isfinite(model.upper))
    down = np.flatnonzero(plain & np.isfinite(model.lower))
    matrix = sparse.vstack([model.matrix[up], -model.matrix[down]], format="csr")
    code, price = model.columns.options["semel_mosad"].to_list(), iter(_prices(model))
    held = [
        sorted({code[column] for column in matrix.indices[start:end]})
        for start, end in pairwise(matrix.indptr.tolist())
    ]
    rows = pl.DataFrame(
        {
            "proof_row": range(len(held)),
            "rule_id": [model.rules[model.owner[row]].rule_id for row in (*up, *down)],
            "rule_scope": [own[0] if len(own) == 1 else WHOLE for own in held],
            "row_limit": [int(limit) for limit in (*model.upper[up], *-model.lower[down])],
            "multiplier_units": [next(price, 0) if len(own) > 1 else 0 for own in held],
        },
        schema={
            "proof_row": pl.Int32,
            "rule_id": pl.String,
            "rule_scope": pl.String,
            "row_limit": pl.Int64,
            "multiplier_units": pl.Int64,
        },
    )
    entry = matrix.tocoo()
    entries = pl.DataFrame(
        {"proof_row": entry.row, "proof_column": entry.col, "coefficient": entry.data.astype(int)},
        schema_overrides={"proof_row": pl.Int32, "proof_column": pl.Int32},
    )
    return rows, entries.sort("proof_row", "proof_column")


def _prices(model: Model) -> list[int]:
    """Multipliers of the rows between schools: of the upper limits, then of the lower ones."""
    search = Search(BySchool.of(model), Total())
    dual = relax(search, target=_TARGET, seconds_left=lambda: math.inf)
    price = [] if dual is None else dual.price.tolist()
    return [round(value * WORTH_UNITS * PRICE_UNITS) for value in price]


class _Choice(NamedTuple):
    """One option: its value after prices, what it adds as a leader, what it uses of rows."""

    value: int
    lead: int
    use: dict[int, int]


def bound_of(options: pl.DataFrame, rows: pl.DataFrame, entries: pl.DataFrame) -> tuple[int, int]:
    """The bound that published numbers prove, by whole-number arithmetic alone.

    Args:
        options: as `Proof.options`.
        rows: as `Proof.rows`.
        entries: as `Proof.entries`.

    Returns:
        The bound in units of worth; and in how many schools a coarser one stands for the best plan.
    """
    limit = dict(rows.select("proof_row", "row_limit").iter_rows())
    price = dict(rows.select("proof_row", "multiplier_units").iter_rows())
    use: dict[int, dict[int, int]] = defaultdict(dict)
    for row, column, coefficient in entries.iter_rows():
        use[column][row] = coefficient
    schools: list[list[tuple[int | None, list[_Choice]]]] = []
    # Pairs of one overlap group stand together.
    ordered = options.sort("semel_mosad", "overlap_group", "response_id", "proof_column").select(
        "semel_mosad", "overlap_group", "response_id", "proof_column", "worth_units", "lead_units"
    )
    for _, own in groupby(ordered.iter_rows(), key=lambda option: option[0]):
        pairs = []
        for (group, _), same in groupby(own, key=lambda option: option[1:3]):
            choices = []
            for *_, column, worth, lead in same:
                paid = sum(price[row] * count for row, count in use[column].items())
                choices.append(_Choice(PRICE_UNITS * worth - paid, PRICE_UNITS * lead, use[column]))
            choices.sort(key=lambda choice: -choice.value - choice.lead)
            pairs.append((group, choices))
        schools.append(pairs)
    least = [_extreme((choices for _, choices in pairs), min) for pairs in schools]
    everywhere: dict[int, int] = defaultdict(int)
    for used in least:
        for row, count in used.items():
            everywhere[row] += count
    found = [
        _best(pairs, {row: limit[row] - everywhere[row] + count for row, count in used.items()})
        for pairs, used in zip(schools, least, strict=True)
    ]
    total = sum(price[row] * limit[row] for row in price) + sum(most for most, _ in found)
    return -(-total // PRICE_UNITS), sum(not is_exact for _, is_exact in found)


def _extreme(
    pairs: Iterable[list[_Choice]], which: Callable[[Iterable[int]], int]
) -> dict[int, int]:
    """The least, or the most, of each row that pairs use with one choice or none of each."""
    total: dict[int, int] = defaultdict(int)
    for choices in pairs:
        for row in {row for choice in choices for row in choice.use}:
            total[row] += which([0, *(choice.use.get(row, 0) for choice in choices)])
    return total


def _best(pairs: list[tuple[int | None, list[_Choice]]], room: dict[int, int]) -> tuple[int, bool]:
    """The most that one choice or none of each pair are worth within the room of each row.

    Branch and bound: pairs still to come add at most their own values and, for each overlap group,
    its largest lead. False where the steps ran out; no plan is worth more all the same.
    """
    last, groups = len(pairs), [group for group, _ in pairs]
    starts = [g is None or i == 0 or groups[i - 1] != g for i, g in enumerate(groups)]
    most_used = _extreme((choices for _, choices in pairs), max)
    room = {row: limit for row, limit in room.items() if most_used[row] > limit}
    value_left, lead_left, same_left = ([0] * (last + 1) for _ in range(3))
    low_left: list[dict[int, int]] = [dict.fromkeys(room, 0)] * (last + 1)
    for i in reversed(range(last)):
        choices = pairs[i][1]
        value_left[i] = value_left[i + 1] + max(0, *(choice.value for choice in choices))
        in_group = max(same_left[i + 1], *(choice.lead for choice in choices))
        same_left[i] = 0 if starts[i] else in_group
        lead_left[i] = lead_left[i + 1] + (in_group if starts[i] else 0)
        low = _extreme([choices], min)
        low_left[i] = {row: count + low.get(row, 0) for row, count in low_left[i + 1].items()}
    nothing = _Choice(0, 0, {})
    best: int | None = None
    steps = 0

    def search(i: int, value: int, lead: int, used: dict[int, int]) -> None:
        nonlocal best, steps
        if i == last or steps > _STEPS:
            best = value + value_left[i] + lead_left[i] + max(0, same_left[i] - lead)
            return
        led, low = 0 if starts[i] else lead, low_left[i + 1]
        for choice in (*pairs[i][1], nothing):
            steps += 1
            leads = max(led, choice.lead)
            then = value + choice.value + leads - led
            rest = value_left[i + 1] + lead_left[i + 1] + max(0, same_left[i + 1] - leads)
            if best is None or then + rest > best:
                now = {row: count + choice.use.get(row, 0) for row, count in used.items()}
                if all(count + low[row] <= room[row] for row, count in now.items()):
                    search(i + 1, then, leads, now)

    search(0, 0, 0, dict.fromkeys(room, 0))
    if best is None:
        raise RuntimeError("A school has no plan that keeps the rows: no plan, and no bound of it.")
    return best, steps <= _STEPS
