"""What is hidden beside is enough, is the least, and is the same however the tables are ordered."""

from itertools import combinations

import numpy as np
import pytest

from models.privacy import Found, System, attack, protect
from models.privacy.intruder import Reasons
from tests.privacy.tables import cell, guard, ranges, system
from tests.privacy.test_intruder import HIDDEN, LEAKY


def losses(values, hidden):
    places = {(i, j) for i in range(len(values)) for j in range(len(values[0]))} - set(hidden)
    return {cell(i, j): 100 + values[i][j] for i, j in places}


def protected(values, hidden, **kept):
    one = system(values, hidden)
    return protect(one, losses(values, hidden), guard(hidden, **kept))[0]


def test_the_leaky_table_is_closed():
    more = protected(LEAKY, HIDDEN)
    left = system(LEAKY, HIDDEN).hiding(more)
    assert attack(left, guard(HIDDEN).also(more)) == []


@pytest.mark.parametrize("seed", range(6))
def test_it_is_enough_and_the_cheapest_by_trying_every_set_and_every_table(seed):
    drawn = np.random.default_rng(seed)
    values = drawn.integers(1, 6, size=(3, 3)).tolist()
    hidden = {(int(drawn.integers(3)), int(drawn.integers(3)))}
    loss = losses(values, hidden)
    places = {cell(i, j): (i, j) for i in range(3) for j in range(3)}

    def is_enough(more):
        open_ = ranges(values, hidden | {places[name] for name in more})
        return all(most - least >= 3 for least, most in open_.values())

    enough = []
    for size in range(5):  # a count costs more than any difference between counts
        enough = [one for one in combinations(sorted(loss), size) if is_enough(one)]
        if enough:
            break
    else:
        pytest.skip("no four counts are enough")
    more = protected(values, hidden)
    assert is_enough(more)
    least = min(sum(map(loss.get, one)) for one in enough)
    assert sum(map(loss.get, more)) == least


def test_the_same_is_hidden_in_whatever_order_it_is_given():
    one = system(LEAKY, HIDDEN)
    counts = {
        name: (None if told < 0 else int(told), int(low))
        for name, told, low in zip(one.names, one.told, one.lower, strict=True)
    }
    rows = [
        ("", {one.names[c]: f for c, f in zip(*line, strict=True)}, 0, 0)
        for line in (
            (one.matrix[[r]].indices, one.matrix[[r]].data) for r in range(one.matrix.shape[0])
        )
    ]
    turned = System.of(dict(reversed(counts.items())), rows[::-1])
    loss = losses(LEAKY, HIDDEN)
    first = protect(one, loss, guard(HIDDEN))
    assert protect(turned, dict(reversed(loss.items())), guard(HIDDEN)) == first


def test_a_child_alone_in_its_count_needs_a_third_count():
    values = [[1, 4, 9, 9], [9, 9, 9, 9], [9, 9, 9, 9]]
    hidden = {(0, 0), (0, 1)}
    assert len(protected(values, hidden, singles=[(0, 0)])) > len(protected(values, hidden))


def test_what_nothing_protects_is_named_and_the_rest_is_protected_all_the_same():
    counts = {
        "a": (None, 1),
        "all": (3, 0),
        "b": (None, 1),
        "c": (9, 1),
        "d": (9, 1),
        "sum": (20, 0),
    }
    rows = [
        ("", {"all": 1, "a": -1}, 0, 0),
        ("", {"sum": 1, "b": -1, "c": -1, "d": -1}, 0, 0),
    ]
    one = System.of(counts, rows)
    more, known = protect(one, {"c": 10, "d": 11}, guard(()).also(["a", "b"]))
    assert (more, known) == ({"c"}, {"a"})


def test_what_is_hidden_already_is_no_reason():
    """A share that is hidden makes nothing known, so that hiding it again would be no progress."""
    counts = {"part": (None, 1), "whole": (9, 0)}
    told = System.of(counts, [("share", {"part": 100, "whole": -40}, -1, 1)])
    (columns,) = told.blocks()
    found = Found("part", 4, 4)
    assert Reasons(told, columns, 3).of(found) == {"share", "whole"}
    assert Reasons(told.hiding({"share"}), columns, 3).of(found) == {"whole"}
