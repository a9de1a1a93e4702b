"""How good a plan is, and how we know."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.fairness import Fairness
from models.allocation.problem.objective import Atkinson, Objective
from models.allocation.problem.problem import Problem
from models.allocation.solve.fair import Fair
from models.allocation.solve.highs import solver_text
from models.allocation.solve.maximin import Floor
from models.allocation.solve.model import Model
from models.allocation.solve.search_result import SearchResult
from models.allocation.solve.ties import Tie
from models.keys import PAIR

_RECHECK = 1e-9
_LEAST_WORTH = 1e-9
"""Below it a plan is worth nothing that the solver could tell, and its worth has no price."""


@dataclass(frozen=True)
class FairnessCertificate:
    """How fair the plan is beside the plan by worth, and how we know.

    Attributes:
        band_pct: the plan is worth at most so much less than the plan by worth.
        worth_best: what the plan by worth is worth.
        best_gap_pct: what that plan may miss of the bound; g.
        envied_lines: lines that a surely needier school could have had and lacks.
        envied_lines_best: the same of the plan by worth.
        envy_agorot: what the envied lines cost.
        envy_agorot_best: the same of the plan by worth.
        envy_agorot_start: the same of the linear stand-in from which least envy was sought.
        envy_bound_agorot: no plan of the band that spends as much in every channel has less; None
            where nothing is proven, as of a country.
        is_time_out: the time limit cut the search short.
        ties: which schools the registered lottery decided between.
    """

    band_pct: float
    worth_best: float
    best_gap_pct: float
    envied_lines: int
    envied_lines_best: int
    envy_agorot: int
    envy_agorot_best: int
    envy_agorot_start: int
    envy_bound_agorot: int | None
    is_time_out: bool
    ties: tuple[Tie, ...]

    @property
    def least_pct(self) -> float:
        """The plan is worth at least this share of the bound: (1 − band)(1 − g), in percent."""
        return (100 - self.band_pct) * (100 - self.best_gap_pct) / 100


@dataclass(frozen=True)
class Certificate:
    """How good the plan is, and how we know.

    Attributes:
        objective: what the plan is worth, recomputed from the lines, SD·pupils: need-weighted
            benefit, or what it counts under an inequality-averse objective.
        objective_bound: no plan under these rules can be worth more (proven).
        optimality_gap_pct: the plan misses at most this share of the bound.
        optimality_gap_agorot: the gap at the plan's own average price of a unit of objective; 0
            where the plan is worth nothing that has a price.
        equity_gamma: corrective preference γ.
        solver: solver and version.
        status: "optimal" (within the gap asked for), "gap left" (the search ended at its fixed
            number of steps before) or "time limit".
        method: "milp" (all options in one programme) or "decomposition" (school by school).
        equal_gain_sd: Atkinson only: the need-weighted gain in SD per pupil that, given equally to
            all pupils, would be worth as much as this plan.
        floor_sd: maximin only: the need-weighted gain in SD per pupil under which no school is
            left that could have it.
        floor_bound_sd: maximin only: no plan lifts that floor above this (proven).
        fairness: how fair it is; None where nearly equal plans were not told apart. The worth is
            then at least (1 − band) times that of the plan by worth, which misses at most g of the
            bound: at least (1 − band)(1 − g) × the bound.
    """

    objective: float
    objective_bound: float
    optimality_gap_pct: float
    optimality_gap_agorot: int
    equity_gamma: float
    solver: str
    status: str
    method: str = "milp"
    equal_gain_sd: float | None = None
    floor_sd: float | None = None
    floor_bound_sd: float | None = None
    fairness: FairnessCertificate | None = None


def certify(
    problem: Problem,
    lines: pl.DataFrame,
    objective: Objective,
    found: SearchResult,
    floor: Floor | None,
) -> Certificate:
    """The certificate, from the lines and the proven bound.

    Raises:
        RuntimeError: a line does not count what the problem's tables say that it counts: a defect.
    """
    _check_counted(problem, lines)
    gain, pupils = _gains(problem, lines)
    if objective.is_linear:
        worth = float(lines["weighted_benefit"].sum())
    else:
        worth = float(objective.worth(gain, pupils).sum())
    bound = max(found.bound, worth)
    gap = bound - worth
    price = int(lines["cost_agorot"].sum()) / worth if worth > _LEAST_WORTH else 0.0
    return Certificate(
        objective=worth,
        objective_bound=bound,
        optimality_gap_pct=100 * gap / bound if bound else 0.0,
        optimality_gap_agorot=math.ceil(round(gap * price, 3)),
        equity_gamma=problem.equity_gamma,
        solver=solver_text(),
        status=found.status,
        method=found.method,
        equal_gain_sd=(
            objective.equal_gain_sd(gain, pupils) if isinstance(objective, Atkinson) else None
        ),
        floor_sd=floor.floor_sd if floor else None,
        floor_bound_sd=floor.bound_sd if floor else None,
    )


def certify_fairness(
    model: Model, best: np.ndarray, fair: Fair, fairness: Fairness, bound: float
) -> FairnessCertificate:
    """How fair a plan is beside the plan by worth, of which `bound` is proven.

    Raises:
        RuntimeError: it leaves more envy, or is worth less than the band lets it be: a defect.
    """
    worth, worth_best = model.worth(fair.x), model.worth(best)
    envied, envied_best = fair.envies.of_plan(fair.x), fair.envies.of_plan(best)
    envy, envy_best = fair.envies.agorot(fair.x), fair.envies.agorot(best)
    if envy > envy_best or worth < (1 - fairness.band_pct / 100) * worth_best * (1 - _RECHECK):
        raise RuntimeError("The fair plan is less fair than the plan by worth, or below its band.")
    return FairnessCertificate(
        band_pct=fairness.band_pct,
        worth_best=worth_best,
        best_gap_pct=100 * max(bound - worth_best, 0.0) / bound if bound > 0 else 0.0,
        envied_lines=len(envied),
        envied_lines_best=len(envied_best),
        envy_agorot=envy,
        envy_agorot_best=envy_best,
        envy_agorot_start=fair.envies.agorot(fair.start),
        envy_bound_agorot=fair.envy_bound_agorot,
        is_time_out=fair.is_time_out,
        ties=fair.ties,
    )


def _check_counted(problem: Problem, lines: pl.DataFrame) -> None:
    """Raise unless every line counts what it should beside the others of its school.

    Worked out from the tables and the groups' words alone, without what the solver was given.
    """
    group = {r: o for o in problem.overlaps for r in o.responses}
    key = [*PAIR, "dose_level"]
    full = {
        row[:3]: row[3] for row in problem.options.select(*key, "benefit_sd_pupils").iter_rows()
    }
    need = dict(problem.schools.select("semel_mosad", "need").iter_rows())
    by_school: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for school, response, dose, counted, weighted in lines.select(
        *key, "benefit_sd_pupils", "weighted_benefit"
    ).iter_rows():
        weight = (problem.need_offset + need[school]) ** problem.equity_gamma
        alone = full[school, response, dose]
        if not math.isclose(weighted, weight * counted, rel_tol=_RECHECK, abs_tol=_RECHECK):
            raise RuntimeError(
                f"School {school}, {response}: need weight and benefit do not agree."
            )
        name = group[response].overlap_id if response in group else f"no group: {response}"
        by_school.setdefault((school, name), []).append((response, alone, counted))
    for (school, _), own in by_school.items():
        leader = min(own, key=lambda line: (-line[1], line[0]))
        for response, alone, counted in own:
            share = 1.0 if response == leader[0] else group[response].counted_share
            if not math.isclose(counted, share * alone, rel_tol=_RECHECK, abs_tol=_RECHECK):
                raise RuntimeError(
                    "The re-check found a benefit that is not counted as the overlap asks: school "
                    f"{school}, {response}: {counted:g} instead of {share * alone:g} SD·pupils."
                )


def _gains(problem: Problem, lines: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Need-weighted gain and pupils of every school, in order of code."""
    gains = lines.group_by("semel_mosad", maintain_order=True).agg(
        gain=pl.col("weighted_benefit").sum()
    )
    schools = problem.schools.join(
        gains, on="semel_mosad", how="left", maintain_order="left"
    ).with_columns(pl.col("gain").fill_null(0.0))
    return schools["gain"].to_numpy(), schools["pupils"].to_numpy()
