"""What a rule of the allocation is: a name, two sentences, linear rows and a measurement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.words import channel_en, channel_he
from models.keys import OPTION


@dataclass(frozen=True)
class Row:
    """One linear condition: lower ≤ fixed + Σ coefficient · [option is bought] ≤ upper.

    Coefficients and limits are whole numbers (agorot, pupils, pairs), so that a row holds exactly
    or not at all. `semel_mosad` is the school a row is about, so that a conflict can name it.
    `fixed` is what stands in the sum whatever is bought: the services of the whole city.
    `leading` are coefficients ≥ 0 that come on top where an option leads its overlap group; only
    a row with no upper limit may have them.
    """

    columns: np.ndarray
    coefficients: np.ndarray
    lower: float = -np.inf
    upper: float = np.inf
    semel_mosad: str | None = None
    leading: np.ndarray | None = None
    fixed: int = 0

    @classmethod
    def counting(
        cls,
        columns: np.ndarray,
        *,
        lower: float = -np.inf,
        upper: float = np.inf,
        semel_mosad: str | None = None,
    ) -> Row:
        """A row that counts how many of some options are bought."""
        return cls(columns, np.ones(len(columns), dtype=np.int64), lower, upper, semel_mosad)


@dataclass(frozen=True)
class Measure:
    """What the plan has against what the rule allows, recomputed from the plan's tables.

    `binding` is true where the plan stands at the rule's limit: a further step that would do good
    (for a floor, a step back) would break the rule. Options are indivisible, so a budget with
    money left is binding where a useful step needs more than that.
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

    id_template: str
    """Its key; here and in the sentences, braces hold what the rule knows: {rule.funding_channel}.
    """

    template_he: str
    template_en: str

    is_budget: bool = False
    """True where money can repair a conflict: the shortfall of such a rule is reported."""

    is_priced: bool = True
    """False where the rows only tie options to each other: their prices move worth and cost none,
    and to leave them out would buy what there is not, such as a part of a shared response."""

    is_preference: bool = False
    """True where it only chooses between nearly equal plans: under other decisions it gives way."""

    relaxed_in: str | None = None
    """What its rows are counted in where it may give way in a conflict ("agorot", "pupils"…); None
    where it is not the city's to relax."""

    @property
    def relaxed_per(self) -> int:
        """Units of a row that make one of `relaxed_in`."""
        return 1

    @property
    def rule_id(self) -> str:
        """Key of the rule, unique within a problem."""
        return self.id_template.format(rule=self)

    @property
    def sentence_he(self) -> str:
        """The rule in one Hebrew sentence."""
        return self.template_he.format(rule=self)

    @property
    def sentence_en(self) -> str:
        """The rule in one English sentence."""
        return self.template_en.format(rule=self)

    @abstractmethod
    def rows(self, columns: Columns) -> Iterator[Row]:
        """The linear rows that make the solver keep the rule."""

    @abstractmethod
    def measure(self, plan: Plan) -> Measure:
        """Recompute the rule from the plan's tables, without the solver and in whole agorot."""

    def check(self, choices: Choices) -> None:  # noqa: B027 - most rules have nothing to check
        """Raise ValueError where the rule speaks of something the problem does not have."""


@dataclass(frozen=True)
class ResponseRule(Rule):
    """A rule about one response, which must be among the options.

    Attributes:
        response_id: the response.
        response_he: its name in Hebrew, for the sentence.
        response_en: its name in English.
    """

    response_id: str
    response_he: str = field(default="", kw_only=True)
    response_en: str = field(default="", kw_only=True)

    @property
    def name_he(self) -> str:
        """The response's name in Hebrew, its key where it has none."""
        return self.response_he or self.response_id

    @property
    def name_en(self) -> str:
        """The response's name in English, its key where it has none."""
        return self.response_en or self.response_id

    @property
    def own(self) -> pl.Expr:
        """Whether a row is of the response."""
        return pl.col("response_id") == self.response_id

    def check(self, choices: Choices) -> None:
        """The response must be among the options."""
        check_known(self, "response", [self.response_id], choices.options["response_id"])


class ChannelRule(Rule):
    """A rule about the money of one channel, or of all together (a subclass has the field)."""

    funding_channel: str | None

    @property
    def of_channel(self) -> str:
        """What the channel adds to the rule's id; nothing for all channels together."""
        return "" if self.funding_channel is None else f":{self.funding_channel}"

    @property
    def channel_he(self) -> str:
        """The channel's name in Hebrew."""
        return channel_he(self.funding_channel)

    @property
    def channel_en(self) -> str:
        """The channel's name in English."""
        return channel_en(self.funding_channel)

    def check(self, choices: Choices) -> None:
        """The channel must exist."""
        named = [] if self.funding_channel is None else [self.funding_channel]
        check_known(self, "channel", named, choices.channels["funding_channel"])


def is_full(used: int, limit: int, steps: pl.Series) -> bool:
    """Whether the limit is reached, or the smallest of the further steps would pass it."""
    further = steps.to_list()
    return used == limit or (bool(further) and used + min(further) > limit)


def check_known(rule: Rule, what: str, named: list[str], known: pl.Series) -> None:
    """Raise ValueError where a rule names something that is not in the problem."""
    unknown = sorted(set(named) - set(known.to_list()))
    if unknown:
        raise ValueError(f"Rule {rule.rule_id} names unknown {what}: {', '.join(unknown)}.")


def check_options(rule: Rule, named: Iterable[tuple], choices: Choices) -> None:
    """Raise ValueError where a rule names (school, response, dose level) that is no option."""
    known = set(choices.options.select(OPTION).iter_rows())
    if unknown := sorted(set(named) - known):
        raise ValueError(f"Rule {rule.rule_id} names unknown options: {unknown[:5]}.")
