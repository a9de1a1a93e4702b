"""Pooling: brute force on small cities, the limits, the money (R56)."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from models.responses import PoolingLimits, pool_schools
from tests.examples import examples

LIMITS = PoolingLimits(max_distance=10, max_schools=3, max_participants=60, travel_agorot=100)
FIXED, UNIT = 3_000, 50


def school(code, x, y=0.0, participants=10, stream="state", needs=("math",)):
    return {
        "semel_mosad": code,
        "stream": stream,
        "place_x": x,
        "place_y": y,
        "participants": participants,
        "need_ids": list(needs),
    }


def pooled(*schools, limits=LIMITS, fixed=FIXED):
    schema = {"place_x": pl.Float64, "place_y": pl.Float64, "need_ids": pl.List(pl.String)}
    return pool_schools(pl.DataFrame(schools, schema_overrides=schema), fixed, UNIT, limits)


def test_two_neighbours_share_one_and_the_far_school_stays_alone():
    sets, members = pooled(
        school("1", 0), school("2", 6, participants=20), school("3", 100), school("4", None)
    )
    row = sets.row(0, named=True)
    assert (row["host_semel_mosad"], row["need_id"], row["schools"]) == ("2", "math", 2)
    assert row["separate_agorot"] == 2 * 3_000 + 50 * 30
    assert row["pooled_agorot"] == 3_000 + 50 * 30 + 100 * 10  # ten travel to the larger school
    assert row["saving_agorot"] == 2_000
    assert members.rows() == [("1", "2", False, 10, 6.0), ("2", "2", True, 20, 0.0)]


@pytest.mark.parametrize(
    ("why", "other"),
    [
        ("too far", school("2", 11)),
        ("too many participants", school("2", 1, participants=51)),
        ("another stream", school("2", 1, stream="haredi")),
        ("another need", school("2", 1, needs=("hebrew",))),
        ("travel costs as much as is saved", school("2", 1, participants=30)),
    ],
)
def test_what_keeps_schools_apart(why, other):
    own = school("1", 0, participants=30 if "travel" in why else 10)
    sets, members = pooled(own, other)
    assert sets.is_empty(), why
    assert members.is_empty(), why


def test_three_schools_need_one_need_in_common():
    line = [
        school("1", 0, needs=("a", "b")),
        school("2", 1, needs=("b", "c")),
        school("3", 2, needs=("c", "a")),
    ]
    assert pooled(*line)[0]["schools"].to_list() == [2]
    line[2]["need_ids"] = ["b"]
    assert pooled(*line)[0].select("schools", "need_id").rows() == [(3, "b")]


def test_the_best_packing_is_not_the_greedy_one():
    """The set that saves most (4,700) leaves the last school alone; two pairs save 2,000 +
    2,900.
    """
    schools = [school(str(i), 8.0 * i, participants=p) for i, p in enumerate((12, 10, 1, 10))]
    sets, _ = pooled(*schools)
    assert sorted(sets["saving_agorot"]) == [2_000, 2_900]


def brute_force(schools, limits):
    """The greatest total saving over all ways to put schools into sets, tried one by one."""

    def saving(group):
        rows = [schools[i] for i in group]
        total = sum(row["participants"] for row in rows)
        if len({row["stream"] for row in rows}) > 1 or total > limits.max_participants:
            return 0
        if not set.intersection(*(set(row["need_ids"]) for row in rows)):
            return 0
        return max(
            (
                FIXED * (len(rows) - 1) - limits.travel_agorot * (total - host["participants"])
                for host in rows
                if all(
                    np.hypot(host["place_x"] - row["place_x"], host["place_y"] - row["place_y"])
                    <= limits.max_distance
                    for row in rows
                )
            ),
            default=0,
        )

    def best(left):
        if not left:
            return 0
        first, rest = left[0], left[1:]
        options = [best(rest)]
        for size in range(1, limits.max_schools):
            for others in combinations(rest, size):
                own = saving((first, *others))
                if own > 0:
                    options.append(own + best(tuple(i for i in rest if i not in others)))
        return max(options)

    return best(tuple(range(len(schools))))


cities = st.lists(
    st.tuples(
        st.integers(0, 25),
        st.integers(0, 8),
        st.integers(1, 35),
        st.sampled_from(["state", "haredi"]),
        st.sets(st.sampled_from("abc"), min_size=1).map(sorted),
    ),
    min_size=1,
    max_size=7,
).map(
    lambda rows: [
        school(str(i), float(x), float(y), n, stream, needs)
        for i, (x, y, n, stream, needs) in enumerate(rows)
    ]
)


@given(cities, st.randoms())
@settings(max_examples=examples(60))
def test_equals_brute_force_keeps_the_limits_and_the_money_adds_up(schools, random):
    sets, members = pooled(*schools)
    assert sets["saving_agorot"].sum() == brute_force(schools, LIMITS)
    assert (sets["saving_agorot"] > 0).all()
    assert (sets["separate_agorot"] - sets["pooled_agorot"]).equals(
        sets["saving_agorot"], check_names=False
    )
    assert (sets["participants"] <= LIMITS.max_participants).all()
    assert (sets["schools"] <= LIMITS.max_schools).all()
    assert (members["host_distance"] <= LIMITS.max_distance).all()
    assert members["semel_mosad"].is_unique().all()
    apart = FIXED * members.height + UNIT * members["participants"].sum()
    assert sets["separate_agorot"].sum() == apart
    again = pooled(*random.sample(schools, len(schools)))
    assert_frame_equal(again[0], sets)
    assert_frame_equal(again[1], members)


def test_a_city_of_forty_schools_is_solved_whole():
    rng = np.random.default_rng(3)
    schools = [
        school(str(100 + i), *rng.uniform(0, 60, 2), int(rng.integers(5, 20))) for i in range(40)
    ]
    sets, members = pooled(*schools)
    assert sets.height > 5
    assert members.height == sets["schools"].sum()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="twice"):
        pooled(school("1", 0), school("1", 1))
    with pytest.raises(ValueError, match="participants > 0"):
        pooled(school("1", 0, participants=0))
    with pytest.raises(ValueError, match="negative"):
        pooled(school("1", 0), fixed=-1)
    sets, _ = pool_schools(
        pl.DataFrame([school("1", 0)], schema_overrides={"need_ids": pl.List(pl.String)}).clear(),
        FIXED,
        UNIT,
        LIMITS,
    )
    assert sets.is_empty()
