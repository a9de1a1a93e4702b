"""Small allocation problems and an oracle that enumerates every plan of one.

The oracle knows the rules only from their words: it shares no code with `models.allocation`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from models.allocation import Overlap, Problem
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
from models.allocation.rules.decided import CommitteeAmount, ManualOverride, NoticePeriod
from models.allocation.rules.money import (
    ParentsPayments,
    SchoolCap,
    SchoolFloor,
    SourceExcluded,
)
from models.allocation.rules.pooling import Together
from models.allocation.rules.shares import EXCELLENCE, MoneyShare, Part
from tests.examples import examples

OWN, GEFEN = "municipal_own", "gefen_school"
MONTHS = 10.0
"""Months of progress that a pupil's SD stands for."""
CASES = settings(max_examples=examples(200, part=8), deadline=None, derandomize=True)
"""Every property of an allocation is held on so many cases."""


def option(school, response, dose_level, benefit, own, gefen=0, **other):
    """One option with its cost in agorot from the two channels."""
    return {
        "semel_mosad": school,
        "response_id": response,
        "dose_level": dose_level,
        "dose": dose_level / 2,
        "participants": other.get("participants", 10 * dose_level),
        "benefit_sd_pupils": float(benefit),
        "is_eligible": other.get("is_eligible", True),
        "eligibility_reason_en": "-",
        "eligibility_reason_he": "-",
        "is_excellence": other.get("is_excellence", False),
        OWN: own,
        GEFEN: gefen,
    }


def problem(options, *, schools=None, budget=None, gefen=None, baskets=None, rules=(), **other):
    """A problem from a list of `option`s; schools maps code → (pupils, need)."""
    schools = schools or {o["semel_mosad"]: (100, 0.5) for o in options}
    table = pl.DataFrame(options)
    costs = table.unpivot(
        [OWN, GEFEN],
        index=["semel_mosad", "response_id", "dose_level"],
        variable_name="funding_channel",
        value_name="amount_agorot",
    )
    return Problem(
        schools=pl.DataFrame(
            {
                "semel_mosad": list(schools),
                "school_name_he": [f"בית ספר {code}" for code in schools],
                "pupils": [pupils for pupils, _ in schools.values()],
                "need": [float(need) for _, need in schools.values()],
            }
        ),
        options=table.drop(OWN, GEFEN),
        costs=costs,
        channels=pl.DataFrame(
            {"funding_channel": [OWN, GEFEN], "budget_agorot": [budget, gefen]},
            schema={"funding_channel": pl.String, "budget_agorot": pl.Int64},
        ),
        school_channels=pl.DataFrame(
            [(GEFEN, school, cap) for school, cap in (baskets or {}).items()],
            schema={
                "funding_channel": pl.String,
                "semel_mosad": pl.String,
                "budget_agorot": pl.Int64,
            },
            orient="row",
        ),
        rules=tuple(rules),
        **other,
    )


def plans(case: Problem):
    """Every plan with at most one dose per pair, as a tuple of option rows with their money."""
    money = {}
    for row in case.costs.iter_rows(named=True):
        key = (row["semel_mosad"], row["response_id"], row["dose_level"])
        money.setdefault(key, {})[row["funding_channel"]] = row["amount_agorot"]
    needs = dict(case.schools.select("semel_mosad", "need").iter_rows())
    pairs = {}
    ordered = case.options.sort("semel_mosad", "response_id", "dose_level")
    for position, row in enumerate(ordered.iter_rows(named=True), start=1):
        pair = (row["semel_mosad"], row["response_id"])
        weight = (case.need_offset + needs[row["semel_mosad"]]) ** case.equity_gamma
        row["money"] = money[(*pair, row["dose_level"])]
        row["good"] = weight * row["benefit_sd_pupils"]
        row["position"] = position
        pairs.setdefault(pair, [None]).append(row)
    for choice in product(*pairs.values()):
        yield [row for row in choice if row]


