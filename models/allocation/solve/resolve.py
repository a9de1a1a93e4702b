"""One problem solved again and again: with other benefits, costs, needs or rules.

A country is taken apart (`national`), and each search begins where the first one ended.

The certified plan comes from `solve`; what asks "and if?" comes from here. It leaves out the
tie-break (two thirds of a city's solve) and the laying out of tables, takes the single moves that
still do good, and keeps the solver's bound. What is compared is always found in this same way.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import polars as pl
from scipy import sparse

from models.allocation.problem.choices import refuse
from models.allocation.problem.objective import Total
from models.allocation.problem.words import NO_PLAN
from models.allocation.solve.clock import countdown
from models.allocation.solve.listed import best_of_lists
from models.allocation.solve.model import NATIONAL_OPTIONS, Model
from models.allocation.solve.national.decomposition import Start, take_apart
from models.allocation.solve.search_result import NoPlanInTime
from models.allocation.solve.tangents import maximise_possible
from models.keys import OPTION, PAIR


@dataclass(frozen=True)
class Effort:
    """How hard a re-solve tries.

    Attributes:
        gap_pct: stop when the plan is proven this near to the best.
        time_limit_s: seconds of one solve; a safety limit, the only thing that depends on the
            machine.
    """

    gap_pct: float = 0.01
    time_limit_s: float = 300.0


@dataclass(frozen=True)
class Resolved:
    """A plan found anew.

    Attributes:
        x: 0/1 per option.
        worth: under the model's objective, overlaps counted once.
        bound: no plan is worth more.
        start: for the next search over the same options, where a country was taken apart.
    """

    x: np.ndarray
    worth: float
    bound: float
    start: Start | None = None

    @property
    def gap_pct(self) -> float:
        """The share of the bound that the plan may miss."""
        return 100 * (self.bound - self.worth) / abs(self.bound) if self.bound else 0.0


def with_benefit(model: Model, benefit: np.ndarray) -> Model:
    """The same model with other weighted benefits."""
    columns = model.columns
    options = columns.options.with_columns(weighted_benefit=pl.Series(benefit))
    counting = columns.counting.at(benefit)
    return replace(model, columns=replace(columns, options=options, counting=counting))


def under_draw(model: Model, benefit: np.ndarray) -> Model:
    """The same model with benefits that were drawn: other responses may lead where some overlap.

    Rows that count leaders, as a floor of gains does, mean those of the benefits that are expected.
    Under a draw they count what overlaps in full, which allows more: every plan that keeps the
    rows still does.
    """
    drawn = with_benefit(model, benefit)
    if not model.leading.nnz:
        return drawn
    in_full = (model.matrix + model.leading).tocsr()
    return replace(drawn, matrix=in_full, leading=sparse.csr_array(model.leading.shape))


def linear_at(model: Model, x: np.ndarray) -> Model:
    """The model whose benefits count as the objective counts a little more of them beside a plan.

    A concave objective is at its best where its linear part is (the plan solves this model too, but
    for wholeness), so prices and reasons are those of the linear part.
    """
    if model.summed.is_linear:
        return model
    return replace(with_benefit(model, model.weighted * model.slope(x)), objective=Total())


def with_bonus(model: Model, bonus: np.ndarray) -> Model:
    """The same model in which options are worth so much more, whatever they overlap with."""
    columns = model.columns
    counting = replace(columns.counting, each=columns.counting.each + bonus)
    return replace(model, columns=replace(columns, counting=counting))


def best(model: Model, effort: Effort, start: Start | None = None) -> Resolved | None:
    """The best plan to the gap; None where no plan keeps the rules.

    Args:
        model: the rules.
        effort: how hard to try.
        start: what a search over the same options left, where a country is taken apart.

    Raises:
        NoPlanInTime: the time limit came before any plan.
    """
    if is_national(model):
        return _best_apart(model, effort, start)
    limit_s, gap = effort.time_limit_s, effort.gap_pct / 100
    listed = best_of_lists(model, gap=gap, seconds_left=countdown(limit_s), start=start)
    if listed is not None:
        worth = model.worth(listed.x)
        return Resolved(listed.x, worth, max(listed.bound, worth), listed.start)
    outcome = maximise_possible(model, gap=gap, time_limit_s=limit_s)
    if outcome.is_infeasible:
        return None
    if outcome.x is None:
        raise _no_plan(limit_s)
    x = model.polish(outcome.x[: model.matrix.shape[1]])
    worth = model.worth(x)
    return Resolved(x, worth, max(-outcome.bound / model.scale, worth))


def is_national(model: Model) -> bool:
    """Whether the problem is a country's, which is taken apart."""
    return model.matrix.shape[1] >= NATIONAL_OPTIONS


