"""The formula engine by hand and by its properties: the pot to the agora, limits kept, order
ignored.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.apportionment import exact
from models.formula import Bound, Formula, Rounding, Term, share
from tests.examples import examples

FAST = settings(max_examples=examples(150), deadline=None, derandomize=True)
BY_PUPILS = Formula((Term((("pupils", 1.0),)),))
BY_NEED = Formula((Term((("pupils", 1.0),)), Term((("pupils", 1.0),), ("need",))))


def schools(**columns):
    size = len(next(iter(columns.values())))
    return pl.DataFrame({"semel_mosad": [f"{i:02}" for i in range(1, size + 1)], **columns})


def amounts(formula, units, pot):
    return share(formula, units, pot).amounts["amount_agorot"].to_list()


def test_points_by_hand():
    """300 pupils of no need and 200 of need .5 weigh the same; the odd agora goes to the lower
    code.
    """
    found = share(BY_NEED, schools(pupils=[300, 200, 0], need=[0.0, 0.5, 1.0]), 1_001)
    assert found.amounts.rows() == [
        ("01", 300.0, 501, None),
        ("02", 300.0, 500, None),
        ("03", 0.0, 0, None),
    ]
    assert found.left_agorot == 0
    assert found.level == Fraction(1_001, 600)


def test_floors_caps_and_who_stands_at_them():
    """10 and 190 are lifted to 200, 800 is held at 340, and 600 has what is left."""
    formula, units = replace(BY_PUPILS, floors=(Bound(200),)), schools(pupils=[800, 190, 10, 600])
    found = share(replace(formula, caps=(Bound(340),)), units, 1_000)
    assert found.amounts["amount_agorot"].to_list() == [340, 200, 200, 260]
    assert found.amounts["bound"].to_list() == ["cap", "floor", "floor", None]
    with pytest.raises(ValueError, match=r"above the most .* at 02, 03;"):
        share(replace(formula, caps=(Bound(0.55, per="pupils"),)), units, 1_000)


def test_cap_leaves_the_rest_to_others():
    formula = replace(BY_PUPILS, caps=(Bound(300),))
    found = share(formula, schools(pupils=[800, 100, 100]), 600)
    assert found.amounts.select("amount_agorot", "bound").rows() == [
        (300, "cap"),
        (150, None),
        (150, None),
    ]


def test_guarantee_and_growth_cap_against_last_year():
    """Shares 600/300/100; guaranteed 90 % of 100/900/—, grown at most 150 %: 150, 810, and the
    rest.
    """
    units = schools(pupils=[600, 300, 100]).with_columns(last=pl.Series([100, 900, None]))
    formula = replace(BY_PUPILS, last_year="last", guarantee_pct=90, growth_cap_pct=150)
    found = share(formula, units, 1_000)
    assert found.amounts.select("amount_agorot", "bound").rows() == [
        (150, "growth_cap"),
        (810, "guarantee"),
        (40, None),
    ]


def test_phase_in_by_hand():
    """A quarter of the way from 80 : 20 (scaled to 900) to the formula; a new school has its
    share.
    """
    units = schools(pupils=[400, 500, 100]).with_columns(last=pl.Series([80, 20, None]))
    found = share(replace(BY_PUPILS, last_year="last", phase_in_pct=25), units, 1_000)
    assert found.amounts["amount_agorot"].to_list() == [
        round(0.25 * 400 + 0.75 * 720),
        round(0.25 * 500 + 0.75 * 180),
        100,
    ]


def test_the_lowest_are_raised_until_the_pot_runs_out():
    """In hand 10, 50, 400 at 10 pupils each; 100 more lift the lower two to 80 each."""
    units = schools(pupils=[10, 10, 10], held=[10, 50, 400])
    found = share(replace(BY_PUPILS, in_hand="held"), units, 100)
    assert found.amounts.select("amount_agorot", "bound").rows() == [
        (70, None),
        (30, None),
        (0, "in_hand"),
    ]
    assert found.level == 8


def test_a_pool_is_raised_as_one_and_divided_by_points():
    units = schools(pupils=[1, 3, 4], held=[8, 0, 100], pool=["a", "a", "b"])
    found = share(replace(BY_PUPILS, in_hand="held", pool_by="pool"), units, 12)
    assert found.amounts["amount_agorot"].to_list() == [3, 9, 0]
    assert found.level == 5


def test_who_does_not_count_gets_nothing():
    units = schools(pupils=[1, 1, 1], counts=[True, False, True])
    found = share(replace(BY_PUPILS, only_where="counts", floors=(Bound(3),)), units, 10)
    assert found.amounts["amount_agorot"].to_list() == [5, 0, 5]


@pytest.mark.parametrize(
    ("rounding", "expected", "left"),
    [
        (Rounding(), [333, 167, 500], 0),
        (Rounding("half_even", 10), [330, 170, 500], 0),
        (Rounding("half_even", 100), [300, 200, 500], 0),
        (Rounding("half_even", 1000), [0, 0, 0], 1000),
        (Rounding("half_up", 1000), [0, 0, 1000], 0),
        (Rounding("down", 100), [300, 100, 500], 100),
    ],
)
def test_rounding_like_an_authority_reports_what_it_leaves(rounding, expected, left):
    found = share(replace(BY_PUPILS, rounding=rounding), schools(pupils=[2, 1, 3]), 1_000)
    assert found.amounts["amount_agorot"].to_list() == expected
    assert found.left_agorot == left


@pytest.mark.parametrize(
    ("formula", "units", "pot", "message"),
    [
        (
            replace(BY_PUPILS, floors=(Bound(51),)),
            schools(pupils=[1, 1]),
            100,
            "2 more than the pot of 100",
        ),
        (replace(BY_PUPILS, caps=(Bound(49),)), schools(pupils=[1, 1]), 100, "only 98 agorot"),
        (BY_PUPILS, schools(pupils=[0]), 100, "no other weight is above zero"),
        (BY_PUPILS, schools(pupils=[-1]), 100, "pupils: .* see 01"),
        (BY_PUPILS, schools(pupils=[None, 1]), 100, "pupils: .* empty at 01"),
        (BY_PUPILS, schools(pupils=[float("nan")]), 100, "pupils: .* see 01"),
        (BY_PUPILS, schools(pupils=["1"]), 100, "must be numbers"),
        (
            BY_NEED,
            schools(pupils=[1]),
            100,
            "no column need among the units; there are: semel_mosad, pupils",
        ),
        (
            BY_PUPILS,
            pl.DataFrame({"semel_mosad": ["1", "1"], "pupils": [1, 1]}),
            100,
            "one row of its own, but see 1",
        ),
        (replace(BY_PUPILS, only_where="pupils"), schools(pupils=[1]), 1, "true or false"),
        (BY_PUPILS, schools(pupils=[1]), -1, "the pot"),
    ],
)
def test_what_is_wrong_is_named(formula, units, pot, message):
    with pytest.raises(ValueError, match=message):
        share(formula, units, pot)


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": ()},
        {"terms": (Term((("pupils", -1.0),)),)},
        {"guarantee_pct": 90},
        {"last_year": "last"},
        {"last_year": "last", "phase_in_pct": 101},
        {"pool_by": "pool", "caps": (Bound(1),)},
        {"in_hand": "held", "last_year": "last", "phase_in_pct": 50},
    ],
)
def test_declarations_that_contradict_themselves(changes):
    with pytest.raises(ValueError, match=r"terms|zero or more|last_year|phase_in|pool_by"):
        replace(BY_PUPILS, **changes)
    with pytest.raises(ValueError, match="unit"):
        Rounding("largest_remainder", 100)


@st.composite
def cases(draw):
    """A formula with some of all limits, and units for it."""
    size = draw(st.integers(1, 8))
    column = lambda values: draw(st.lists(values, min_size=size, max_size=size))  # noqa: E731
    last = column(st.none() | st.integers(0, 10_000))
    units = schools(
        pupils=column(st.integers(0, 900)),
        need=column(st.floats(0, 1)),
        held=column(st.integers(0, 3_000)),
        last=pl.Series(last, dtype=pl.Int64),
    )
    by_last = draw(st.booleans())
    formula = replace(
        BY_NEED,
        floors=draw(st.sampled_from([(), (Bound(700),), (Bound(0.7, "pupils"), Bound(30))])),
        caps=draw(st.sampled_from([(), (Bound(4_000),), (Bound(9.9, "pupils"),)])),
        **(
            {
                "last_year": "last",
                "guarantee_pct": draw(st.sampled_from([50, 97.5])),
                "growth_cap_pct": draw(st.none() | st.just(150)),
                "phase_in_pct": draw(st.sampled_from([100, 60, 0])),
            }
            if by_last
            else {"in_hand": draw(st.sampled_from([None, "held"]))}
        ),
    )
    return formula, units, draw(st.integers(0, 20_000))


def solved(case):
    formula, units, pot = case
    try:
        return share(formula, units, pot).amounts
    except ValueError:
        return None


def bounds_of(formula, row):
    """(least, most) of what a unit has in the end, from the words of the declaration."""
    least, most = [row["held"] if formula.in_hand else 0], []
    for limits, into in ((formula.floors, least), (formula.caps, most)):
        into += [exact(b.agorot) * (row[b.per] if b.per else 1) for b in limits]
    if row["last"] is not None and formula.last_year:
        least.append(exact(formula.guarantee_pct) / 100 * row["last"])
        if formula.growth_cap_pct is not None:
            most.append(exact(formula.growth_cap_pct) / 100 * row["last"])
    return max(least), min(most, default=None)


@FAST
@given(cases())
def test_the_pot_is_spent_exactly_and_limits_hold(case):
    formula, units, pot = case
    found = solved(case)
    rows = units.to_dicts()
    bounds = [bounds_of(formula, row) for row in rows]
    held = [row["held"] if formula.in_hand else 0 for row in rows]
    if found is None:
        # Refused with reason: some least is above its most, all least are above the pot, or the pot
        # is above all that those with points may have. (Who has a claim by history is not retold.)
        least = [-(-least // 1) for least, _ in bounds]
        room = [
            (most // 1 if most is not None else None) if row["pupils"] else low
            for row, low, (_, most) in zip(rows, least, bounds, strict=True)
        ]
        assert (
            formula.phase_in_pct < 100
            or any(
                m is not None and low > m // 1 for low, (_, m) in zip(least, bounds, strict=True)
            )
            or sum(least) > pot + sum(held)
            or (None not in room and sum(room) < pot + sum(held))
        )
        return
    assert found["amount_agorot"].sum() == pot
    for amount, has, (least, most) in zip(found["amount_agorot"], held, bounds, strict=True):
        assert amount >= 0
        assert amount + has >= least
        assert most is None or amount + has <= most


@FAST
@given(cases(), st.integers(0, 7), st.integers(1, 300))
def test_more_points_never_bring_less(case, position, more):
    formula, units, pot = case
    formula = replace(formula, floors=(), caps=())  # limits per pupil move with pupils
    position %= units.height
    before = solved((formula, units, pot))
    raised = units.with_columns(
        pupils=pl.col("pupils")
        + pl.when(pl.int_range(pl.len()) == position).then(more).otherwise(0)
    )
    after = solved((formula, raised, pot))
    if before is None or after is None:
        return
    assert after["amount_agorot"][position] >= before["amount_agorot"][position]
    if formula.phase_in_pct < 100:
        return  # what those with a last year have together is shared by last year
    others = (after["amount_agorot"] - before["amount_agorot"]).to_list()
    assert all(change <= 1 for i, change in enumerate(others) if i != position)


@FAST
@given(cases(), st.floats(0.1, 3))
def test_a_higher_weight_never_brings_less_to_those_it_is_for(case, weight):
    """Raising the weight of need helps the neediest per pupil, at the others' cost."""
    formula, units, pot = case
    units = units.with_columns(pupils=pl.col("pupils") + 1)
    formula = Formula(formula.terms)
    heavier = Formula((formula.terms[0], Term((("pupils", 1.0 + weight),), ("need",))))
    before, after = share(formula, units, pot).amounts, share(heavier, units, pot).amounts
    neediest = units["need"].arg_max()
    assert after["amount_agorot"][neediest] >= before["amount_agorot"][neediest] - 1


