"""Every construct of a declaration by hand, what is refused with its place, and what must hold."""

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.formula import FormulaError, apply, value_of
from models.formula.numbers import Numbers
from models.formula.units import Units
from pipelines.settings.formula import declaration, engines
from tests.examples import examples

FAST = settings(max_examples=examples(100), deadline=None, derandomize=True)
CITED = {"source": "test", "reason": "test"}
UNITS = pl.DataFrame(
    {
        "semel_mosad": ["1", "2", "3"],
        "pupils": [100, 200, 50],
        "share": [0.1, 0.4, 0.9],
        "kind": ["a", "b", "a"],
        "is_far": [True, False, True],
        "seats": pl.Series([None, 5, 7], dtype=pl.Int64),
    }
)


def found(raw, units=UNITS):
    return list(value_of(raw)(Units.of(units, "semel_mosad")))


def parts(**stated):
    return engines(declaration.validate_python(stated))


def results(units=UNITS, pots=None, **stated):
    return {one.part.name: one for one in apply(parts(**stated), units, pots or {})}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("pupils", [100, 200, 50]),
        (0.1, [Fraction(1, 10)] * 3),
        ({"sum": ["pupils", 1, 0.5]}, ["101.5", "201.5", "51.5"]),
        ({"product": ["pupils", "share"]}, [10, 80, 45]),
        ({"difference": [120, "pupils"]}, [20, -80, 70]),
        ({"largest": [0, {"difference": [120, "pupils"]}]}, [20, 0, 70]),
        ({"smallest": ["pupils", 60]}, [60, 60, 50]),
        ({"ratio": [1, "pupils"]}, ["1/100", "1/200", "1/50"]),
        ({"total": "pupils"}, [350] * 3),
        ({"total": {"of": "pupils", "by": "kind"}}, [150, 200, 150]),
        (
            {"sliding": {"of": "share", "from": 0.2, "to": 0.6, "gives": [1, 3]}},
            [1, 2, 3],
        ),
        (
            {"sliding": {"of": "share", "from": 0.2, "to": 0.6, "gives": ["pupils", 0]}},
            [100, 100, 0],
        ),
        (
            {
                "bands": {
                    "of": "pupils",
                    "gives": [{"from": 0, "value": 1}, {"from": 100, "value": 2}],
                }
            },
            [2, 2, 1],
        ),
        (
            {
                "bands": {
                    "of": "pupils",
                    "gives": [{"from": 0, "value": 1}, {"above": 100, "value": "pupils"}],
                }
            },
            [1, 200, 1],
        ),
        ({"by": {"column": "kind", "gives": {"a": "pupils"}, "otherwise": 7}}, [100, 7, 50]),
        ({"by": {"column": "is_far", "gives": {True: 3, False: 0}}}, [3, 0, 3]),
        ({"known": {"column": "seats", "otherwise": "pupils"}}, [100, 5, 7]),
        (
            {"rounded": {"of": {"ratio": ["pupils", 350]}, "decimals": 6, "ties": "half_up"}},
            ["0.285714", "0.571429", "0.142857"],
        ),
        (
            {"rounded": {"of": {"difference": [0, "pupils"]}, "decimals": -2, "ties": "half_even"}},
            [-100, -200, 0],
        ),
        (
            {"rounded": {"of": {"difference": [0, "pupils"]}, "decimals": -2, "ties": "half_up"}},
            [-100, -200, -100],
        ),
        ({"rounded": {"of": "pupils", "decimals": -2, "ties": "half_down"}}, [100, 200, 0]),
        (
            {"rounded": {"of": {"sum": ["pupils", 1]}, "decimals": -2, "ties": "up"}},
            [200, 300, 100],
        ),
        ({"rounded": {"of": "pupils", "decimals": -2, "ties": "down"}}, [100, 200, 0]),
    ],
)
def test_each_operation_by_hand(raw, expected):
    assert found(raw) == [Fraction(value) for value in expected]


