"""`policy.yaml`, `rules:` – what every allocation of the city has to keep (R82–R93, R100)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from models.keys import RuleKind
from pipelines.settings.parameters import (
    Channel,
    Cited,
    Count,
    Decided,
    Dose,
    Flag,
    In,
    Model,
    Names,
    Number,
    Parameter,
    Percent,
    UnitCost,
    Whole,
    Year,
)

SHARES = (
    "excellence_min",
    "excellence_max",
    "long_term_min",
    "neediest_quarter_min",
    "exploration_min",
    "exploration_max",
    "hold_harmless",
    "neediest_kept",
)
"""Shares of the money that the committee may decide on in its log."""
SCENARIO_SOURCE = "scenario "
"""How the source of what a scenario asks begins."""


class OfResponse(Cited):
    """A rule on one response."""

    response: str


class Capacity(OfResponse):
    """Most schools, or participants, one response can serve."""

    schools: Count | None = None
    participants: Count | None = None


class MustKeep(OfResponse):
    """Responses that go on where they run now (`served`) or in the schools named."""

    schools: tuple[str, ...] | Literal["served"]
    dose_level: Dose = 1


class MustDrop(OfResponse):
    """Responses that are not to be given, anywhere or in the schools named."""

    schools: tuple[str, ...] | Literal["all"] = "all"


class NoticePeriod(OfResponse):
    """A response that ends after notice: up to a school year it goes on where it runs, only."""

    last_year: Year


class Prerequisite(OfResponse):
    """A response that a school can have only beside another one (R93)."""

    needs: str


class SourceExclusion(Cited):
    """Responses that a channel may not pay for (R83)."""

    channel: Channel
    responses: Names


class Override(Decided):
    """A decision by hand that the plan must keep, whatever it costs (R91, R100).

    Attributes:
        decision: "forced": the response stands there; "forbidden": it does not.
        dose_level: that dose and no other; not given = any.
    """

    response: str
    schools: Names
    decision: Literal["forced", "forbidden"]
    dose_level: Dose | None = None


class ServedExemption(Decided):
    """Schools that may be left without any response, by decision (R91)."""

    schools: Names


class MinimumGroup(OfResponse):
    """The fewest participants in one school for whom a response is opened there (R93)."""

    participants: Count


class CityPlaces(OfResponse):
    """How many places a service of the whole city has, by decision; 0 ends it."""

    places: Annotated[Whole, Field(ge=0, le=100_000)]


class Rules(Model):
    """The rules of the allocation (R82–R93). A rule that is not declared does not hold.

    Attributes:
        hold_harmless: least share of last year's money that a school keeps.
        neediest_kept: the same for schools surely of the first tier of need (`need.sure`).
        rise_cap: greatest share of last year's money that a school with any can reach, 100 or more.
        long_term_min: least share of the money for responses of a long horizon.
        neediest_quarter_min: least share for the schools of the neediest quarter of the pupils.
        stream_tolerance: how far a stream's share may lie from its share of the need-weighted
            pupils.
        exploration_min: least share for responses whose effect is not known but can be evaluated.
        exploration_max: greatest share for them.
        decisions: whether what people decided on responses for the planned year binds the plan:
            what is kept stays where it runs, what is dropped is given to nobody (R68).
        city_places: places of services of the whole city where they were decided; not given =
            whoever is placed keeps the place, unless the service is decided to be dropped.
        parents_payments: whether parents of a school may pay no more per pupil than last year, for
            all that schools have (R18).
        pooling: whether the suggested sets of schools may open a response together (R87).
        exclusive: sets of responses of which a school has one at most.
        school_floor_per_pupil: least money per pupil of every school, over all channels.
        overrides: decisions by hand, each with its reason, role and day.
        relax_order: kinds of rules in the order in which they would give way if no plan kept them
            all, the first to give way first; what is not named comes after
            (`relaxation.RELAX_ORDER`).
    """

    capacity: tuple[Capacity, ...] = ()
    minimum_groups: tuple[MinimumGroup, ...] = ()
    must_keep: tuple[MustKeep, ...] = ()
    must_drop: tuple[MustDrop, ...] = ()
    decisions: Annotated[Parameter[Flag] | None, In("yes or no")] = None
    notice_periods: tuple[NoticePeriod, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    source_exclusions: tuple[SourceExclusion, ...] = ()
    overrides: tuple[Override, ...] = ()
    every_school_served: Annotated[Parameter[Flag] | None, In("yes or no")] = None
    served_exemptions: tuple[ServedExemption, ...] = ()
    school_floor_per_pupil: Annotated[Parameter[UnitCost] | None, In("NIS per pupil per year")] = (
        None
    )
    school_cap_per_pupil: Annotated[Parameter[UnitCost] | None, In("NIS per pupil per year")] = None
    excellence_min: Annotated[Parameter[Percent] | None, In("percent of municipal money")] = None
    excellence_max: Annotated[Parameter[Percent] | None, In("percent of municipal money")] = None
    hold_harmless: Annotated[Parameter[Percent] | None, In("percent of last year's money")] = None
    neediest_kept: Annotated[Parameter[Percent] | None, In("percent of last year's money")] = None
    rise_cap: Annotated[
        Parameter[Annotated[Number, Field(ge=100, le=1000)]] | None,
        In("percent of last year's money"),
    ] = None
    long_term_min: Annotated[Parameter[Percent] | None, In("percent of all money")] = None
    neediest_quarter_min: Annotated[Parameter[Percent] | None, In("percent of all money")] = None
    stream_tolerance: Annotated[
        Parameter[Percent] | None, In("percentage points", ("percent",))
    ] = None
    exploration_min: Annotated[Parameter[Percent] | None, In("percent of all money")] = None
    exploration_max: Annotated[Parameter[Percent] | None, In("percent of all money")] = None
    city_places: tuple[CityPlaces, ...] = ()
    parents_payments: Annotated[Parameter[Flag] | None, In("yes or no")] = None
    pooling: Annotated[Parameter[Flag] | None, In("yes or no")] = None
    exclusive: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    relax_order: tuple[RuleKind, ...] = ()

    def with_share(self, name: str, percent: float, *, source: str, reason: str) -> Rules:
        """Return the rules with one of `SHARES` as it was decided, but where a scenario asks.

        Raises:
            KeyError: if there is no such share.
        """
        unit = {share: self.parameter_units()[share].unit for share in SHARES}[name]
        own = getattr(self, name)
        if own and own.source.startswith(SCENARIO_SOURCE):
            return self
        decided = Parameter[Percent](value=percent, unit=unit, source=source, reason=reason)
        return self.model_copy(update={name: decided})

    def named(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where the rules name a response: its place and the response."""
        for rule, items in self:
            for index, item in enumerate(items if isinstance(items, tuple) else ()):
                if isinstance(item, OfResponse | Override):
                    yield (rule, index, "response"), item.response
                if isinstance(item, Prerequisite):
                    yield (rule, index, "needs"), item.needs
                if isinstance(item, SourceExclusion):
                    yield from (((rule, index, "responses"), name) for name in item.responses)
        for name, group in self.exclusive.items():
            yield from ((("exclusive", name), response_id) for response_id in group)

    def schools(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where the rules name a school: its place and the school's code."""
        for rule, items in self:
            for index, item in enumerate(items if isinstance(items, tuple) else ()):
                named = getattr(item, "schools", None)
                for at, code in enumerate(named if isinstance(named, tuple) else ()):
                    yield (rule, index, "schools", at), code
