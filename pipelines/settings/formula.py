"""The formula of a policy as YAML declares it, and its translation into the engine's words.

A declaration is a mapping of parts; each has its pot, and a school's amount is the sum of its
parts:

    formula:
      by_pupils:
        pot: {channel: municipal_own}
        points:
          - {weights: {pupils: 1.0}, source: …, reason: …}
          - {weights: {pupils: 1.0}, times: [need], source: …, reason: …}
        floors: [{agorot: 5000000, source: …, reason: …}]
        guarantee_pct: {value: 95, unit: …, source: …, reason: …}
        last_year: last_year_agorot
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, model_validator

from models.formula import Bound, Formula, Rounding, Term
from models.formula.rounding import Method
from pipelines.settings.parameters import (
    Agorot,
    Channel,
    Cited,
    In,
    Model,
    Parameter,
    Percent,
    PercentOfBase,
    Whole,
)
from pipelines.settings.yaml_files import RefusedError


class PotPolicy(Model):
    """The money to share: the budget of a funding channel, or an amount of its own."""

    channel: Channel | None = None
    agorot: Annotated[
        Parameter[Annotated[Whole, Field(ge=0, le=10**15)]] | None, In("agorot", ("centavos",))
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> PotPolicy:
        if (self.channel is None) == (self.agorot is None):
            raise RefusedError(
                "a pot is either a channel's budget or an amount in agorot",
                "הסכום לחלוקה הוא תקציב של ערוץ, או סכום באגורות, אחד מהשניים",
            )
        return self


class PointsPolicy(Cited):
    """Weighted counts, times further columns."""

    weights: Annotated[dict[str, Agorot], Field(min_length=1)]
    times: tuple[str, ...] = ()


class BoundPolicy(Cited):
    """A least or most amount, in all or for each one of a column."""

    agorot: Agorot
    per: str | None = None


class RoundingPolicy(Cited):
    """How amounts become whole agorot."""

    method: Method
    unit_agorot: Annotated[Whole, Field(ge=1, le=10**9)] = 1


class FormulaPart(Model):
    """One pot and its formula (`models.formula.Formula` says what each key means)."""

    pot: PotPolicy
    points: Annotated[tuple[PointsPolicy, ...], Field(min_length=1)]
    only_where: str | None = None
    pool_by: str | None = None
    in_hand: str | None = None
    floors: tuple[BoundPolicy, ...] = ()
    caps: tuple[BoundPolicy, ...] = ()
    last_year: str | None = None
    guarantee_pct: Annotated[
        Parameter[PercentOfBase] | None, In("percent of last year's amount")
    ] = None
    growth_cap_pct: Annotated[
        Parameter[PercentOfBase] | None, In("percent of last year's amount")
    ] = None
    phase_in_pct: Annotated[Parameter[Percent] | None, In("percent of the change")] = None
    rounding: RoundingPolicy | None = None

    @model_validator(mode="after")
    def _is_a_formula(self) -> FormulaPart:
        self.engine()
        return self

    def engine(self) -> Formula:
        """The same in the engine's words; ValueError where the parts contradict each other."""
        guarantee, growth, phase = self.guarantee_pct, self.growth_cap_pct, self.phase_in_pct
        rounding = self.rounding
        return Formula(
            terms=tuple(Term(tuple(item.weights.items()), item.times) for item in self.points),
            only_where=self.only_where,
            pool_by=self.pool_by,
            in_hand=self.in_hand,
            floors=tuple(Bound(item.agorot, item.per) for item in self.floors),
            caps=tuple(Bound(item.agorot, item.per) for item in self.caps),
            last_year=self.last_year,
            guarantee_pct=guarantee.value if guarantee else None,
            growth_cap_pct=growth.value if growth else None,
            phase_in_pct=phase.value if phase else 100.0,
            rounding=Rounding(rounding.method, rounding.unit_agorot) if rounding else Rounding(),
        )


FormulaPolicy = Annotated[dict[str, FormulaPart], Field(min_length=1)]

declaration: TypeAdapter[dict[str, FormulaPart]] = TypeAdapter(FormulaPolicy)
"""Validates a declaration that stands alone, outside a city's policy."""
