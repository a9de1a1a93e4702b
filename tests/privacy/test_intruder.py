"""The intruder finds what is known to leak, no more and no less than trying every table does."""

import numpy as np
import pytest

from models.privacy import ContradictionError, Guard, System, attack
from tests.privacy.tables import cell, guard, ranges, system

# Every row has two hidden counts, and yet four of the eight come back.
LEAKY = [[3, 20, 4, 30], [20, 2, 30, 3], [12, 15, 2, 3], [4, 33, 2, 40]]
HIDDEN = {(0, 0), (0, 2), (1, 1), (1, 3), (2, 2), (2, 3), (3, 0), (3, 2)}


def found_by(one, kept):
    return {found.name: (found.low, found.high) for found in attack(one, kept)}


def test_two_hidden_counts_in_every_row_and_yet_some_come_back():
    known = found_by(system(LEAKY, HIDDEN), guard(HIDDEN))
    assert known == {cell(1, 1): (2, 2), cell(1, 3): (3, 3), cell(2, 2): (2, 2), cell(2, 3): (3, 3)}


@pytest.mark.parametrize("seed", range(25))
def test_the_intruder_knows_what_trying_every_table_tells(seed):
    drawn = np.random.default_rng(seed)
    values = drawn.integers(1, 8, size=(3, 3)).tolist()
    places = [(i, j) for i in range(3) for j in range(3)]
    chosen = drawn.choice(9, size=5, replace=False)
    hidden = {places[number] for number in chosen}
    true = ranges(values, hidden)
    narrow = {cell(*p): ends for p, ends in true.items() if ends[1] - ends[0] < 3}
    assert found_by(system(values, hidden), guard(hidden)) == narrow


@pytest.mark.parametrize("seed", range(10))
def test_a_child_who_is_alone_in_its_count_knows_more(seed):
    drawn = np.random.default_rng(100 + seed)
    values = drawn.integers(1, 6, size=(3, 3)).tolist()
    hidden = {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)}
    values[0][0] = 1
    alone = ranges(values, hidden)
    told = ranges(values, hidden, knows=[(0, 0)])
    # The others of its row and of its column are other children.
    beside = {(0, 1), (0, 2), (1, 0)}
    expected = {cell(*p) for p, ends in alone.items() if ends[1] - ends[0] < 3}
    expected |= {cell(*p) for p in beside if told[p][1] - told[p][0] < 3}
    found = attack(system(values, hidden), guard(hidden, singles=[(0, 0)]))
    assert {f.name for f in found} == expected


def test_a_child_learns_nothing_of_itself():
    """One gifted pupil, who takes part: the group and its participants are the same child."""
    one = System.of(
        {"group": (None, 1), "part": (None, 1), "all": (40, 0), "rest": (None, 0)},
        [
            ("", {"all": 1, "group": -1, "rest": -1}, 0, 0),
            ("", {"group": 1, "part": -1}, 0, np.inf),
        ],
    )
    names = frozenset({"group", "part"})
    assert attack(one, Guard(3, names, names, frozenset({"group"}))) == []


def test_two_tables_with_common_counts_are_read_together():
    """Each table alone leaves the hidden count open; both together tell it."""
    counts = {"a": (None, 1), "b": (None, 1), "c": (None, 1), "ab": (12, 0), "bc": (9, 0)}
    first = ("", {"ab": 1, "a": -1, "b": -1}, 0, 0)
    second = ("", {"bc": 1, "b": -1, "c": -1}, 0, 0)
    third = ("", {"ac": 1, "a": -1, "c": -1}, 0, 0)
    kept = Guard(3, frozenset("abc"))
    assert attack(System.of(counts, [first]), kept) == []
    assert attack(System.of(counts, [first, second]), kept) == []
    both = System.of(counts | {"ac": (7, 0)}, [first, second, third])
    assert found_by(both, kept) == {"a": (5, 5), "b": (7, 7), "c": (2, 2)}


@pytest.mark.parametrize(("low", "high"), [(11.1, 11.2), (10.0, 15.0), (30.0, 34.0)])
def test_a_share_of_two_hidden_counts_is_tried_for_every_number_of_children(low, high):
    """Between low and high percent of n: what is left of the count is what some n allows."""
    fits = [(x, n) for n in range(1, 31) for x in range(1, n + 1) if low * n <= 100 * x <= high * n]
    one = System.of(
        {"x": (None, 1), "n": (None, 1), "rest": (None, 0), "all": (30, 0)},
        [
            ("", {"all": 1, "n": -1, "rest": -1}, 0, 0),
            ("", {"n": 1, "x": -1}, 0, np.inf),
            ("share", {"x": 100, "n": -high}, -np.inf, 0),
            ("share", {"x": 100, "n": -low}, 0, np.inf),
        ],
    )
    found = found_by(one, Guard(30, frozenset("xn")))
    assert found["x"] == (min(x for x, _ in fits), max(x for x, _ in fits))
    assert found["n"] == (min(n for _, n in fits), max(n for _, n in fits))


def test_what_cannot_all_be_true_is_an_error_and_no_safety():
    counts = {"a": (None, 1), "b": (None, 1), "all": (1, 0)}
    one = System.of(counts, [("", {"all": 1, "a": -1, "b": -1}, 0, 0)])
    with pytest.raises(ContradictionError):
        attack(one, Guard(3, frozenset("ab")))


def test_a_block_that_is_as_it_was_is_not_attacked_again_and_one_that_changed_is():
    safe = set()
    counts = {"a": (None, 1), "b": (None, 1), "all": (9, 0)}
    row = ("", {"all": 1, "a": -1, "b": -1}, 0, 0)
    kept = Guard(3, frozenset("ab"))
    assert attack(System.of(counts, [row]), kept, safe) == []
    marks = set(safe)
    assert len(marks) == 1
    assert attack(System.of(counts, [row]), kept, safe) == []
    assert safe == marks
    assert len(attack(System.of(counts | {"all": (3, 0)}, [row]), kept, safe)) == 2
    assert len(attack(System.of(counts, [row]), Guard(9, frozenset("ab")), safe)) == 2
