"""Group-time effects against schools not served yet, and how chance spreads them."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from models.effects.estimate import widening
from models.effects.school_panel import NEVER, SchoolPanel

CHUNK = 3_000_000  # numbers held at once
FEWEST_ASSIGNMENTS = 20  # below, no p-value could reach .05


@dataclass(frozen=True)
class Average:
    """A weighted mean of school-year effects: value, its share served, error and p-value."""

    value: float
    share: float
    se: float
    p_value: float


@dataclass(frozen=True)
class Comparisons:
    """Effects of the served schools by year, for the real assignment (first) and for random ones.

    Attributes:
        panel: the schools.
        slots: the real served schools, index by slot.
        schools: which school fills each slot, draw × slot.
        starts: first served year of each school in each draw, draw × school.
        total: effect × weight, (outcome, served share) × draw × slot × year.
        weight: tested pupils of what could be compared, draw × slot × year.
        anticipation_years: years before the start that are no base.
    """

    panel: SchoolPanel
    slots: np.ndarray
    schools: np.ndarray
    starts: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    anticipation_years: int
    outcome: str

    @property
    def event_years(self) -> np.ndarray:
        """Return the years since the start, slot × year."""
        return self.panel.years - self.panel.start[self.slots][:, None]

    @property
    def served_years(self) -> np.ndarray:
        """Mark the years in which a slot's school has the response, slot × year."""
        return (self.event_years >= 0) & self.panel.serving[self.slots]

    @property
    def last_base_years(self) -> np.ndarray:
        """Mark the last year before the start and the years of anticipation, slot × year."""
        return self.event_years == -1 - self.anticipation_years

    @property
    def years_before(self) -> np.ndarray:
        """Mark the measured years before the start, slot × year."""
        base = self.event_years < -self.anticipation_years
        measured = ~np.isnan(self.panel.values[self.outcome][self.slots]).all(axis=1)
        return base & measured

    @property
    def trend_years(self) -> np.ndarray:
        """Return each year before the start less their mean, 0 from the start on, slot × year."""
        before = self.years_before
        mean = (self.event_years * before).sum(axis=1) / np.maximum(before.sum(axis=1), 1)
        return (self.event_years - mean[:, None]) * before

    def average(self, cells: np.ndarray, per_share: float | None = None) -> Average | None:
        """Return the pupil-weighted mean effect over `cells` (slot × year), or None without any.

        With coefficients that sum to zero in place of marks it is the slope on them: `trend_years`.
        Error: what the same mean spreads over random assignments, once the response's own part
        (`per_share` × served share; by default as estimated here) is taken out of the levels.
        Each draw is divided by its expected error, which grows where small schools are drawn
        (Ferman & Pinto 2019), and the spread is widened so that ±1.645 errors cover 90 % with as
        few schools as there are. p-value: studentised, under no effect on any school.
        """
        weight = self.weight * cells
        whole = (weight * cells).sum(axis=(1, 2))
        held = whole > 0
        if not held[0] or not held[1:].any():
            return None
        weight = weight[held] / whole[held, None, None]
        value, share = (self.total[:, held] * cells).sum(axis=(2, 3)) / whole[held]
        scale = self._scale(weight, held)
        if per_share is None:
            per_share = value[0] / share[0] if share[0] > 0 else 0.0
        chance = (value[1:] - per_share * share[1:]) / scale[1:]
        # Before the start nothing is served; the later effect on the real schools is then no
        # chance.
        null = chance if abs(share[0]) < 1e-12 else value[1:] / scale[1:]
        freedom = len(self.panel.schools) - 2
        spread = np.sqrt(np.mean(chance**2) * (freedom + 1) / freedom)
        drawn = np.abs(null) >= abs(value[0]) / scale[0] * (1 - 1e-9)
        return Average(
            value=float(value[0]),
            share=float(share[0]),
            se=float(spread * widening(freedom) * scale[0]),
            p_value=float((1 + drawn.sum()) / (1 + drawn.size)),
        )

    def _scale(self, weight: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Return each draw's expected error up to a factor: of served and of other schools."""
        panel, schools = self.panel, self.schools[held]
        served = (np.abs(weight).sum(axis=2) ** 2 * panel.noise[schools]).sum(axis=1)
        clean = self.starts[held][:, :, None] - self.anticipation_years > panel.years
        tested = ~np.isnan(next(iter(panel.values.values()))).all(axis=1)
        background = np.einsum(
            "djt,j,jk,jl->dtkl",
            clean & tested,
            1 / panel.noise,
            panel.design,
            panel.design,
            optimize=True,
        )
        middle = np.einsum("dit,dik->dtk", weight, panel.design[schools])
        reach = np.einsum(
            "dtk,dtkl,dtl->dt", middle, np.linalg.pinv(background, hermitian=True), middle
        )
        return np.sqrt(served + np.sqrt(reach.clip(0)).sum(axis=1) ** 2)


def compare(
    panel: SchoolPanel, outcome: str, *, anticipation_years: int, draws: int, seed: int
) -> Comparisons | None:
    """Compare every served school with schools not served yet, really and in random assignments.

    A school's effect in year s is the mean, over its measured base years b before the start, of the
    change of its level from b to s less the change of the schools untreated in both years (expected
    at its background, weighted by precision). Years before the start are compared alike, with the
    other base years: they should show nothing. A draw lets other schools (of the same stratum) have
    the starts and serving years that the served schools really had.

    Returns None if there is no served school with a base, or fewer than 20 possible assignments.
    """
    if draws < 1:
        raise ValueError("draws must be at least 1: the error comes from random assignments")
    value = panel.values[outcome]
    measured = ~np.isnan(value)
    began = panel.start < NEVER
    served = (measured & (panel.years >= panel.start[:, None])[:, None]).any(axis=(1, 2))
    slots = np.flatnonzero(began & served & panel.serving.any(axis=1))
    pool = ~began
    pool[slots] = True
    if not slots.size or _assignments(panel.stratum, pool, slots) < FEWEST_ASSIGNMENTS:
        return None
    schools = _draw(panel.stratum, pool, slots, draws, seed)
    starts = np.tile(panel.start, (draws + 1, 1))
    starts[:, slots] = NEVER
    starts[np.arange(draws + 1)[:, None], schools] = panel.start[slots]

    levels = np.stack([np.nan_to_num(value), panel.share])
    gain = levels[..., :, None] - levels[..., None, :]
    both = measured[..., :, None] & measured[..., None, :] & ~np.eye(len(panel.years), dtype=bool)
    base = panel.years < panel.start[slots][:, None] - anticipation_years
    size = max(1, CHUNK // (gain.size + 1))
    parts = [
        _effects(
            panel, gain, both, base, schools[k : k + size], starts[k : k + size], anticipation_years
        )
        for k in range(0, draws + 1, size)
    ]
    return Comparisons(
        panel=panel,
        slots=slots,
        schools=schools,
        starts=starts,
        total=np.concatenate([part[0] for part in parts], axis=1),
        weight=np.concatenate([part[1] for part in parts]),
        anticipation_years=anticipation_years,
        outcome=outcome,
    )


def _effects(
    panel: SchoolPanel,
    gain: np.ndarray,
    both: np.ndarray,
    base: np.ndarray,
    schools: np.ndarray,
    starts: np.ndarray,
    anticipation_years: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return effect × weight and weight (d draw, j school, s series, t year, b base, i slot)."""
    years, design = panel.years, panel.design
    later = np.maximum.outer(years, years)
    clean = starts[:, :, None, None] - anticipation_years > later
    weight = clean[:, :, None] * (both / panel.noise[:, None, None, None])
    enough = (weight > 0).sum(axis=1) >= design.shape[1] + 1
    outer = design[:, :, None] * design[:, None, :]
    background = np.einsum("djstb,jkl->dstbkl", weight, outer, optimize=True)
    change = np.einsum("djstb,jk,ojstb->odstbk", weight, design, gain, optimize=True)
    if design.shape[1] == 1:
        slope = change / np.where(background > 0, background, 1.0)[..., 0]
    else:
        slope = np.einsum(
            "dstbkl,odstbl->odstbk", np.linalg.pinv(background, hermitian=True), change
        )
    expected = np.einsum("odstbk,dik->odistb", slope, design[schools], optimize=True)
    usable = both[schools] & enough[:, None] & base[None, :, None, None, :]
    count = usable.sum(axis=-1)
    effect = ((gain[:, schools] - expected) * usable).sum(axis=-1) / np.maximum(count, 1)
    tested = panel.pupils[schools] * (count > 0)
    return (effect * tested).sum(axis=3), tested.sum(axis=2)


def _assignments(stratum: np.ndarray, pool: np.ndarray, slots: np.ndarray) -> int:
    """Return how many sets of schools could have been served."""
    ways = 1  # whole: of a thousand schools they are more than a float holds
    for one in np.unique(stratum[slots]):
        ways *= comb(int((pool & (stratum == one)).sum()), int((stratum[slots] == one).sum()))
    return ways


def _draw(
    stratum: np.ndarray, pool: np.ndarray, slots: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Return the schools that fill the slots: really (first row), then at random within strata."""
    rng = np.random.default_rng(seed)
    schools = np.tile(slots, (draws + 1, 1))
    for one in np.unique(stratum[slots]):
        here = np.flatnonzero(pool & (stratum == one))
        mine = np.flatnonzero(stratum[slots] == one)
        mixed = rng.permuted(np.tile(here, (draws, 1)), axis=1)
        schools[1:, mine] = mixed[:, : len(mine)]
    return schools