def is_allowed(case: Problem, plan) -> bool:
    """Whether a plan keeps every rule, in whole agorot."""
    pupils = dict(case.schools.select("semel_mosad", "pupils").iter_rows())

    def of_city(channel, holds):
        return sum(
            row["amount_agorot"]
            for row in case.services.iter_rows(named=True)
            if channel in (None, row["funding_channel"]) and holds(row)
        )

    def paid(channel=None, school=None, excellence_only=False):
        whole = of_city(channel, lambda row: row["is_excellence"] or not excellence_only)
        return (0 if school else whole) + sum(
            amount
            for row in plan
            for name, amount in row["money"].items()
            if channel in (None, name)
            and school in (None, row["semel_mosad"])
            and (row["is_excellence"] or not excellence_only)
        )

    def inside_of(part):
        own = [
            row
            for row in plan
            if (part.schools is None or row["semel_mosad"] in part.schools)
            and (part.responses is None or row["response_id"] in part.responses)
        ]

        def of_part(service):
            named = part.responses is None or service["response_id"] in part.responses
            return part.schools is None and named

        return lambda channel: (
            of_city(channel, of_part)
            + sum(
                amount
                for row in own
                for name, amount in row["money"].items()
                if channel in (None, name)
            )
        )

    def keeps(rule) -> bool:
        match rule:
            case SchoolCapacity():
                return sum(r["response_id"] == rule.response_id for r in plan) <= rule.max_schools
            case ParticipantCapacity():
                own = [r["participants"] for r in plan if r["response_id"] == rule.response_id]
                return sum(own) <= rule.max_participants
            case MustKeep():
                return all(
                    any(
                        (r["semel_mosad"], r["response_id"]) == (s, p) and r["dose"] >= d
                        for r in plan
                    )
                    for s, p, d in rule.pairs
                )
            case MustDrop():
                return all((r["semel_mosad"], r["response_id"]) not in rule.pairs for r in plan)
            case EverySchoolServed():
                return {r["semel_mosad"] for r in plan} >= set(pupils) - set(rule.exempt)
            case NoticePeriod():
                held = {r["semel_mosad"] for r in plan if r["response_id"] == rule.response_id}
                return held == set(rule.schools)
            case CommitteeAmount():
                own = [r for r in plan if r["response_id"] == rule.response_id]
                return {(r["semel_mosad"], r["dose"]) for r in own} == set(rule.doses)
            case ManualOverride():
                held = [
                    r
                    for r in plan
                    if (r["semel_mosad"], r["response_id"]) == (rule.semel_mosad, rule.response_id)
                    and rule.dose_level in (None, r["dose_level"])
                ]
                return bool(held) == rule.is_forced
            case Prerequisite():
                both = [
                    {r["semel_mosad"] for r in plan if r["response_id"] == name}
                    for name in (rule.response_id, rule.needed_id)
                ]
                return both[0] <= both[1]
            case MinimumGroup():
                return all(
                    (r["semel_mosad"], r["dose_level"]) not in rule.too_small
                    for r in plan
                    if r["response_id"] == rule.response_id
                )
            case SourceExcluded():
                return all(
                    not r["money"].get(rule.funding_channel)
                    for r in plan
                    if r["response_id"] in rule.response_ids
                )
            case ParentsPayments():
                return all(paid(rule.funding_channel, s) <= most for s, most in rule.caps)
            case SchoolFloor():
                least = rule.agorot_per_pupil
                return all(paid(rule.funding_channel, s) >= least * n for s, n in pupils.items())
            case SchoolCap():
                most = rule.agorot_per_pupil
                return all(paid(rule.funding_channel, s) <= most * n for s, n in pupils.items())
            case MoneyShare():
                channel, total = rule.funding_channel, paid(rule.funding_channel)
                inside = (
                    paid(channel, excellence_only=True)
                    if rule.part == EXCELLENCE
                    else inside_of(rule.part)(channel)
                )
                above = 100 * inside - rule.share_pct * total
                return above >= 0 if rule.side == "at_least" else above <= 0
            case HoldHarmless():
                return all(
                    100 * paid(None, s) >= rule.share_pct * last for s, last in rule.last_year
                )
            case RiseCap():
                return all(
                    100 * paid(None, s) <= rule.share_pct * last
                    for s, last in rule.last_year
                    if last
                )
            case Exclusive():
                return all(
                    sum(
                        r["response_id"] in rule.response_ids and r["semel_mosad"] == s
                        for r in plan
                    )
                    <= 1
                    for s in pupils
                )
            case AssetHours():
                bought = {(r["semel_mosad"], r["response_id"], r["dose_level"]) for r in plan}
                return sum(use[3] for use in rule.uses if use[:3] in bought) <= rule.hours
            case Together():
                bought = {(r["semel_mosad"], r["response_id"], r["dose_level"]) for r in plan}
                return all(len(bought & set(own)) in (0, len(own)) for own in rule.sets)
        raise AssertionError(f"The oracle does not know {rule}")

    return (
        all(row["is_eligible"] for row in plan)
        and all(
            cap is None or paid(channel) <= cap
            for channel, cap in case.channels.select("funding_channel", "budget_agorot").iter_rows()
        )
        and all(
            paid(channel, school) <= cap
            for channel, school, cap in case.school_channels.select(
                "funding_channel", "semel_mosad", "budget_agorot"
            ).iter_rows()
        )
        and all(keeps(rule) for rule in case.rules)
    )