@FAST
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(case, random):
    formula, units, pot = case
    order = random.sample(range(units.height), units.height)
    shuffled = units[order].select(random.sample(units.columns, len(units.columns)))
    found, again = solved(case), solved((formula, shuffled, pot))
    assert (found is None) == (again is None)
    assert found is None or found.equals(again)


@FAST
@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5_000)), min_size=1, max_size=8),
    st.integers(1, 20_000),
)
def test_raising_the_lowest_equals_raising_step_by_step(rows, pot):
    """The plain way: lift the lowest group to the next one's level, until the pot runs out."""
    units = schools(pupils=[n for n, _ in rows], held=[h for _, h in rows])
    found = share(replace(BY_PUPILS, in_hand="held"), units, pot)
    order = sorted(rows, key=lambda row: Fraction(row[1], row[0]))
    left, points, level = Fraction(pot), 0, Fraction(order[0][1], order[0][0])
    for i, (pupils, _) in enumerate(order):
        points += pupils
        following = Fraction(order[i + 1][1], order[i + 1][0]) if i + 1 < len(order) else None
        if following is None or (following - level) * points >= left:
            level += left / points
            break
        left, level = left - (following - level) * points, following
    assert found.level == level
    for (pupils, held), amount in zip(rows, found.amounts["amount_agorot"], strict=True):
        assert abs(amount - max(level * pupils - held, 0)) < 1
