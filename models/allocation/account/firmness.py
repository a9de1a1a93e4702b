"""How often each line of a plan is chosen when what is uncertain is drawn anew (R96)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from models.allocation.account.draws import Draws
from models.allocation.problem.problem import Problem
from models.allocation.solve.model import Model, model_of
from models.allocation.solve.resolve import Effort, best_of_each, plan_vector
from models.keys import PAIR

FIRM, CONTESTED = 0.9, 0.6
"""Share of draws that decide as the plan does, from which on a decision is firm, or contested."""

QUICK = Effort(gap_pct=0.5)
"""Of a draw's re-solve: draws move single benefits by tens of percent, and the single moves after
the search take back most of the half percent."""

_Z90 = float(stats.norm.ppf(0.95))


@dataclass(frozen=True)
class Stability:
    """What the draws say about a plan.

    Attributes:
        pairs: semel_mosad, response_id, dose_level (of the plan; null = not in it), draws,
            draws_chosen, selection_share with selection_lo and selection_hi (90 %, Wilson; for the
            number of draws only), usual_dose_level (chosen most often, of ties the lower; null =
            never), agreement_share (draws that decide as the plan does, whatever the dose),
            stability: "firm" (agreement ≥ .9), "contested" (≥ .6) or "coin_flip" (below), and
            other_stability: the class beyond the nearest limit where the interval of the agreement
            reaches over it, so that the draws do not tell the two apart; else null.
        draws: draw, is_possible (a plan keeps the rules), best_worth, plan_worth (of the plan's
            own lines; where costs are drawn too it may not be payable) and gap_pct of the re-solve;
            null where not possible.
    """

    pairs: pl.DataFrame
    draws: pl.DataFrame


def stability(
    problem: Problem,
    lines: pl.DataFrame,
    draws: pl.DataFrame,
    *,
    effort: Effort = QUICK,
    workers: int = 1,
) -> Stability:
    """Re-solve the problem under joint draws and count what is chosen.

    The draws come from outside (posteriors of need and effect, costs, participation), so that the
    same ones can be put to several plans. A draw whose costs no plan can meet is counted apart, not
    as a choice against any line.

    Args:
        problem: the tables and rules.
        lines: semel_mosad, response_id, dose_level: the plan.
        draws: draw (whole number), semel_mosad, response_id, benefit_multiplier (below 0 = harm),
            cost_multiplier (> 0); a pair without a row keeps its values.
        effort: of each re-solve.
        workers: threads.

    Raises:
        ValueError: bad rows, no draws, or none under which any plan keeps the rules.
        NoPlanInTime: a re-solve ran into its time limit without a plan.
    """
    problem = problem.canonical()
    model = model_of(problem)
    plan = plan_vector(model, lines)
    pairs, pair = model.columns.pairs, model.columns.pair
    level = model.columns.options["dose_level"].to_numpy()
    chosen = np.zeros((pairs.height, int(level.max()) + 1), dtype=np.int64)
    drawn = Draws.of(problem, model, draws)
    outcomes: list[tuple[int, bool, float | None, float | None, float | None]] = []
    worths = []

    def under() -> Iterator[Model]:
        # One after the other, so that the first are solved while the rest are laid out.
        for held in drawn.models(problem, model):
            worths.append(held.worth(plan))
            yield held

    plans = best_of_each(under(), effort, workers)
    for number, worth, found in zip(drawn.numbers, worths, plans, strict=True):
        if found is None:
            outcomes.append((number, False, None, None, None))
            continue
        taken = np.flatnonzero(found.x > 0.5)
        chosen[pair[taken], level[taken]] += 1
        outcomes.append((number, True, found.worth, worth, found.gap_pct))
    table = pl.DataFrame(
        outcomes,
        schema={
            "draw": pl.Int64,
            "is_possible": pl.Boolean,
            "best_worth": pl.Float64,
            "plan_worth": pl.Float64,
            "gap_pct": pl.Float64,
        },
        orient="row",
    )
    possible = int(table["is_possible"].sum())
    if not possible:
        raise ValueError("draws: under none of them does any plan keep the rules.")
    return Stability(_by_pair(pairs, chosen, possible, lines), table)


def _by_pair(
    pairs: pl.DataFrame, chosen: np.ndarray, draws: int, lines: pl.DataFrame
) -> pl.DataFrame:
    """The counts beside the plan."""
    times = chosen.sum(axis=1)
    share = times / draws
    middle = (share + _Z90**2 / (2 * draws)) / (1 + _Z90**2 / draws)
    half = np.sqrt(share * (1 - share) / draws + (_Z90 / (2 * draws)) ** 2) * _Z90
    half = half / (1 + _Z90**2 / draws)
    agreement = pl.col("agreement_share")
    is_planned = pl.col("dose_level").is_not_null()
    low = pl.when(is_planned).then("selection_lo").otherwise(1 - pl.col("selection_hi"))
    high = pl.when(is_planned).then("selection_hi").otherwise(1 - pl.col("selection_lo"))
    beyond = [
        pl.when(low < limit, high >= limit)
        .then(pl.when(agreement >= limit).then(pl.lit(below)).otherwise(pl.lit(above)))
        .otherwise(None)
        for limit, above, below in (
            (FIRM, "firm", "contested"),
            (CONTESTED, "contested", "coin_flip"),
        )
    ]
    is_nearer_firm = (agreement - FIRM).abs() <= (agreement - CONTESTED).abs()
    return (
        pairs.join(
            lines.select(*PAIR, pl.col("dose_level").cast(pl.Int32)),
            on=PAIR,
            how="left",
            maintain_order="left",
        )
        .with_columns(
            draws=pl.lit(draws, dtype=pl.Int64),
            draws_chosen=pl.Series(times),
            selection_share=pl.Series(share),
            selection_lo=pl.Series(np.clip(middle - half, 0, share)),
            selection_hi=pl.Series(np.clip(middle + half, share, 1)),
            usual_dose_level=pl.Series(
                np.where(times > 0, chosen.argmax(axis=1), -1), dtype=pl.Int32
            ),
        )
        .with_columns(
            usual_dose_level=pl.when(pl.col("usual_dose_level") >= 0).then("usual_dose_level"),
            agreement_share=pl.when(is_planned)
            .then("selection_share")
            .otherwise(1 - pl.col("selection_share")),
        )
        .with_columns(
            stability=pl.when(agreement >= FIRM)
            .then(pl.lit("firm"))
            .when(agreement >= CONTESTED)
            .then(pl.lit("contested"))
            .otherwise(pl.lit("coin_flip")),
            other_stability=pl.when(is_nearer_firm)
            .then(pl.coalesce(beyond))
            .otherwise(pl.coalesce(beyond[::-1])),
        )
    )
