"""What a rule of the allocation is: a name, two sentences, linear rows and a measurement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from models.allocation.problem.choices import Choices
    from models.allocation.problem.columns import Columns
    from models.allocation.problem.plan import Plan


@dataclass(frozen=True)
class Row:
    """One linear condition: lower ≤ Σ coefficient · [option is bought] ≤ upper.

    Coefficients and limits are whole numbers (agorot, pupils, pairs), so that a row holds exactly
    or not at all. `semel_mosad` is the school a row is about, so that a conflict can name it.
    `leading` are coefficients ≥ 0 that come on top where an option leads its overlap group; only
    a row with no upper limit may have them.
    """

    columns: np.ndarray
    coefficients: np.ndarray
    lower: float = -np.inf
    upper: float = np.inf
    semel_mosad: str | None = None
    leading: np.ndarray | None = None


@dataclass(frozen=True)
class Measure:
    """What the plan has against what the rule allows, recomputed from the plan's tables.

    `binding` is true where the plan stands at the rule's limit: a further step that would do good
    (for a floor, a step back) would break the rule. Options are indivisible, so a budget with
    money left is binding where not even its cheapest useful step fits.
    """

    value: float
    limit: float
    satisfied: bool
    binding: bool


class Rule(ABC):
    """A named rule. A new rule is a new subclass; nothing else has to change.

    `rows` is what the solver obeys, `measure` what an auditor checks. They share no code on
    purpose: the re-check must be able to catch a wrong row.
    """

    unit: str
    is_budget: bool = False
    """True where money can repair a conflict: the shortfall of such a rule is reported."""

    is_priced: bool = True
    """False where the rows only tie options to each other: their prices move worth and cost none,
    and
    to leave them out would buy what there is not, such as a part of a shared response."""

    relaxed_in: str | None = None
    """What its rows are counted in where it may give way in a conflict ("agorot", "pupils"…); None
    where it is not the city's to relax."""

    @property
    def relaxed_per(self) -> int:
        """Units of a row that make one of `relaxed_in`."""
        return 1

    @property
    @abstractmethod
    def rule_id(self) -> str:
        """Key of the rule, unique within a problem."""

    @property
    @abstractmethod
    def sentence_he(self) -> str:
        """The rule in one Hebrew sentence."""

    @property
    @abstractmethod
    def sentence_en(self) -> str:
        """The rule in one English sentence."""

    @abstractmethod
    def rows(self, columns: Columns) -> Iterator[Row]:
        """The linear rows that make the solver keep the rule."""

    @abstractmethod
    def measure(self, plan: Plan) -> Measure:
        """Recompute the rule from the plan's tables, without the solver and in whole agorot."""

    def check(self, choices: Choices) -> None:  # noqa: B027 - most rules have nothing to check
        """Raise ValueError where the rule speaks of something the problem does not have."""


class ResponseRule(Rule):
    """A rule about one response, which must be among the options (its fields are the
    subclass's).
    """

    response_id: str
    response_he: str
    response_en: str

    @property
    def name_he(self) -> str:
        """The response's name in Hebrew, its key where it has none."""
        return self.response_he or self.response_id

    @property
    def name_en(self) -> str:
        """The response's name in English, its key where it has none."""
        return self.response_en or self.response_id

    def check(self, choices: Choices) -> None:
        """The response must be among the options."""
        check_known(self, "response", [self.response_id], choices.options["response_id"])


def smallest(values: pl.Series) -> int | None:
    """The least of some whole numbers; None where there are none."""
    return min(values.to_list(), default=None)


def is_full(used: int, limit: int, step: int | None) -> bool:
    """Whether the limit is reached, or the smallest further step would pass it."""
    return used == limit or (step is not None and used + step > limit)


def check_known(rule: Rule, what: str, named: list[str], known: pl.Series) -> None:
    """Raise ValueError where a rule names something that is not in the problem."""
    unknown = sorted(set(named) - set(known.to_list()))
    if unknown:
        raise ValueError(f"Rule {rule.rule_id} names unknown {what}: {', '.join(unknown)}.")
