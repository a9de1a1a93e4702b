"""Random allocation problems of a few schools: every rule, overlaps, shared options, objectives."""

from __future__ import annotations

import numpy as np

from models.allocation import Atkinson, Overlap, Problem, Total
from models.allocation.rules.assets import AssetHours
from models.allocation.rules.change import HoldHarmless, RiseCap
from models.allocation.rules.choice import (
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.conditions import MinimumGroup, Prerequisite
from models.allocation.rules.decided import (
    Commitment,
    DecidedDrop,
    DecidedKeep,
    ManualOverride,
    NoticePeriod,
)
from models.allocation.rules.money import SchoolCap, SchoolFloor, SourceExcluded
from models.allocation.rules.pooling import Together
from models.allocation.rules.shares import EXCELLENCE, MoneyShare, Part

from .cases import GEFEN, OWN, option, problem

RESPONSES = ("amirim", "merchav", "milat", "posh", "rvadim")
_AMOUNTS = (1, 100, 3_333, 100_000, 999_937)  # agorot: round sums and sums that miss them


def random_problem(seed: int) -> Problem:
    """A problem of 2 to 8 schools, 2 to 5 responses and up to 3 doses, with up to 6 rules.

    Half of the problems have overlaps, a third shared options, a third another objective than the
    total. Nothing sees to it that the rules can be kept together.
    """
    rng = np.random.default_rng(seed)
    codes = [f"{100_001 + i}" for i in range(rng.integers(2, 9))]
    responses = list(RESPONSES[: rng.integers(2, 6)])
    unit = int(rng.choice(_AMOUNTS))
    options = [
        option(
            code,
            response,
            level,
            round(float(rng.gamma(1.5, 2.0)) * level**0.7, 3) if rng.random() < 0.9 else 0.0,
            int(rng.integers(0, 40)) * unit * level + int(rng.integers(0, 3)),
            int(rng.integers(0, 20)) * unit * level,
            participants=int(rng.integers(0, 60)),
            is_eligible=bool(rng.random() < 0.85),
            is_excellence=response == "amirim",
        )
        for code in codes
        for response in responses
        for level in range(1, rng.integers(1, 4) + 1)
    ]
    spent = {name: sum(row[name] for row in options) for name in (OWN, GEFEN)}
    share = {name: float(rng.uniform(0.05, 0.6)) for name in spent}
    budgets = {
        name: int(spent[name] * share[name]) if rng.random() < 0.8 else None for name in spent
    }
    schools = {code: (int(rng.integers(0, 600)), round(float(rng.random()), 2)) for code in codes}
    baskets = {code: int(rng.integers(0, 60)) * unit for code in codes if rng.random() < 0.3}
    overlaps = (
        (Overlap("same", "same", "אותם", tuple(responses[:3]), float(rng.choice([0, 0.4, 1]))),)
        if rng.random() < 0.5
        else ()
    )
    rules = _rules(rng, codes, responses, options, unit)
    return problem(
        options,
        schools=schools,
        budget=budgets[OWN],
        gefen=budgets[GEFEN],
        baskets=baskets,
        rules=rules,
        equity_gamma=float(rng.choice([0.0, 0.5, 1.0, 2.0, 5.0])),
        overlaps=overlaps,
        objective=Atkinson(float(rng.choice([0.5, 1, 2]))) if rng.random() < 1 / 3 else Total(),
    )


def _rules(rng, codes, responses, options, unit):
    """Up to six rules, each of another id."""
    first, last = codes[0], codes[-1]
    one, other = (str(name) for name in rng.choice(responses, 2, replace=False))
    money = [(code, int(rng.integers(0, 80)) * unit) for code in codes]
    levels = {row["semel_mosad"]: row["dose"] for row in options if row["response_id"] == one}
    possible = [
        SchoolCapacity(one, int(rng.integers(0, len(codes) + 1))),
        ParticipantCapacity(other, int(rng.integers(0, 200))),
        MustKeep(((first, one, levels[first]),)),
        Commitment(((last, other, 0.5),)),
        DecidedKeep(((first, other, 0.5),)),
        MustDrop(((last, one),)),
        DecidedDrop(((first, other),)),
        EverySchoolServed(()),
        NoticePeriod(one, (last,), 2027),
        ManualOverride(one, first, bool(rng.random() < 0.5), "r", "role", None),
        Prerequisite(one, other),
        MinimumGroup(
            one,
            20,
            tuple(
                (row["semel_mosad"], row["dose_level"])
                for row in options
                if row["response_id"] == one and row["participants"] < 20
            ),
        ),
        SourceExcluded(GEFEN, (one,)),
        SchoolFloor(int(rng.integers(0, 20)) * unit // 10),
        SchoolCap(int(rng.integers(1, 40)) * unit // 10 + 1, OWN),
        MoneyShare("at_least", float(rng.integers(5, 60)), EXCELLENCE, OWN),
        MoneyShare("at_most", float(rng.integers(20, 90)), EXCELLENCE, OWN),
        MoneyShare("at_least", float(rng.integers(5, 50)), Part(one, one, one, responses=(one,))),
        MoneyShare(
            "at_most", float(rng.integers(20, 90)), Part("first", "f", "ר", schools=(first,)), OWN
        ),
        Exclusive("pair", (one, other)),
        HoldHarmless(tuple(money), float(rng.integers(20, 101))),
        RiseCap(tuple(money), float(rng.integers(100, 200))),
        Together((tuple((code, one, 1) for code in codes[:2]),)),
        AssetHours(
            "hall",
            int(rng.integers(0, 60)),
            tuple((code, one, 1, int(rng.integers(1, 12))) for code in codes),
        ),
    ]
    chosen = rng.choice(len(possible), int(rng.integers(0, 7)), replace=False)
    rules = {possible[i].rule_id: possible[i] for i in chosen}
    return tuple(rules.values())
