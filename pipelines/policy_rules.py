"""`policy.yaml`, `rules:` – what every allocation of the city has to keep (R82–R93)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipelines.parameters import Model, Parameter, Percent


class Capacity(Model):
    """Most schools, or participants, one response can serve."""

    response: str
    schools: int | None = None
    participants: int | None = None
    source: str
    reason: str


class MustKeep(Model):
    """Responses that go on where they run now (`served`) or in the schools named."""

    response: str
    schools: tuple[str, ...] | Literal["served"]
    dose_level: int = 1
    source: str
    reason: str


class MustDrop(Model):
    """Responses that are not to be given, anywhere or in the schools named."""

    response: str
    schools: tuple[str, ...] | Literal["all"] = "all"
    source: str
    reason: str


class MinimumGroup(Model):
    """The fewest participants in one school for whom a response is opened there (R93)."""

    response: str
    participants: Annotated[int, Field(ge=1)]
    source: str
    reason: str


class Rules(Model):
    """The rules of the allocation (R82–R93). A rule that is not declared does not hold.

    Attributes:
        hold_harmless: least share of last year's money that a school keeps.
        rise_cap: greatest share of last year's money that a school with any can reach, 100 or more.
        long_term_min: least share of the money for responses of a long horizon.
        neediest_quarter_min: least share for the schools of the neediest quarter of the pupils.
        stream_tolerance: how far a stream's share may lie from its share of the need-weighted pupils.
        exploration_min: least share for responses whose effect is not known but can be evaluated.
        exploration_max: greatest share for them.
        pooling: whether the suggested sets of schools may open a response together (R87).
        exclusive: sets of responses of which a school has one at most.
    """

    capacity: tuple[Capacity, ...] = ()
    minimum_groups: tuple[MinimumGroup, ...] = ()
    must_keep: tuple[MustKeep, ...] = ()
    must_drop: tuple[MustDrop, ...] = ()
    every_school_served: Parameter[bool] | None = None
    school_cap_per_pupil: Parameter[float] | None = None
    excellence_min: Parameter[Percent] | None = None
    excellence_max: Parameter[Percent] | None = None
    hold_harmless: Parameter[Percent] | None = None
    rise_cap: Parameter[Annotated[float, Field(ge=100)]] | None = None
    long_term_min: Parameter[Percent] | None = None
    neediest_quarter_min: Parameter[Percent] | None = None
    stream_tolerance: Parameter[Percent] | None = None
    exploration_min: Parameter[Percent] | None = None
    exploration_max: Parameter[Percent] | None = None
    pooling: Parameter[bool] | None = None
    exclusive: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def named(self) -> Iterator[tuple[str, str]]:
        """Where the rules name a response: rule and response."""
        for rule in ("capacity", "minimum_groups", "must_keep", "must_drop"):
            for item in getattr(self, rule):
                yield rule, item.response
        for group in self.exclusive.values():
            for response_id in group:
                yield "exclusive", response_id
