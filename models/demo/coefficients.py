"""What is planted in one city: drawn anew for each, so that no default can have been set to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.streams import Streams


@dataclass(frozen=True)
class Coefficients:
    """The planted sizes of one city; `spec` holds what they are drawn around.

    Attributes:
        effects: mean effect on participants in SD per year, response × subject.
        weak_factor: how much more a response does for weak deciles, by response.
        absence_factor: what a response leaves of its participants' absence, by response.
        cause_shift: shift in SD that a planted cause makes, by cause.
        overlap: part of each effect that is left where several responses meet in one pupil.
        kept: part of an effect that is left a year after it ends.
        slope: multiplies the slopes of achievement on nurture.
        class_sd: SD of the classes of a grade.
    """

    effects: np.ndarray
    weak_factor: dict[str, float]
    absence_factor: dict[str, float]
    cause_shift: dict[str, float]
    overlap: float
    kept: float
    slope: float
    class_sd: float

    def frame(self) -> pl.DataFrame:
        """Return coefficient, of (a response, or empty), value; effects and causes stand apart."""
        rows: list[tuple[str, str | None, float]] = [
            *(("weak_factor", name, value) for name, value in self.weak_factor.items()),
            *(("absence_factor", name, value) for name, value in self.absence_factor.items()),
            *((name, None, getattr(self, name)) for name in ("overlap", "kept", "slope")),
            ("class_sd", None, self.class_sd),
        ]
        return pl.DataFrame(rows, schema=["coefficient", "of", "value"], orient="row")


def drawn(streams: Streams) -> Coefficients:
    """Draw the coefficients of a city."""
    rng = streams("coefficients")

    def about(spread: float, *shape: int) -> np.ndarray:
        return np.exp(rng.normal(0, spread, shape))

    means = np.array([response.effects for response in spec.RESPONSES])
    of_response = about(spec.RESPONSE_SPREAD, len(means), 1)
    effects = means * of_response * about(spec.SUBJECT_SPREAD, *means.shape)
    return Coefficients(
        effects,
        {name: float(rng.uniform(*ends)) for name, ends in spec.WEAK_DECILE_FACTOR.items()},
        {
            name: 1 - (1 - factor) * float(about(spec.RESPONSE_SPREAD))
            for name, factor in spec.ABSENCE_EFFECT.items()
        },
        {
            cause.cause_id: cause.shift_sd * float(about(spec.RESPONSE_SPREAD))
            for cause in spec.CAUSES
        },
        float(rng.uniform(*spec.OVERLAP_FACTOR)),
        float(rng.uniform(*spec.FADE_OUT)),
        float(about(spec.SLOPE_SPREAD)),
        spec.SD_CLASS * float(about(spec.SUBJECT_SPREAD)),
    )
