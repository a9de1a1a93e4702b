"""What a fair plan keeps, as rules under which it is explained, priced and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Measure, Row, Rule
from models.keys import PAIR

_ORDER = {"needier": pl.String, "semel_mosad": pl.String, "response_id": pl.String}


@dataclass(frozen=True)
class NeedOrder(Rule):
    """A school is not given what a surely needier one could have and lacks.

    Attributes:
        pairs: (needier school, school, response_id): the second has it only if the first has.
    """

    pairs: tuple[tuple[str, str, str], ...]
    unit = "pairs"
    is_preference = True
    id_template = "need_order"
    template_en = (
        "A school is not given a response that a surely needier eligible school lacks, but for the"
        " envied lines that the plan lists."
    )
    template_he = (
        "בית ספר אינו מקבל מענה שחסר בבית ספר זכאי הנזקק ממנו בהסתברות 90% ומעלה, מלבד השורות"
        " שהתוכנית מונה."
    )

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per pair: bought here only if there."""
        for needier, school, response in self.pairs:
            own, other = columns.by_pair[school, response], columns.by_pair[needier, response]
            yield Row(
                np.concatenate([own, other]),
                np.append(np.ones(len(own), np.int64), -np.ones(len(other), np.int64)),
                upper=0,
                semel_mosad=school,
            )

    def measure(self, plan: Plan) -> Measure:
        """Pairs out of order, of which none may be; binding where one keeps a response out."""
        order = pl.DataFrame(list(self.pairs), schema=_ORDER, orient="row")
        needier = ["needier", "response_id"]
        lacking = order.join(plan.lines, left_on=needier, right_on=PAIR, how="anti")
        broken = lacking.join(plan.lines, on=PAIR, how="semi").height
        wanted = not lacking.join(plan.steps, on=PAIR, how="semi").is_empty()
        return Measure(broken, 0, broken == 0, binding=wanted)


@dataclass(frozen=True)
class SpendingKept(Rule):
    """Every channel spends at least so much, so that nothing is made equal by taking it away.

    Attributes:
        least: (funding_channel, agorot).
    """

    least: tuple[tuple[str, int], ...]
    unit = "channels"
    id_template = "spending_kept"
    template_en = "Every channel spends at least what the plan spends of it."
    template_he = "מכל ערוץ מוצא לפחות מה שהתוכנית מוציאה ממנו."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per channel: its money."""
        everything = np.arange(columns.options.height)
        for channel, agorot in self.least:
            yield Row(everything, columns.money(channel), lower=agorot)

    def measure(self, plan: Plan) -> Measure:
        """Channels that spend less; none may."""
        less = sum(plan.spent(channel) < agorot for channel, agorot in self.least)
        return Measure(less, 0, less == 0, binding=True)


@dataclass(frozen=True)
class LinesKept(Rule):
    """Of what schools had last year, so much goes on at least.

    Attributes:
        pairs: (semel_mosad, response_id) given last year.
        least: how many of them stay.
    """

    pairs: tuple[tuple[str, str], ...]
    least: int
    unit = "pairs"
    is_preference = True
    id_template = "lines_kept"
    template_en = "At least {rule.least} of last year's {rule.count} responses in schools go on."
    template_he = "לפחות {rule.least} מתוך {rule.count} המענים של אשתקד בבתי הספר נמשכים."

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.pairs)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: what goes on."""
        own = [columns.by_pair[pair] for pair in self.pairs]
        if own:
            yield Row.counting(np.concatenate(own), lower=self.least)

    def measure(self, plan: Plan) -> Measure:
        """What goes on."""
        last = pl.DataFrame(list(self.pairs), schema=dict.fromkeys(PAIR, pl.String), orient="row")
        kept = plan.lines.join(last, on=PAIR, how="semi").height
        return Measure(kept, self.least, kept >= self.least, binding=kept == self.least)
