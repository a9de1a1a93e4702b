"""Ladders: published examples, brute force over all orders, and what must always hold."""

from itertools import combinations, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, kendalltau

from models.causes.ladders import (
    borda_order,
    data_agreement,
    data_disagreements,
    kemeny_order,
    ladder_agreement,
)
from models.demo.committee import CAUSES
from tests.examples import examples
from tests.made import made

SCHEMA = {
    "participant_hash": pl.String,
    "role": pl.String,
    "cause_id": pl.String,
    "ladder_rung": pl.Int64,
}


def ladders(people, roles=None):
    """Return ladders from {cause: rung} per participant."""
    rows = [
        (f"p{i:03d}", roles[i] if roles else "parent", cause, rung)
        for i, rungs in enumerate(people)
        for cause, rung in rungs.items()
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def strict(*orders):
    return ladders([{cause: rung + 1 for rung, cause in enumerate(order)} for order in orders])


def contributions(**values):
    return pl.DataFrame(
        {"cause_id": list(values), "contribution": list(map(float, values.values()))}
    )


# Partial ladders with ties over at most six causes.
people = st.integers(2, 6).flatmap(
    lambda size: st.lists(
        st.dictionaries(st.sampled_from("abcdef"[:size]), st.integers(1, 4), min_size=1),
        min_size=5,
        max_size=9,
    )
)


def brute_force(people):
    """Return the least disagreement of any order, and every order that has it."""
    causes = sorted({cause for rungs in people for cause in rungs})
    against = {
        (a, b): sum(rungs.get(b, 99) < rungs.get(a, 99) for rungs in people)
        for a, b in permutations(causes, 2)
    }
    cost = {
        order: sum(against[pair] for pair in combinations(order, 2))
        for order in permutations(causes)
    }
    least = min(cost.values())
    return least, sorted(order for order, value in cost.items() if value == least)


@settings(max_examples=examples(80), deadline=None)
@given(people)
def test_kemeny_is_the_best_of_all_orders(people):
    assume(len({cause for rungs in people for cause in rungs}) > 1)
    found = kemeny_order(ladders(people))
    least, orders = brute_force(people)
    assert found["disagreements"].unique().to_list() == [least]
    assert tuple(found["cause_id"]) == orders[0]
    for cause, low, high in found.select(
        "cause_id", "kemeny_rank_lo", "kemeny_rank_hi"
    ).iter_rows():
        ranks = [order.index(cause) + 1 for order in orders]
        assert (low, high) == (min(ranks), max(ranks))


@settings(max_examples=examples(60), deadline=None)
@given(people)
def test_a_cause_that_beats_every_other_is_first(people):
    causes = sorted({cause for rungs in people for cause in rungs})
    assume(len(causes) > 1)

    def beats(a, b):
        lead = sum(
            np.sign(rungs.get(b, 99) - rungs.get(a, 99)) for rungs in people
        )  # more hold a above b than b above a
        return lead > 0

    winners = [a for a in causes if all(beats(a, b) for b in causes if b != a)]
    assume(winners)
    first = kemeny_order(ladders(people)).row(0, named=True)
    assert first["cause_id"] == winners[0]
    assert first["kemeny_rank_hi"] == 1


@settings(max_examples=examples(30), deadline=None)
@given(st.permutations("abcdefg"), st.integers(5, 9))
def test_unanimity_is_kept_and_sure(order, number):
    said = strict(*[order] * number)
    assert kemeny_order(said)["cause_id"].to_list() == list(order)
    assert kemeny_order(said)["disagreements"][0] == 0
    everyone = borda_order(said).filter(pl.col("role") == "all")
    assert everyone["cause_id"].to_list() == list(order)
    for column in ("people_rank_lo", "people_rank_hi"):
        assert everyone[column].equals(everyone["people_rank"], check_names=False)
    agreement = ladder_agreement(said).row(0, named=True)
    assert agreement["kendall_w"] == pytest.approx(1)
    assert agreement["kendall_w_lo"] == pytest.approx(1)
    strength = {cause: 10.0 - place for place, cause in enumerate(order)}
    for sign in (1, -1):
        data = contributions(**{cause: sign * value for cause, value in strength.items()})
        assert data_agreement(said, data)["kendall_tau"].to_list() == pytest.approx([sign, sign])


def test_capital_of_tennessee():
    """The worked example of Kemeny's and Borda's rules (100 voters, four towns)."""
    said = strict(
        *["MNCK"] * 42, *["NCKM"] * 26, *["CKNM"] * 15, *["KCNM"] * 17
    )  # Memphis, Nashville, Chattanooga, Knoxville
    found = kemeny_order(said)
    assert found["cause_id"].to_list() == ["N", "C", "K", "M"]
    assert found["disagreements"][0] == 600 - 393
    everyone = borda_order(said).filter(pl.col("role") == "all")
    points = dict(everyone.select("cause_id", "borda_points").iter_rows())
    assert points == pytest.approx({"N": 194 / 300, "C": 173 / 300, "M": 126 / 300, "K": 107 / 300})


def test_executives_and_applicants():
    """Siegel (1956): three executives rank six applicants, W = .16."""
    rungs = [(1, 6, 3, 2, 5, 4), (1, 5, 6, 4, 2, 3), (6, 3, 2, 5, 4, 1)]
    said = ladders([dict(zip("abcdef", row, strict=True)) for row in rungs])
    found = ladder_agreement(said, least_participants=3).row(0, named=True)
    assert found["kendall_w"] == pytest.approx(25.5 / 157.5)
    assert found["kendall_w_lo"] <= found["kendall_w"] <= found["kendall_w_hi"]


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.lists(st.integers(1, 3), min_size=4, max_size=4), min_size=5, max_size=8))
def test_w_with_ties_is_that_of_friedman_s_test(rungs):
    assume(any(len(set(row)) > 1 for row in rungs))
    said = ladders([dict(zip("abcd", row, strict=True)) for row in rungs])
    statistic = friedmanchisquare(*np.array(rungs).T).statistic
    w = ladder_agreement(said)["kendall_w"][0]
    if w is not None:  # null where leaving one out leaves no order at all
        assert w == pytest.approx(statistic / (len(rungs) * 3), abs=1e-12)