def gain(case: Problem, plan) -> float:
    """Need-weighted benefit of a plan: of a school's lines in one group the largest in full.

    Harm counts in full always.
    """
    group_of = {r: o for o in case.overlaps for r in o.responses}
    together = {}
    for row in plan:
        group = group_of.get(row["response_id"])
        key = (row["semel_mosad"], group.overlap_id if group else row["response_id"])
        together.setdefault(key, []).append((row["good"], group.counted_share if group else 1))
    return math.fsum(
        good if place == 0 or good < 0 else share * good
        for own in together.values()
        for place, (good, share) in enumerate(sorted(own, reverse=True))
    )


def best_plan(case: Problem):
    """(benefit, cost, sum of positions, picks) of the best plan by the documented tie-break."""
    allowed = [plan for plan in plans(case) if is_allowed(case, plan)]
    if not allowed:
        return None
    good = {id(plan): gain(case, plan) for plan in allowed}
    top = max(good.values())
    tied = [plan for plan in allowed if good[id(plan)] >= top - 1e-9]

    def rank(plan):
        cost = sum(sum(row["money"].values()) for row in plan)
        return cost, sum(row["position"] for row in plan)

    best = min(tied, key=rank)
    unique = sum(rank(plan) == rank(best) for plan in tied) == 1
    picks = [(r["semel_mosad"], r["response_id"], r["dose_level"]) for r in best]
    return good[id(best)], *rank(best), picks if unique else None


@st.composite
def problems(draw, *, max_rules: int = 2):
    """Problems of 2–3 schools × 2 responses × 1–2 doses whose benefits and costs often tie.

    In half of them the two responses overlap.
    """
    codes = draw(st.sampled_from([["100001", "100002"], ["100001", "100002", "100003"]]))
    responses = ["amirim", "milat"]
    needs = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0])
    benefit, cost = st.integers(0, 6), st.integers(0, 12)
    options = []
    for code in codes:
        for response in responses:
            for level in range(1, draw(st.integers(1, 2)) + 1):
                options.append(
                    option(
                        code,
                        response,
                        level,
                        draw(benefit) / 2,
                        # Amounts with odd agorot, so that a limit is met or missed by one of them.
                        draw(cost) * 10_000_001,
                        draw(cost) * 3_333_333,
                        participants=draw(st.integers(0, 20)),
                        is_eligible=draw(st.integers(0, 5)) > 0,
                        is_excellence=response == "amirim",
                    )
                )
    schools = {code: (draw(st.integers(0, 300)), draw(needs)) for code in codes}
    amounts = st.integers(0, 16).map(lambda n: n * 10_000_001 - n % 2)
    baskets = draw(st.dictionaries(st.sampled_from(codes), amounts))
    budget = draw(st.none() | amounts)
    taken = draw(st.sampled_from([0, 7, 10_000_001]))
    case = problem(
        options,
        schools=schools,
        budget=budget,
        services=pl.DataFrame(
            {
                "response_id": ["centre"],
                "funding_channel": [OWN],
                "amount_agorot": [taken if budget is None else min(taken, budget)],
                "is_excellence": [draw(st.booleans())],
            }
        ),
        gefen=draw(st.none() | amounts),
        baskets=baskets,
        equity_gamma=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        overlaps=(
            (
                Overlap(
                    "both", "both", "שניהם", ("amirim", "milat"), draw(st.sampled_from([0.0, 0.6]))
                ),
            )
            if draw(st.booleans())
            else ()
        ),
    )
    level = max(
        o["dose_level"]
        for o in options
        if (o["semel_mosad"], o["response_id"]) == (codes[0], "milat")
    )
    possible = [
        SchoolCapacity("milat", draw(st.integers(0, 3))),
        ParticipantCapacity("amirim", draw(st.integers(0, 40))),
        MustKeep(((codes[0], "milat", draw(st.integers(1, level)) / 2),)),
        MustDrop(((codes[1], "milat"),)),
        EverySchoolServed(draw(st.sampled_from([(), (codes[0],)]))),
        NoticePeriod("milat", (codes[0],), 2027),
        CommitteeAmount("milat", ((codes[0], draw(st.integers(1, level)) / 2),), 100),
        ManualOverride(
            "amirim", codes[0], draw(st.booleans()), "r", "role", draw(st.sampled_from([None, 1]))
        ),
        Prerequisite("amirim", "milat"),
        MinimumGroup(
            "amirim",
            15,
            tuple(
                (o["semel_mosad"], o["dose_level"])
                for o in options
                if o["response_id"] == "amirim" and o["participants"] < 15
            ),
        ),
        SourceExcluded(GEFEN, ("milat",)),
        ParentsPayments(GEFEN, ((codes[0], draw(st.integers(0, 12)) * 3_333_333),)),
        SchoolFloor(draw(st.integers(0, 3)) * 50_000),
        SchoolCap(draw(st.integers(1, 9)) * 500_000, OWN),
        MoneyShare("at_least", draw(st.sampled_from([8.0, 20.0, 33.3, 50.0])), EXCELLENCE, OWN),
        MoneyShare("at_most", draw(st.sampled_from([50.0, 66.6, 80.0])), EXCELLENCE, OWN),
        Exclusive("all", ("amirim", "milat")),
        MoneyShare(
            "at_least",
            draw(st.sampled_from([10.0, 40.0])),
            Part("milat", "m", "מ", responses=("milat",)),
        ),
        MoneyShare(
            "at_most",
            draw(st.sampled_from([40.0, 60.0])),
            Part("first", "f", "ר", schools=(codes[0],)),
            OWN,
        ),
        HoldHarmless(((codes[0], draw(st.integers(0, 4)) * 250_000),), 80.0),
        RiseCap(((codes[1], draw(st.integers(0, 4)) * 500_000),), 120.0),
        Together((tuple((code, "amirim", 1) for code in codes[:2]),)),
        AssetHours(
            "hall",
            draw(st.integers(0, 20)),
            tuple((code, "amirim", 1, 3 + 4 * i) for i, code in enumerate(codes)),
        ),
    ]
    wanted = draw(
        st.lists(st.sampled_from(possible), max_size=max_rules, unique_by=lambda r: r.rule_id)
    )
    return replace(case, rules=tuple(wanted))


