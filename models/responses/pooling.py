"""Schools with one unmet need that could share one solution, and what that would save (R56)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from models.checks import every_row, one_row_each

# Of a host's possible partners the nearest are looked at; in a city there are rarely more.
_NEAREST = 30
_SETS = {
    "host_semel_mosad": pl.String,
    "need_id": pl.String,
    "schools": pl.Int32,
    "participants": pl.Int32,
    "host_distance": pl.Float64,
    "separate_agorot": pl.Int64,
    "pooled_agorot": pl.Int64,
    "saving_agorot": pl.Int64,
}
_MEMBERS = {
    "semel_mosad": pl.String,
    "host_semel_mosad": pl.String,
    "is_host": pl.Boolean,
    "participants": pl.Int32,
    "host_distance": pl.Float64,
}


@dataclass(frozen=True)
class PoolingLimits:
    """What a shared solution must keep.

    Attributes:
        max_distance: farthest a member may be from the host (units of the place columns).
        max_schools: most schools of a set, the host among them.
        max_participants: most participants of a set; None = no limit.
        travel_agorot: yearly cost of a participant who is not of the host school.
    """

    max_distance: float
    max_schools: int
    max_participants: int | None
    travel_agorot: int


@dataclass(frozen=True)
class _Set:
    host: int
    members: tuple[int, ...]  # in the order of the rows, the host among them
    need_id: str
    participants: int
    host_distance: float
    separate_agorot: int
    pooled_agorot: int

    @property
    def saving_agorot(self) -> int:
        return self.separate_agorot - self.pooled_agorot


def pool_schools(
    demand: pl.DataFrame, fixed_agorot: int, unit_agorot: int, limits: PoolingLimits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the sets of schools that save most by sharing one response, and their members.

    A set is a host and schools within the distance of it, all of one stream and with at least one
    unmet need in common, within the limits. Apart it costs the fixed cost at each school; pooled
    the fixed cost once and travel for those who are not of the host school; the cost per
    participant is the same. Only sets that save are looked at. Which are taken is a weighted set
    packing (each school in one set at most), solved exactly as an integer programme over all sets
    within the limits (HiGHS, no gap allowed); where a host has more than 30 partners the 30 nearest
    are looked at. Of equal hosts the one with the lower code serves.

    Args:
        demand: schools that lack the response: semel_mosad, stream, place_x, place_y (empty = not
            known: such a school is left alone), participants (> 0, who would take part),
            need_ids (list of the unmet needs the response would answer).
        fixed_agorot: cost of opening the response once.
        unit_agorot: cost of a participant.
        limits: what a set must keep.

    Returns:
        sets: host_semel_mosad, need_id (the first need all members share), schools, participants,
        host_distance (farthest member), separate_agorot, pooled_agorot, saving_agorot; and members:
        semel_mosad, host_semel_mosad, is_host, participants, host_distance. Sorted by host and
        school.

    Raises:
        ValueError: if a school comes twice, participants are not positive, or a cost is negative.
        RuntimeError: if the solver does not prove its answer best.
    """
    one_row_each(demand, "semel_mosad", "a school comes twice in the demand")
    every_row(
        demand, pl.col("participants") > 0, "each school of the demand needs participants > 0"
    )
    if min(fixed_agorot, unit_agorot, limits.travel_agorot) < 0:
        raise ValueError("costs must not be negative")
    placed = demand.drop_nulls(["place_x", "place_y"]).sort("semel_mosad")
    candidates = _candidates(placed, fixed_agorot, unit_agorot, limits)
    chosen = [candidates[index] for index in _best_packing(candidates, placed.height)]
    codes, people = placed["semel_mosad"].to_list(), placed["participants"].to_list()
    far = _distances(placed)
    sets = [
        (
            codes[one.host],
            one.need_id,
            len(one.members),
            one.participants,
            one.host_distance,
            one.separate_agorot,
            one.pooled_agorot,
            one.saving_agorot,
        )
        for one in chosen
    ]
    members = [
        (codes[i], codes[one.host], i == one.host, people[i], float(far[one.host, i]))
        for one in chosen
        for i in one.members
    ]
    return (
        pl.DataFrame(sets, schema=_SETS, orient="row").sort("host_semel_mosad"),
        pl.DataFrame(members, schema=_MEMBERS, orient="row").sort(
            "host_semel_mosad", "semel_mosad"
        ),
    )


def _distances(placed: pl.DataFrame) -> np.ndarray:
    x, y = placed["place_x"].to_numpy(), placed["place_y"].to_numpy()
    return np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :])


def _candidates(placed: pl.DataFrame, fixed: int, unit: int, limits: PoolingLimits) -> list[_Set]:
    """Return every set within the limits that saves, each group of schools with its best host."""
    streams = placed["stream"].to_list()
    needs = [frozenset(ids) for ids in placed["need_ids"].to_list()]
    people = placed["participants"].to_list()
    far = _distances(placed)
    best: dict[tuple[int, ...], _Set] = {}
    for host in range(placed.height):
        near = [
            i
            for i in np.argsort(far[host], kind="stable").tolist()
            if i != host
            and far[host, i] <= limits.max_distance
            and streams[i] == streams[host]
            and needs[i] & needs[host]
        ][:_NEAREST]
        for others in range(1, limits.max_schools):
            for partners in combinations(near, others):
                members = tuple(sorted((host, *partners)))
                shared = frozenset.intersection(*(needs[i] for i in members))
                total = sum(people[i] for i in members)
                if not shared or (limits.max_participants or total) < total:
                    continue
                candidate = _Set(
                    host=host,
                    members=members,
                    need_id=min(shared),
                    participants=total,
                    host_distance=max(float(far[host, i]) for i in partners),
                    separate_agorot=fixed * len(members) + unit * total,
                    pooled_agorot=fixed
                    + unit * total
                    + limits.travel_agorot * (total - people[host]),
                )
                saved = best[members].saving_agorot if members in best else 0
                if candidate.saving_agorot > saved:
                    best[members] = candidate
    return [best[members] for members in sorted(best)]


def _best_packing(candidates: list[_Set], schools: int) -> list[int]:
    """Return which disjoint sets save most together.

    Raises:
        RuntimeError: if the solver stops without a proof.
    """
    if not candidates:
        return []
    rows = [i for one in candidates for i in one.members]
    columns = [index for index, one in enumerate(candidates) for _ in one.members]
    shares = csr_array((np.ones(len(rows)), (rows, columns)), shape=(schools, len(candidates)))
    saving = np.array([one.saving_agorot for one in candidates]) / 100  # NIS: a size solvers like
    solved = milp(
        -saving,
        integrality=np.ones(len(candidates)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(shares, ub=1),
        options={"mip_rel_gap": 0.0},
    )
    if solved.status != 0:
        raise RuntimeError(f"the best sets of schools were not proven: {solved.message}")
    return [int(index) for index in np.flatnonzero(np.round(solved.x) == 1)]