def test_borda_of_ties_and_short_ladders_by_hand():
    # Four causes. First: a alone on top, the other three share places 2-4. Second: a and b tie on
    # 1-2.
    said = ladders([{"a": 1}, {"a": 2, "b": 2, "c": 5, "d": 9}])
    found = borda_order(said, least_participants=2).filter(pl.col("role") == "all")
    points = dict(found.select("cause_id", "borda_points").iter_rows())
    assert points == pytest.approx(
        {"a": (1 + 5 / 6) / 2, "b": (1 / 3 + 5 / 6) / 2, "c": (1 / 3 + 1 / 3) / 2, "d": (1 / 3) / 2}
    )
    assert dict(found.select("cause_id", "named_by").iter_rows()) == {
        "a": 2,
        "b": 1,
        "c": 1,
        "d": 1,
    }


@settings(max_examples=examples(40), deadline=None)
@given(people, st.randoms(use_true_random=False))
def test_order_of_rows_and_numbering_of_rungs_decide_nothing(people, random):
    assume(len({cause for rungs in people for cause in rungs}) > 1)
    roles = ["parent" if i % 2 else "teacher" for i in range(len(people))]
    said = ladders(people, roles)
    rows = said.with_columns(pl.col("ladder_rung") * 3 + 2).rows()
    random.shuffle(rows)
    again = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    data = contributions(a=0.3, b=0.2, c=0.1)
    found = borda_order(said)
    assert borda_order(again).equals(found)
    assert kemeny_order(again).equals(kemeny_order(said))
    assert ladder_agreement(again).equals(ladder_agreement(said))
    assert data_agreement(again, data.reverse()).equals(data_agreement(said, data))
    assert data_disagreements(again, data.reverse()).equals(data_disagreements(said, data))
    everyone = found.filter(pl.col("role") == "all")
    assert everyone["borda_points"].mean() == pytest.approx(0.5)
    assert (everyone["people_rank_lo"] <= everyone["people_rank_hi"]).all()
    assert everyone["borda_points"].is_sorted(descending=True)