@st.composite
def feasible_problems(draw, *, max_rules: int = 2):
    """`problems` of which every one has a plan: where the rules contradict, they are left out."""
    return _with_a_plan(draw(problems(max_rules=max_rules)))


def _with_a_plan(case: Problem) -> Problem:
    """The problem, without its rules where they contradict."""
    has_plan = any(is_allowed(case, plan) for plan in plans(case))
    return case if has_plan else replace(case, rules=())


@st.composite
def overlapping_problems(draw):
    """Problems of 2 schools × 3 responses × 1–2 doses, some of whose benefits overlap."""
    options = [
        option(
            code,
            response,
            level,
            draw(st.integers(0, 6)) / 2,
            draw(st.integers(0, 9)) * 10_000_001,
            draw(st.integers(0, 9)) * 3_333_333,
            is_eligible=draw(st.integers(0, 5)) > 0,
            is_excellence=response == "amirim",
        )
        for code in ("100001", "100002")
        for response in ("amirim", "milat", "posh")
        for level in range(1, draw(st.integers(1, 2)) + 1)
    ]
    needs = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    amounts = st.integers(2, 20).map(lambda n: n * 10_000_001 - n % 2)
    possible = [
        SchoolCapacity("milat", draw(st.integers(0, 2))),
        MustKeep((("100001", "posh", 0.5),)),
        EverySchoolServed(),
        MoneyShare("at_least", draw(st.sampled_from([8.0, 33.3])), EXCELLENCE, OWN),
        MoneyShare("at_most", 66.6, EXCELLENCE, OWN),
        Exclusive("two", ("amirim", "posh")),
    ]
    inside = draw(
        st.sampled_from(
            [("amirim", "milat", "posh"), ("amirim", "posh"), ("milat", "posh", "none")]
        )
    )
    share = draw(st.sampled_from([0.0, 0.25, 0.6, 1.0]))
    case = problem(
        options,
        schools={code: (draw(st.integers(0, 300)), draw(needs)) for code in ("100001", "100002")},
        budget=draw(st.none() | amounts),
        gefen=draw(st.none() | amounts),
        baskets=draw(st.dictionaries(st.sampled_from(["100001", "100002"]), amounts)),
        rules=draw(st.lists(st.sampled_from(possible), max_size=2, unique_by=lambda r: r.rule_id)),
        equity_gamma=draw(st.sampled_from([0.0, 1.0, 2.0])),
        overlaps=(Overlap("same_pupils", "same pupils", "אותם תלמידים", inside, share),),
    )
    return _with_a_plan(case)


@st.composite
def tied_problems(draw):
    """Problems in which every option has one price per benefit, so that many plans are equal."""
    options = [
        option(f"10000{school}", response, 1, good, good * 100)
        for school in range(draw(st.integers(2, 5)))
        for response in ("amirim", "milat")
        if (good := draw(st.integers(0, 3)))
    ] or [option("100000", "milat", 1, 1, 100)]
    return problem(options, budget=draw(st.integers(2, 6)) * 100)
