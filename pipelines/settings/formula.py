"""The formula of a policy as YAML declares it, and its translation into the engine's words.

A declaration is a mapping of parts, each of which may read what the parts before it gave. A part is
one of four: money shared from a `pot`, an `amount` by fixed rates, a `column` that later parts use,
or a `rate` that is found so that a total is reached. A school's amount is the sum of the money:

    formula:
      by_pupils:
        pot: {channel: municipal_own}
        points:
          - {weights: {pupils: 1.0}, source: …, reason: …}
          - {weights: {pupils: 1.0}, times: [need], source: …, reason: …}
        floors: [{agorot: 5000000, source: …, reason: …}]
        guarantee_pct: {value: 95, unit: …, source: …, reason: …}
        last_year: last_year_agorot
      small_schools:
        amount: {product: [100000, {largest: [0, {difference: [200, pupils]}]}]}
        source: …
        reason: …

`models.formula.values` lists the operations, docs/methods/formulas.md shows laws beside their
declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from models.apportionment import exact
from models.formula import (
    Bound,
    Formula,
    FormulaError,
    Part,
    Rounding,
    Solved,
    Term,
    Value,
    value_of,
)
from models.formula.rounding import Method
from pipelines.settings.parameters import (
    Agorot,
    Channel,
    Cited,
    Flag,
    In,
    Model,
    Parameter,
    Percent,
    PercentOfBase,
    Whole,
    Words,
)
from pipelines.settings.yaml_files import RefusedError


def _readable(raw: Any) -> Any:
    value_of(raw)
    return raw


def _value(raw: Any, *place: str) -> Value | None:
    return None if raw is None else value_of(raw, place)


ValuePolicy = Annotated[Any, AfterValidator(_readable)]
"""A value as it is written; `models.formula.values` says how."""


class PotPolicy(Model):
    """The money to share: the budget of a funding channel, an amount, or a value of parts before.

    Attributes:
        of: one number for all units, whole agorot: what parts before came to, or left.
    """

    channel: Channel | None = None
    agorot: Annotated[
        Parameter[Annotated[Whole, Field(ge=0, le=10**15)]] | None, In("agorot", ("centavos",))
    ] = None
    of: ValuePolicy | None = None

    @model_validator(mode="after")
    def _one_of_all(self) -> PotPolicy:
        if sum(given is not None for given in (self.channel, self.agorot, self.of)) != 1:
            raise RefusedError(
                "a pot is either a channel's budget or an amount in agorot, or a value of earlier"
                " parts (of)",
                "הסכום לחלוקה הוא תקציב של ערוץ, או סכום באגורות, או ערך של חלקים קודמים (of),"
                " אחד מהשלושה",
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


class RatePolicy(Model):
    """A rate to be found (`models.formula.Solved` says what each key means)."""

    of: ValuePolicy
    target: ValuePolicy
    between: Annotated[tuple[Agorot, ...], Field(min_length=2, max_length=2)]
    decimals: Annotated[Whole, Field(ge=0, le=15)]


class FormulaPart(Model):
    """One part (`models.formula.Part` and `Formula` say what each key means)."""

    pot: PotPolicy | None = None
    points: Annotated[tuple[PointsPolicy, ...], Field(min_length=1)] | None = None
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
    amount: ValuePolicy | None = None
    column: ValuePolicy | None = None
    rate: RatePolicy | None = None
    unit: Words | None = None
    out_of: ValuePolicy | None = None
    may_be_negative: Flag = False
    source: Words | None = None
    reason: Words | None = None

    @model_validator(mode="after")
    def _is_a_part(self) -> FormulaPart:
        kinds = [kind for kind in KEYS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise RefusedError(
                f"a part is one of {', '.join(KEYS)}", f"חלק הוא אחד מאלה: {', '.join(KEYS)}"
            )
        needed, allowed = KEYS[kinds[0]]
        written = {name for name in self.model_fields_set if getattr(self, name)} - {kinds[0]}
        missing, strange = sorted(needed - written), sorted(written - needed - allowed)
        if missing or strange:
            raise RefusedError(
                f"a {kinds[0]} needs {', '.join(sorted(needed))} and knows"
                f" {', '.join(sorted(allowed))}",
                f"{kinds[0]}: נדרשים {', '.join(sorted(needed))}; מוכרים גם"
                f" {', '.join(sorted(allowed))}",
                *strange[:1],
            )
        self.engine("part")
        return self

    def formula(self) -> Formula:
        """A pot in the engine's words; ValueError where it contradicts itself."""
        guarantee, growth, phase = self.guarantee_pct, self.growth_cap_pct, self.phase_in_pct
        return Formula(
            terms=tuple(
                Term(tuple(item.weights.items()), item.times) for item in self.points or ()
            ),
            only_where=self.only_where,
            pool_by=self.pool_by,
            in_hand=self.in_hand,
            floors=tuple(Bound(item.agorot, item.per) for item in self.floors),
            caps=tuple(Bound(item.agorot, item.per) for item in self.caps),
            last_year=self.last_year,
            guarantee_pct=guarantee.value if guarantee else None,
            growth_cap_pct=growth.value if growth else None,
            phase_in_pct=phase.value if phase else 100.0,
            rounding=self._rounding() or Rounding(),
        )

    def engine(self, name: str) -> Part:
        """The part in the engine's words; ValueError where it contradicts itself."""
        if self.pot is not None:
            return Part(name, pot=self.formula(), pot_of=_value(self.pot.of, "pot", "of"))
        return Part(
            name,
            amount=_value(self.amount, "amount"),
            column=_value(self.column, "column"),
            rate=self._solved(self.rate) if self.rate else None,
            unit=self.unit,
            rounding=self._rounding(),
            out_of=_value(self.out_of, "out_of"),
            may_be_negative=self.may_be_negative,
        )

    def _rounding(self) -> Rounding | None:
        rounding = self.rounding
        return Rounding(rounding.method, rounding.unit_agorot) if rounding else None

    @staticmethod
    def _solved(rate: RatePolicy) -> Solved:
        least, most = map(exact, rate.between)
        if least >= most:
            raise FormulaError(
                "between: the first rate must be below the second.",
                "between: השיעור הראשון חייב להיות קטן מן השני.",
                ("rate", "between"),
            )
        of, target = (value_of(getattr(rate, key), ("rate", key)) for key in ("of", "target"))
        return Solved(of, target, least, most, rate.decimals)


_CITED = {"source", "reason"}
KEYS: dict[str, tuple[set[str], set[str]]] = {
    "pot": (
        {"points"},
        {"only_where", "pool_by", "in_hand", "floors", "caps", "last_year", "guarantee_pct"}
        | {"growth_cap_pct", "phase_in_pct", "rounding"},
    ),
    "amount": (_CITED, {"unit", "rounding", "out_of", "may_be_negative"}),
    "column": (_CITED | {"unit"}, set()),
    "rate": (_CITED | {"unit"}, set()),
}
"""By kind of part: the keys it needs, and those it may have."""


FormulaPolicy = Annotated[dict[str, FormulaPart], Field(min_length=1)]

declaration: TypeAdapter[dict[str, FormulaPart]] = TypeAdapter(FormulaPolicy)
"""Validates a declaration that stands alone, outside a city's policy."""


def engines(parts: Mapping[str, FormulaPart]) -> tuple[Part, ...]:
    """A declaration in the engine's words."""
    return tuple(part.engine(name) for name, part in parts.items())