def _best_apart(model: Model, effort: Effort, start: Start | None) -> Resolved | None:
    """As `best`, school by school."""
    seconds_left = countdown(effort.time_limit_s)
    found = take_apart(model, gap=effort.gap_pct / 100, seconds_left=seconds_left, start=start)
    if np.isneginf(found.bound):
        return None
    if found.x is None:
        raise _no_plan(effort.time_limit_s)
    worth = model.worth(found.x)
    return Resolved(found.x, worth, max(found.bound, worth), found.start)


def _no_plan(limit_s: float) -> NoPlanInTime:
    return NoPlanInTime(
        f"A re-solve found no plan within {limit_s:g} s. Allow more time (solver)."
        f" לא נמצאה תוכנית חלופית בתוך {limit_s:g} שניות; יש להקצות יותר זמן (solver)."
    )


class Once:
    """`best`, but a model that comes again, in whichever thread, is not solved again.

    What is asked around one plan comes to the same model by several ways: the plan's own, a budget
    cut by a tenth, a rule left out. All models are of one problem, and everybody asks for the
    plan's own first: from there all others begin.
    """

    def __init__(self) -> None:
        self._first: Future[Resolved | None] | None = None
        self._found: dict[tuple[bytes, Effort], Future[Resolved | None]] = {}
        self._one_at_a_time = Lock()

    def __call__(self, model: Model, effort: Effort) -> Resolved | None:
        """The best plan to the gap, as `best`."""
        key = _content_of(model), effort
        with self._one_at_a_time:
            is_known = key in self._found
            found = self._found.setdefault(key, Future())
            first = self._first = self._first or found
        if not is_known:
            try:
                held = None if first is found else first.result()
                start = held.start if held else None
                found.set_result(best(model, effort, start) if start else best(model, effort))
            except BaseException as error:
                found.set_exception(error)
        return found.result()


def _content_of(model: Model) -> bytes:
    """What tells a model from others of the same options: rows, limits, benefits, objective."""
    content = hashlib.sha256(repr(model.objective).encode())
    parts = [model.lower, model.upper, model.weighted, model.counting.each, model.counting.first]
    for matrix in (model.matrix, model.leading):
        parts += [matrix.data, matrix.indices, matrix.indptr]
    for part in parts:
        content.update(
            f"{part.dtype} {len(part)}\n".encode() + np.ascontiguousarray(part).tobytes()
        )
    return content.digest()


def best_of_each(
    models: Iterable[Model], effort: Effort, workers: int = 1
) -> list[Resolved | None]:
    """The best plan of each of several models, in their order; as `best`.

    The solver lets other threads run, so that as many are solved at once as there are workers. They
    change no figure. Of a country the first is solved alone, and all others begin where it ended.
    """
    left = iter(models)
    first = next(left, None)
    if first is None:
        return []
    found = [best(first, effort)]
    start = found[0].start if found[0] else None
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque[Future[Resolved | None]]()
        for model in left:
            if len(waiting) > workers:  # a country's models do not all find room at once
                found.append(waiting.popleft().result())
            waiting.append(pool.submit(best, model, effort, start))
        return [*found, *(one.result() for one in waiting)]


def best_plans(models: Sequence[Model], effort: Effort, workers: int = 1) -> list[Resolved]:
    """The best plan of each of several models that all have one; as `best_of_each`.

    Raises:
        ValueError: one of them has none.
    """
    found = [plan for plan in best_of_each(models, effort, workers) if plan is not None]
    if len(found) < len(models):
        raise ValueError(NO_PLAN)
    return found


def plan_vector(model: Model, lines: pl.DataFrame) -> np.ndarray:
    """A plan's lines as 0/1 per option.

    Raises:
        ValueError: a line is no option of the problem.
    """
    options = model.columns.options
    keys = lines.select(*PAIR, pl.col("dose_level").cast(pl.Int32))
    refuse("lines", "no such option", keys.join(options, on=OPTION, how="anti").sort(OPTION))
    x = np.zeros(options.height)
    x[options.join(keys, on=OPTION, how="semi")["column"].to_numpy()] = 1
    return x