def test_equal_causes_share_their_whole_interval():
    found = borda_order(strict("ab", "ba", "ab", "ba", "ab", "ba")).filter(pl.col("role") == "all")
    assert found["people_rank"].to_list() == [1, 1]
    assert found["people_rank_lo"].to_list() == [1, 1]
    assert found["people_rank_hi"].to_list() == [2, 2]


@settings(max_examples=examples(40), deadline=None)
@given(people, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_tau_is_the_library_s(people, values):
    causes = sorted({cause for rungs in people for cause in rungs})
    assume(len(causes) > 1)
    said = ladders(people)
    data = contributions(**dict(zip("abcdef", values, strict=True)))
    points = borda_order(said).filter(pl.col("role") == "all").sort("cause_id")["people_rank"]
    strength = [values["abcdef".index(cause)] for cause in causes]
    expected = kendalltau(-points.to_numpy(), strength).statistic
    found = data_agreement(said, data)["kendall_tau"][0]
    if np.isnan(expected):
        assert found is None
    else:
        assert found == pytest.approx(expected)


def test_disagreements_by_hand():
    orders = ["abcd"] * 9 + ["bacd"]
    said = ladders(
        [
            {cause: rung + 1 for rung, cause in enumerate(order)} | ({"e": 9} if i else {})
            for i, order in enumerate(orders)
        ]
    )
    data = contributions(a=0.1, b=0.3, c=0.2, d=0.0, z=0.9)
    found = data_disagreements(said, data).filter(pl.col("role") == "all")
    columns = (
        "cause_id",
        "named_in",
        "people_rank",
        "data_rank",
        "rank_difference",
        "held_stronger_by",
        "is_disagreement",
    )
    assert found.select(columns).rows() == [
        ("a", "both", 1, 3, 2, "people", True),
        ("b", "both", 2, 1, 1, "data", True),
        ("c", "both", 3, 2, 1, "data", True),
        ("d", "both", 4, 4, 0, None, False),
        ("e", "ladders", None, None, None, None, None),
        ("z", "data", None, None, None, None, None),
    ]
    # Half hold b first: then the people's interval holds the data's rank and b is no disagreement.
    split = data_disagreements(strict(*["abc"] * 5, *["bac"] * 5), contributions(a=1, b=2, c=0))
    assert not split["is_disagreement"].any()


def test_equal_contributions_leave_their_ranks_open():
    found = data_disagreements(strict(*["abc"] * 6), contributions(a=1, b=1, c=1))
    assert found["data_rank"].unique().to_list() == [1]
    assert not found["is_disagreement"].any()


def test_few_participants_are_not_published():
    said = ladders([{"a": 1, "b": 2}] * 6, roles=["parent"] * 5 + ["principal"])
    for found in (
        borda_order(said),
        ladder_agreement(said),
        data_agreement(said, contributions(a=1, b=0)),
        data_disagreements(said, contributions(a=1, b=0)),
    ):
        assert found["role"].unique().sort().to_list() == ["all", "parent", "principal"]
        alone = found.filter(pl.col("role") == "principal")
        assert alone.select("participants", "is_publishable").rows() == [(1, False)]
        hidden = alone.drop("role", "participants", "is_publishable", "causes", strict=False)
        assert all(value is None for value in hidden.row(0))
        assert found.filter(pl.col("role") == "parent")["is_publishable"].all()
    with pytest.raises(ValueError, match="not published"):
        kemeny_order(said, least_participants=7)


def test_the_city_s_planted_order_is_recovered():
    """Members perceive the causes' true order with noise; the order of fourteen must be close to
    it.
    """
    taus = []
    for seed in (1, 2, 3):
        said = made(seed, "small").files["ladders.csv"]
        said = said.rename({"participant": "participant_hash"})
        order = kemeny_order(said)["cause_id"].to_list()
        taus.append(
            kendalltau([CAUSES.index(cause) for cause in order], range(len(order))).statistic
        )
        truth = contributions(**{cause: -place for place, cause in enumerate(CAUSES)})
        assert data_agreement(said, truth)["kendall_tau"][0] > 0.6
        assert ladder_agreement(said)["kendall_w_lo"][0] > 0.05
    assert np.mean(taus) > 0.75


def test_fourteen_causes_are_solved_and_fifteen_refused():
    names = "abcdefghijklmno"
    rng = np.random.default_rng(4)
    orders = ["".join(rng.permutation(list(names[:14]))) for _ in range(7)]
    found = kemeny_order(strict(*orders))
    above = lambda a, b: sum(order.index(b) < order.index(a) for order in orders)  # noqa: E731
    order = found["cause_id"].to_list()
    assert sum(above(a, b) for a, b in combinations(order, 2)) == found["disagreements"][0]
    for i in range(13):  # no neighbours can be swapped with gain
        assert above(order[i], order[i + 1]) <= above(order[i + 1], order[i])
    with pytest.raises(ValueError, match="up to 14"):
        kemeny_order(strict(*[names] * 5))


@pytest.mark.parametrize(
    ("change", "said_of_it"),
    [
        (lambda f: pl.concat([f, f.head(1)]), "twice"),
        (lambda f: f.with_columns(pl.lit(0).alias("ladder_rung")), "from 1"),
        (lambda f: f.with_columns(pl.lit(None, pl.String).alias("role")), "empty field"),
        (lambda f: f.with_columns(pl.lit("all").alias("role")), "everyone"),
        (lambda f: f.with_columns(pl.Series("role", ["x", "y"] * 5)), "two roles"),
        (lambda f: f.filter(pl.col("cause_id") == "a"), "at least two"),
        (lambda f: f.clear(), "at least two"),
    ],
)
def test_bad_ladders_are_named(change, said_of_it):
    said = change(strict(*["ab"] * 5))
    for call in (borda_order, kemeny_order, ladder_agreement):
        with pytest.raises(ValueError, match=said_of_it):
            call(said)


def test_bad_settings_and_contributions_are_named():
    said = strict(*["ab"] * 5)
    with pytest.raises(ValueError, match="least_participants"):
        borda_order(said, least_participants=1)
    with pytest.raises(ValueError, match="least_participants"):
        ladder_agreement(said, least_participants=2)
    with pytest.raises(ValueError, match="level"):
        borda_order(said, level=1.0)
    with pytest.raises(ValueError, match="finite"):
        data_agreement(said, contributions(a=1, b=float("nan")))
    with pytest.raises(ValueError, match="two contributions"):
        data_disagreements(said, pl.concat([contributions(a=1)] * 2))


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 14])
@pytest.mark.parametrize("noise", [1, 4])
def test_w_lies_in_its_interval_as_often_as_said(number, noise):
    """Participants perceive one order of eight causes with noise; the W meant is that of many
    panels.
    """
    rng = np.random.default_rng(1)
    names = "abcdefgh"
    found = pl.concat(
        ladder_agreement(
            strict(
                *[
                    "".join(names[i] for i in np.argsort(np.arange(8) + rng.normal(0, noise, 8)))
                    for _ in range(number)
                ]
            )
        ).head(1)
        for _ in range(600)
    )
    meant = found["kendall_w"].mean()
    covered = found.select(pl.lit(meant).is_between("kendall_w_lo", "kendall_w_hi").mean()).item()
    print(f"{number} participants, noise {noise}: W {meant:.3f}, covered {covered:.3f}")
    assert covered == pytest.approx(0.90, abs=0.04)