@pytest.mark.parametrize(
    ("raw", "place", "message"),
    [
        (True, (), "a column's name, a number"),
        ({"add": [1, 2]}, ("add",), "'add' is no operation; known are: sum"),
        ({"sum": [], "product": []}, (), "one operation"),
        ({"sum": []}, ("sum",), "a list"),
        ({"ratio": [1]}, ("ratio",), "2 values"),
        ({"sum": [1, {"ratio": [1, {"sum": 3}]}]}, ("sum", 1, "ratio", 1, "sum"), "a list"),
        (
            {"sliding": {"of": 1, "from": 2, "to": 2, "gives": [0, 1]}},
            ("sliding", "from"),
            "below to",
        ),
        (
            {"sliding": {"of": 1, "from": "x", "to": 2, "gives": [0, 1]}},
            ("sliding", "from"),
            "number",
        ),
        (
            {"bands": {"of": 1, "gives": [{"from": 1, "value": 0}, {"from": 1, "value": 2}]}},
            ("bands", "gives", 1, "from"),
            "must rise",
        ),
        ({"by": {"column": "kind", "gives": {}}}, ("by", "gives"), "by name"),
        ({"by": {"column": "kind", "give": {}}}, ("by", "give"), "needed here: column, gives"),
        ({"rounded": {"of": 1, "decimals": 2, "ties": "near"}}, ("rounded", "ties"), "half_even"),
        (
            {"rounded": {"of": 1, "decimals": 0.5, "ties": "up"}},
            ("rounded", "decimals"),
            "how many",
        ),
    ],
)
def test_what_is_no_value_is_refused_with_its_place(raw, place, message):
    with pytest.raises(FormulaError, match=message) as caught:
        value_of(raw)
    assert caught.value.place == place
    assert any("\u05d0" <= letter <= "\u05ea" for letter in caught.value.he)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("nobody", "no column nobody among the units; there are: semel_mosad, pupils"),
        ("kind", "kind: must be numbers"),
        ("seats", "seats: .* empty at 1"),
        ({"ratio": [1, {"difference": ["pupils", 50]}]}, "divide by is zero at 3"),
        (
            {"bands": {"of": "pupils", "gives": [{"from": 60, "value": 1}]}},
            "no band is reached at 3",
        ),
        ({"by": {"column": "kind", "gives": {"a": 1}}}, "kind is none of a at 2"),
    ],
)
def test_what_the_units_do_not_have_is_named(raw, message):
    with pytest.raises(FormulaError, match=message):
        found(raw)


def test_parts_use_what_parts_before_gave_and_pay_what_is_money():
    """10 a pupil, a tenth of it back above 100 pupils, and the rest of 5,000 by pupils."""
    given = results(
        basic={"amount": {"product": [10, "pupils"]}, **CITED},
        back={
            "amount": {
                "product": [
                    -0.1,
                    "basic",
                    {
                        "bands": {
                            "of": "pupils",
                            "gives": [{"from": 0, "value": 0}, {"above": 100, "value": 1}],
                        }
                    },
                ]
            },
            "may_be_negative": True,
            **CITED,
        },
        rest={
            "pot": {"of": {"difference": [5000, {"total": {"sum": ["basic", "back"]}}]}},
            "points": [{"weights": {"pupils": 1}, **CITED}],
        },
        posts={"amount": {"ratio": ["pupils", 40]}, "unit": "posts", **CITED},
    )
    assert given["back"].units["amount_agorot"].to_list() == [0, -200, 0]
    assert given["rest"].pot_agorot == 1_700
    assert given["rest"].units["amount_agorot"].to_list() == [486, 971, 243]
    paid = sum(one.units["amount_agorot"].sum() for one in given.values() if one.part.is_money)
    assert paid == 5_000
    assert given["posts"].units["value"].to_list() == [2.5, 5.0, 1.25]
    assert given["posts"].units["amount_agorot"].null_count() == 3


def test_shares_to_six_decimals_leave_a_residual_that_is_told():
    """Thirds as .333333: of 1,000,000,000 agorot 1,000 are left."""
    units = UNITS.with_columns(pupils=pl.lit(1))
    given = results(
        units,
        part={
            "column": {
                "rounded": {
                    "of": {"ratio": ["pupils", {"total": "pupils"}]},
                    "decimals": 6,
                    "ties": "down",
                }
            },
            "unit": "share",
            **CITED,
        },
        paid={"amount": {"product": [1_000_000_000, "part"]}, "out_of": 1_000_000_000, **CITED},
    )
    assert given["paid"].units["amount_agorot"].to_list() == [333_333_000] * 3
    assert given["paid"].left == 1_000


def test_phase_in_with_a_cap_on_change():
    """Half the way from last year's amount, and at most a tenth more."""
    units = UNITS.with_columns(last=pl.Series([1_000, 1_000, 1_000]))
    given = results(
        units,
        target={"column": {"product": [10, "pupils"]}, "unit": "agorot", **CITED},
        paid={
            "amount": {
                "smallest": [
                    {"product": [0.5, {"sum": ["last", "target"]}]},
                    {"product": [1.1, "last"]},
                ]
            },
            **CITED,
        },
    )
    assert given["paid"].units["amount_agorot"].to_list() == [1_000, 1_100, 750]


def test_a_rate_is_the_last_step_that_is_not_above_the_target():
    given = results(
        rate={
            "rate": {
                "of": {"product": ["rate", "pupils"]},
                "target": 100,
                "between": [0, 1],
                "decimals": 3,
            },
            "unit": "agorot per pupil",
            **CITED,
        },
    )["rate"]
    assert given.level == Fraction(285, 1000)
    assert given.left == 100 - Fraction(285, 1000) * 350


