"""Among plans that are nearly equal in worth, the one that leaves the least envy.

The programme of a city with two kinds of columns more. `u` of a set of pairs is at most what each
of them buys: one where all have the response. `z` of a pair is the money of its line, less as much
where its enviers all have it: the envied agorot. Sets within one another share their rows, so that
a city of 36 schools has some nine hundred.

Four steps, each with the ones before it as rows: the least envy; the fewest lines of last year that
end; the most worth; and the single moves that still do good. All are limited by nodes. What is tied
then is drawn by lot (`ties`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import sparse

from models.allocation.problem.fairness import Envies, Fairness
from models.allocation.problem.problem import Problem
from models.allocation.problem.rule import Rule
from models.allocation.rules.order import LinesKept, NeedOrder
from models.allocation.solve.clock import countdown
from models.allocation.solve.highs import Milp, around, minimise, refine
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import is_national, plan_vector
from models.allocation.solve.ties import Tie, draw_ties
from models.keys import PAIR

_UNIT = 10_000_000
"""Agorot in which envy is handed to the solver."""
_NEAR = 1e-9
_SPARE = 0.02
"""Worth of the whole band counts as much as this share of the envy, while envy is sought."""
_ROUNDS, _AT_ONCE, _DOSES = 1, 4, 2
_STAND_IN_GAP = 0.01
_SEED = 0
_LEAST_S = 1.0


@dataclass(frozen=True)
class Fair:
    """The fair plan, and what is proven of it.

    Attributes:
        x: 0/1 per option.
        start: the linear stand-in from which least envy was sought.
        envies: who could envy whom.
        envy_bound_agorot: no plan of the band that spends as much in every channel leaves less
            envied money (the solver's); None where nothing is proven.
        is_time_out: the time limit came first.
        ties: which schools the lot decided between.
    """

    x: np.ndarray
    start: np.ndarray
    envies: Envies
    envy_bound_agorot: int | None
    is_time_out: bool
    ties: tuple[Tie, ...]


def envies_of(model: Model, needier: pl.DataFrame) -> Envies:
    """Who could envy whom under the model's rules.

    A pair is held where a row asks for one of its options and of no other pair; an option is barred
    where a row that counts it allows none. That money is short bars nobody.
    """
    matrix, pair = model.matrix, model.columns.pair
    owned = np.split(np.arange(matrix.nnz), matrix.indptr[1:-1])
    held, barred = [], []
    for row, entries in enumerate(owned):
        columns, values = matrix.indices[entries], matrix.data[entries]
        if not len(columns) or values.min() < 0:
            continue
        is_budget = model.owner[row] >= 0 and model.rules[model.owner[row]].is_budget
        if model.upper[row] <= 0 and not is_budget:
            barred.append(columns[values > 0])
        if model.lower[row] > 0 and len(set(pair[columns].tolist())) == 1:
            held.append(pair[columns[:1]])
    nothing = np.zeros(0, dtype=np.int64)
    return Envies.of(
        model.columns, needier, np.concatenate([nothing, *held]), np.concatenate([nothing, *barred])
    )


def fairness_rules(model: Model, x: np.ndarray, fairness: Fairness) -> tuple[Rule, ...]:
    """What a fair plan keeps, as rules: the order of need where it kept it, and last year's lines.

    Under these, and no others of fairness, it is the best by worth: what the plan is explained and
    priced in. An order that follows from others is left out.
    """
    fairness = fairness.canonical(model.columns)
    envies, pairs = envies_of(model, fairness.needier), model.columns.pairs.rows()
    envied = set(model.columns.pair[list(envies.of_plan(x))].tolist())
    kept = {b: set(a) for b, a in envies.enviers.items() if b not in envied}
    order = tuple(
        (pairs[a][0], *pairs[b])
        for b, above in kept.items()
        for a in sorted(above - set().union(*(kept.get(c, set()) for c in above)))
    )
    last = tuple(fairness.last_year.rows())
    has = {pairs[k] for k in model.columns.pair[np.flatnonzero(x > 0.5)]}
    rules: list[Rule] = [NeedOrder(order)] if order else []
    return (*rules, LinesKept(last, len(has & set(last)))) if last else tuple(rules)


def with_order_kept(problem: Problem, lines: pl.DataFrame, fairness: Fairness) -> Problem:
    """The problem with what a fair plan keeps as rules: what it is explained and drawn in.

    As it is where it is a country's: its rows of order would be as many as its pairs of schools.

    Args:
        problem: any.
        lines: semel_mosad, response_id, dose_level: the plan.
        fairness: what it was made under.
    """
    model = model_of(problem.canonical())
    if is_national(model):
        return problem
    kept = fairness_rules(model, plan_vector(model, lines), fairness)
    return replace(problem, rules=(*problem.rules, *kept))


@dataclass(frozen=True)
class _Programme:
    """The model's rows with the columns of envy.

    Attributes:
        model: the rules.
        envies: who could envy whom.
        milp: minimises envy.
        size: columns of the model: options and leads.
        sets: the enviers of each u.
        owners: of each z: its pair's options and its u.
    """

    model: Model
    envies: Envies
    milp: Milp
    size: int
    sets: tuple[tuple[int, ...], ...]
    owners: tuple[tuple[np.ndarray, int], ...]

    @classmethod
    def of(cls, model: Model, envies: Envies) -> _Programme:
        """Build it; see the module."""
        plain, columns = model.milp(-model.benefit()), model.columns
        cost = columns.options["cost_agorot"].to_numpy() / _UNIT
        own = np.split(np.arange(len(cost)), np.flatnonzero(np.diff(columns.pair)) + 1)
        sets = tuple(sorted(set(envies.enviers.values()), key=lambda s: (len(s), s)))
        number = {held: k for k, held in enumerate(sets)}
        size, width = plain.matrix.shape[1], len(sets) + len(envies.enviers)
        entries: list[tuple[int, int, float]] = []
        rows = 0
        for k, held in enumerate(sets):
            inside = [j for j in range(k) if set(sets[j]) < set(held)]
            above = inside[-1:]
            rest = sorted(set(held) - set(sets[above[0]])) if above else held
            for part in [[(size + j, -1.0)] for j in above] + [
                [(int(j), -1.0) for j in own[a]] for a in rest
            ]:
                entries += [(rows, size + k, 1.0), *((rows, j, value) for j, value in part)]
                rows += 1
        owners = []
        for k, (b, held) in enumerate(envies.enviers.items()):
            owners.append((own[b], number[held]))
            entries += [(rows, int(j), float(cost[j])) for j in own[b]]
            entries += [
                (rows, size + number[held], -float(cost[own[b]].max())),
                (rows, size + len(sets) + k, -1.0),
            ]
            rows += 1
        row, column, value = zip(*entries, strict=True) if entries else ((), (), ())
        extra = sparse.csr_array((value, (row, column)), (rows, size + width))
        none = sparse.csr_array((plain.matrix.shape[0], width))
        milp = Milp(
            np.concatenate([np.zeros(size + len(sets)), np.ones(len(owners))]),
            sparse.hstack([plain.matrix, none], format="csr"),
            plain.lower,
            plain.upper,
            plain.is_whole,
            len(cost),
        ).with_rows(extra, np.full(rows, -np.inf), np.zeros(rows))
        made = cls(model, envies, milp, size, sets, tuple(owners))
        return replace(made, milp=replace(milp, complete=made.filled))

    def filled(self, x: np.ndarray) -> np.ndarray:
        """A plan with its leads, u and z behind it."""
        model, options = self.model, self.model.matrix.shape[1]
        bought, cost = x[:options], model.columns.options["cost_agorot"].to_numpy() / _UNIT
        has = np.zeros(model.columns.pairs.height)
        has[model.columns.pair[bought > 0.5]] = 1
        u = np.array([has[list(held)].min() for held in self.sets])
        z = [max(0.0, cost[own] @ bought[own] - cost[own].max() * u[k]) for own, k in self.owners]
        return np.concatenate([model.filled(bought)[: self.size], u, z])

    def responses(self) -> np.ndarray:
        """The response of every column, by number."""
        columns = self.model.columns
        option = columns.options["response_id"].rank("dense").to_numpy()
        by_pair = columns.pairs["response_id"].rank("dense").to_numpy()
        return np.concatenate(
            [
                option,
                option[self.model.lead][: self.size - len(option)],
                by_pair[[held[0] for held in self.sets]],
                by_pair[list(self.envies.enviers)],
            ]
        ).astype(np.int64)

    def few_doses(self, x: np.ndarray) -> np.ndarray:
        """Columns to free: of every pair its line and the doses most above the plan's own price."""
        model, pair = self.model, self.model.columns.pair
        cost, bought = model.columns.options["cost_agorot"].to_numpy(), x[: len(pair)]
        surplus = model.weighted - cost * model.worth(bought) / max(float(cost @ bought), 1.0)
        order = np.lexsort((np.arange(len(pair)), -surplus, pair))
        rank = np.empty(len(pair), dtype=np.int64)
        rank[order] = np.arange(len(pair)) - np.searchsorted(pair, pair[order])
        free = (rank < _DOSES) | (x[: len(pair)] > 0.5)
        rest = np.ones(len(x) - self.size, dtype=bool)
        return np.concatenate([free, free[model.lead][: self.size - len(free)], rest])

    def wide(self, values: np.ndarray) -> np.ndarray:
        """Coefficients of options, or of options and leads, over all columns."""
        return np.append(values, np.zeros(self.milp.matrix.shape[1] - len(values)))

    def within(self, milp: Milp, x: np.ndarray, free: np.ndarray) -> Milp:
        """A programme in which only some columns are free and the others stay as they are."""
        matrix = milp.matrix[:, np.flatnonzero(free)]
        fixed = milp.matrix[:, np.flatnonzero(~free)] @ x[~free]
        kept = np.diff(matrix.indptr) > 0
        binaries = int(free[: milp.binaries].sum())
        return Milp(
            milp.cost[free],
            matrix[kept],
            (milp.lower - fixed)[kept],
            (milp.upper - fixed)[kept],
            milp.is_whole[kept],
            binaries,
            tolerance=np.inf,
        )


def fairest(
    model: Model,
    best: np.ndarray,
    fairness: Fairness,
    *,
    gap: float,
    time_limit_s: float,
) -> Fair:
    """The fairest of the plans within the band of the best by worth.

    Args:
        model: the rules; its objective is linear.
        best: the plan by worth, 0/1 per option.
        fairness: the band, and who is surely needier.
        gap: of each step, relative.
        time_limit_s: for all steps: an emergency brake, since the steps are limited by nodes.
    """
    fairness = fairness.canonical(model.columns)
    envies = envies_of(model, fairness.needier)
    held = Held.of(model, best, fairness)
    search = _Search(model, envies, fairness, held, countdown(time_limit_s))
    start, x, bound, is_time_out = best, best, 0, False
    if envies.enviers:
        start = search.stand_in(best)
        x, bound, is_time_out = search.least_envy(start, best)
    x, ties = search.drawn(search.least_change(x, gap), gap)
    envy = envies.agorot(x)
    return Fair(x, start, envies, min(bound, envy), is_time_out, ties)


@dataclass(frozen=True)
class Held:
    """What every plan of the band holds: worth and, in every channel, spending.

    Attributes:
        model: the rules.
        worth: least worth.
        spent: funding channel, its agorot of each option, and the least that is spent of it.
    """

    model: Model
    worth: float
    spent: tuple[tuple[str, np.ndarray, int], ...]

    @classmethod
    def of(cls, model: Model, best: np.ndarray, fairness: Fairness, short: float = 0.0) -> Held:
        """Of the plan by worth; `short` is the share of its spending that may be missing."""
        channels = model.columns.choices.channels["funding_channel"]
        money = [(channel, model.columns.money(channel)) for channel in channels]
        bought = np.flatnonzero(best > 0.5)
        return cls(
            model,
            (1 - fairness.band_pct / 100) * model.worth(best),
            tuple(
                (channel, each, math.ceil((1 - short) * int(each[bought].sum())))
                for channel, each in money
                if each[bought].any()
            ),
        )

    def by(self, x: np.ndarray) -> bool:
        """Whether a plan holds it, and every rule."""
        bought = np.flatnonzero(x > 0.5)
        return (
            self.model.keeps(x)
            and self.model.worth(x) >= self.worth - _NEAR * abs(self.worth)
            and all(int(money[bought].sum()) >= least for _, money, least in self.spent)
        )

    def on(self, milp: Milp) -> Milp:
        """A programme over options, leads and whatever else with these rows."""
        width = milp.matrix.shape[1]

        def wide(values: np.ndarray) -> np.ndarray:
            return np.append(values, np.zeros(width - len(values)))

        scale = self.model.scale
        for _, money, least in self.spent:
            milp = milp.with_row(wide(money), lower=least, is_whole=True)
        return milp.with_row(wide(self.model.benefit() * scale), lower=self.worth * scale)


@dataclass(frozen=True)
class _Search:
    """The steps, around one problem."""

    model: Model
    envies: Envies
    fairness: Fairness
    held: Held
    seconds_left: Callable[[], float]

    def least_envy(self, start: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, int, bool]:
        """The plan of least envy found, in agorot a bound for all of the band, and time-out.

        The search begins from a plan of the band, and never leaves more envy than that. Parts of
        the programme are searched around the plan in hand: first two doses of each pair, then a few
        responses at a time with all their doses. Worth that is left over counts a little, so that
        it can pay for the next step. The bound is that of the whole programme's first node.
        """
        model, programme = self.model, _Programme.of(self.model, self.envies)
        milp, x = self.held.on(programme.milp), programme.filled(start)
        band = max(model.worth(best) - self.held.worth, _NEAR)
        spare = _SPARE * self.envies.agorot(best) / _UNIT / band
        both = replace(milp, cost=milp.cost - spare * programme.wide(model.benefit()))
        response, random = programme.responses(), np.random.default_rng(_SEED)
        parts = [programme.few_doses(x)]
        for _ in range(_ROUNDS):
            order = random.permutation(np.unique(response))
            at = range(0, len(order), _AT_ONCE)
            parts += [np.isin(response, order[k : k + _AT_ONCE]) for k in at]
        for free in parts:
            x = self._improved(programme, both, x, free)
        left_s = max(self.seconds_left(), _LEAST_S)
        proven = minimise(
            milp, gap=_NEAR, time_limit_s=left_s, max_nodes=1, start=x, around_start=False
        )
        bound = math.ceil(proven.bound * _UNIT - 1) if np.isfinite(proven.bound) else 0
        found = self._kept(x[: len(best)], start)
        if proven.x is not None:
            found = self._kept(proven.x[: len(best)], found)
        return found, max(bound, 0), self.seconds_left() <= 0

    def stand_in(self, best: np.ndarray) -> np.ndarray:
        """The plan of the band with the least money on lines that a surely needier school could
        have too, whether it has or not: linear in the options, and near the least envy.
        """
        could = np.isin(self.model.columns.pair, list(self.envies.enviers))
        cost = np.where(could, self.model.columns.options["cost_agorot"].to_numpy(), 0) / _UNIT
        size = len(self.model.benefit())
        milp = self.held.on(self.model.milp(np.append(cost, np.zeros(size - len(cost)))))
        found = minimise(
            milp,
            gap=_STAND_IN_GAP,
            time_limit_s=max(self.seconds_left(), _LEAST_S),
            max_nodes=1,
            start=self.model.filled(best),
        )
        return best if found.x is None else self._kept(found.x[: len(best)], best)

    def _improved(
        self, programme: _Programme, milp: Milp, x: np.ndarray, free: np.ndarray
    ) -> np.ndarray:
        """The plan after a short search among some columns; as it was where none is better."""
        if self.seconds_left() <= 0:
            return x
        part = programme.within(milp, x, free)
        found = around(part, x[free], time_limit_s=self.seconds_left())
        if found is None:
            return x
        y = x.copy()
        y[free] = found
        y = programme.filled(y)
        is_better = milp.cost @ y < milp.cost @ x - _NEAR
        return y if is_better and self.held.by(y[: milp.binaries]) else x

    def least_change(self, x: np.ndarray, gap: float) -> np.ndarray:
        """Envy held: the fewest lines of last year that end, the most worth, then single moves."""
        model, last = self.model, self.fairness.last_year
        goes_on = model.columns.options.join(
            last.with_columns(goes_on=1.0), on=PAIR, how="left", maintain_order="left"
        )["goes_on"].fill_null(0.0)
        x = self._in_order(x, -goes_on.to_numpy(), last.clear(), gap)
        x = self._in_order(x, -model.benefit() * model.scale, last, gap)
        return self._kept(self._ruled(x, last).polish(x), x)

    def drawn(self, x: np.ndarray, gap: float) -> tuple[np.ndarray, tuple[Tie, ...]]:
        """What is tied, drawn by lot."""
        near = gap * abs(self.model.worth(x)) + _NEAR
        pair, pairs = self.model.columns.pair, self.model.columns.pairs
        last = pairs.with_row_index().join(self.fairness.last_year, on=PAIR, how="semi")["index"]
        went_on = np.isin(pair, last.to_numpy())

        def is_as_good(y: np.ndarray, x: np.ndarray) -> bool:
            return (
                abs(self.model.worth(y) - self.model.worth(x)) <= near
                and y[went_on].sum() == x[went_on].sum()
                and self.held.by(y)
                and self.envies.agorot(y) == self.envies.agorot(x)
            )

        return draw_ties(self.model, x, is_as_good, near=near, seed=self.fairness.seed)

    def _ruled(self, x: np.ndarray, last_year: pl.DataFrame) -> Model:
        """The model with what a fair plan keeps as rules."""
        kept = fairness_rules(self.model, x, replace(self.fairness, last_year=last_year))
        return Model.of(self.model.columns, (*self.model.rules, *kept), self.model.objective)

    def _in_order(
        self, x: np.ndarray, cost: np.ndarray, last_year: pl.DataFrame, gap: float
    ) -> np.ndarray:
        """The plan of least cost of options, or of options and leads, with no more envy."""
        ruled, columns = self._ruled(x, last_year), self.model.columns
        envied = np.isin(columns.pair, columns.pair[list(self.envies.of_plan(x))])
        agorot = np.where(envied, columns.options["cost_agorot"].to_numpy(), 0)
        size = len(self.model.benefit())
        plain = ruled.milp(np.append(cost, np.zeros(size - len(cost))))
        none = np.zeros(plain.matrix.shape[1] - len(agorot))
        milp = self.held.on(plain).with_row(
            np.append(agorot, none), upper=self.envies.agorot(x), is_whole=True
        )
        left_s = max(self.seconds_left(), _LEAST_S)
        start = ruled.filled(x) if len(none) else x
        found, _ = refine(milp, start, gap=gap, time_limit_s=left_s)
        return self._kept(found[: len(x)], x)

    def _kept(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The first plan where it is still one of the band and leaves no more envy."""
        is_fair = self.held.by(y) and self.envies.agorot(y) <= self.envies.agorot(x[: len(y)])
        return y if is_fair else x
