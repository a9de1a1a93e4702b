"""What another plan of the same options has that a plan in hand has not, and what that brings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.allocation.problem.words import first_few
from models.allocation.solve.model import Model

Pair = tuple[str, str]
_SEEN = 0.05
"""Months below which a change is none to a reader, who is shown tenths."""


@dataclass(frozen=True)
class Difference:
    """From one plan to another.

    Attributes:
        comes: (school, response) that only the other plan has.
        goes: those that only the plan in hand has.
        moves: those that both have, at another dose or way (shared, leaning on an asset).
        benefit_sd_pupils: change of the expected benefit, unweighted.
        participants: change of the places.
    """

    comes: tuple[Pair, ...]
    goes: tuple[Pair, ...]
    moves: tuple[Pair, ...]
    benefit_sd_pupils: float
    participants: int

    @classmethod
    def of(cls, model: Model, now: np.ndarray, then: np.ndarray) -> Difference:
        """Between two plans of a model, 0/1 per option each."""
        options, pairs = model.columns.options, model.columns.pairs.rows()
        alone, places = (options[name].to_numpy() for name in ("benefit_sd_pupils", "participants"))

        def only(some: np.ndarray, other: np.ndarray) -> set[Pair]:
            own = model.columns.pair[np.flatnonzero((some > 0.5) & (other < 0.5))]
            return {pairs[k] for k in own}

        new, old = only(then, now), only(now, then)
        counted = model.counting.counted
        return cls(
            tuple(sorted(new - old)),
            tuple(sorted(old - new)),
            tuple(sorted(new & old)),
            float(counted(alone, then).sum() - counted(alone, now).sum()),
            round(float(places @ then - places @ now)),
        )

    @property
    def lines_bought(self) -> int:
        """Lines that only the other plan has; another dose is one bought and one dropped."""
        return len(self.comes) + len(self.moves)

    @property
    def lines_dropped(self) -> int:
        """Lines that only the plan in hand has."""
        return len(self.goes) + len(self.moves)


def lines_in_words(model: Model, pairs: Iterable[Pair], most: int) -> tuple[str, str]:
    """Responses and schools by name, the first few, in Hebrew and English."""
    choices = model.columns.choices
    called = dict(choices.schools.select("semel_mosad", "school_name_he").iter_rows())
    he, en = [], []
    for school, response in pairs:
        name_he, name_en = choices.response_names.get(response, (response, response))
        he.append(f"{name_he} ב{called[school] or school}")
        en.append(f"{name_en} at {called[school] or school}")
    return (
        first_few(he, most, " ועוד {}", between=", "),
        first_few(en, most, " and {} more", between=", "),
    )


def change_in_words(months: float, participants: int) -> tuple[str, str]:
    """What a change brings pupils in all, in Hebrew and English."""
    whole, is_moved = round(months), abs(months) >= _SEEN
    he = [
        f"{abs(whole):,} חודשי התקדמות צפויים {'יותר' if whole > 0 else 'פחות'} (בסך כל התלמידים)"
        if whole
        else f"ההתקדמות הצפויה {'כמעט ' if is_moved else ''}אינה משתנה"
    ]
    en = [
        f"{abs(whole):,} expected months of progress {'more' if whole > 0 else 'fewer'}"
        " (over all pupils)"
        if whole
        else f"the expected progress {'hardly changes' if is_moved else 'does not change'}"
    ]
    if participants:
        he.append(f"{abs(participants):,} מקומות {'יותר' if participants > 0 else 'פחות'}")
        en.append(f"{abs(participants):,} places {'more' if participants > 0 else 'fewer'}")
    return ", ".join(he), ", ".join(en)