@pytest.mark.parametrize(
    ("stated", "place", "message"),
    [
        ({"a": {"amount": {"ratio": ["pupils", 3]}, **CITED}}, ("a", "rounding"), "say how"),
        ({"a": {"amount": {"difference": [60, "pupils"]}, **CITED}}, ("a",), "may_be_negative"),
        (
            {"a": {"amount": {"difference": [60, "pupils"]}, "may_be_negative": True, **CITED}},
            (),
            "less than nothing at 1, 2",
        ),
        ({"a": {"amount": "b", **CITED}, "b": {"amount": 1, **CITED}}, ("a",), "comes later"),
        ({"pupils": {"amount": 1, **CITED}}, ("pupils",), "column of this name"),
        (
            {"a": {"pot": {"of": "pupils"}, "points": [{"weights": {"pupils": 1}, **CITED}]}},
            ("a", "pot"),
            "one number for all",
        ),
        (
            {"a": {"pot": {"of": 0.5}, "points": [{"weights": {"pupils": 1}, **CITED}]}},
            ("a", "pot"),
            "whole number of agorot",
        ),
        (
            {
                "a": {
                    "rate": {
                        "of": {"product": ["a", "pupils"]},
                        "target": 999,
                        "between": [0, 1],
                        "decimals": 2,
                    },
                    "unit": "x",
                    **CITED,
                }
            },
            ("a", "rate"),
            "no rate between 0 and 1",
        ),
    ],
)
def test_what_cannot_be_applied_is_refused_with_its_part(stated, place, message):
    with pytest.raises(FormulaError, match=message) as caught:
        apply(parts(**stated), UNITS, {})
    assert caught.value.place == place
    assert any("\u05d0" <= letter <= "\u05ea" for letter in caught.value.he)


@pytest.mark.parametrize(
    "stated",
    [
        {"amount": 1, "column": 1, **CITED},
        {"amount": 1},
        {"column": 1, **CITED},
        {"amount": 1, "floors": [{"agorot": 1, **CITED}], **CITED},
        {"pot": {"agorot": 1, "of": 1}, "points": [{"weights": {"pupils": 1}, **CITED}]},
        {},
    ],
)
def test_a_part_is_one_thing_and_has_its_keys(stated):
    with pytest.raises(ValueError, match=r"part is one of|needs|either|valid"):
        declaration.validate_python({"a": stated})


@FAST
@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 40)), min_size=1, max_size=8),
    st.integers(0, 10**6),
    st.randoms(use_true_random=False),
)
def test_a_chain_spends_its_pot_and_does_not_mind_order(rows, pot, random):
    """A fixed rate first, the rest of the pot by pupils: together the pot, in any order of rows."""
    units = pl.DataFrame(
        {
            "semel_mosad": [f"{i}" for i in range(len(rows))],
            "pupils": [pupils + 1 for pupils, _ in rows],
            "rate": [rate for _, rate in rows],
        }
    )
    stated = {
        "fixed": {
            "amount": {
                "rounded": {
                    "of": {"product": [0.37, "pupils", "rate"]},
                    "decimals": 0,
                    "ties": "half_even",
                }
            },
            **CITED,
        },
        "rest": {
            "pot": {"of": {"largest": [0, {"difference": [pot, {"total": "fixed"}]}]}},
            "points": [{"weights": {"pupils": 1}, **CITED}],
        },
    }
    given = results(units, **stated)
    paid = sum(one.units["amount_agorot"].sum() for one in given.values())
    assert paid == max(pot, given["fixed"].values.total())
    order = random.sample(range(len(rows)), len(rows))
    again = results(units[order], **stated)
    assert all(given[name].units.equals(again[name].units) for name in given)


_FRACTIONS = st.fractions(-50, 50, max_denominator=40)


@FAST
@given(st.lists(st.tuples(_FRACTIONS, _FRACTIONS), min_size=1, max_size=6))
def test_numbers_reckon_as_fractions_do(pairs):
    """Exact numbers of all units at once, against Python's own fractions one by one."""
    first, second = (Numbers.of(values) for values in zip(*pairs, strict=True))
    assert list(first + second) == [a + b for a, b in pairs]
    assert list(first * second) == [a * b for a, b in pairs]
    assert list(first.largest(second)) == [max(pair) for pair in pairs]
    assert first.is_below(second).tolist() == [a < b for a, b in pairs]
    assert first.total() == sum(a for a, _ in pairs)
    keys = first.order_keys()
    assert sorted(range(len(pairs)), key=keys.__getitem__) == sorted(
        range(len(pairs)), key=[a for a, _ in pairs].__getitem__
    )
    if all(b for _, b in pairs):
        assert list(first.over(second)) == [a / b for a, b in pairs]
    assert list(first.rounded(Fraction(1, 4), "half_even")) == [
        Fraction(round(4 * a), 4) for a, _ in pairs
    ]
