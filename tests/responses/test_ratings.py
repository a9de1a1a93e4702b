"""What is published of ratings: nothing that one or two people said (R78)."""

import polars as pl
import pytest

from pipelines.decide.responses import publishable_families, publishable_roles


def roles(*raters):
    """Return a frame of one response: a role each with its raters."""
    return pl.DataFrame(
        {
            "response_id": "milat",
            "goal_id": "g02",
            "role": [f"role{n}" for n in range(len(raters))],
            "raters": raters,
            "others_raters": [sum(raters) - own for own in raters],
        }
    )


@pytest.mark.parametrize(
    ("raters", "published"),
    [
        ((3, 3, 3), ["role0", "role1", "role2"]),  # nobody is left over
        ((4, 5, 2, 1), ["role0", "role1"]),  # the other three are published together only
        ((4, 5, 2), ["role1"]),  # all less both would be the two of role2
        ((5, 1), []),  # all less role0 would be one person
        ((2, 2), []),
    ],
)
def test_a_role_is_published_of_enough_raters_beside_enough_others(raters, published):
    assert publishable_roles(roles(*raters), 3)["role"].to_list() == published


def test_each_response_is_judged_apart():
    both = pl.concat([roles(5, 1), roles(4, 3).with_columns(response_id=pl.lit("posh"))])
    assert publishable_roles(both, 3)["response_id"].to_list() == ["posh", "posh"]


def families_told(*families):
    """Return who is told, as (family, role or "all", raters), of families of {role: raters}."""
    raters = {role: own for roles_of in families for role, own in roles_of.items()}
    named = {role: f"family{n}" for n, roles_of in enumerate(families) for role in roles_of}
    total = sum(raters.values())
    by_role = pl.DataFrame(
        {
            "response_id": "milat",
            "goal_id": "g02",
            "role": list(raters),
            "raters": list(raters.values()),
            "others_raters": [total - own for own in raters.values()],
        }
    )
    rated = by_role.with_columns(
        role_family=pl.col("role").replace_strict(named),
        red_raters=pl.lit(0),
        yellow_raters=pl.lit(1),
        green_raters=pl.col("raters") - 1,
    )
    told = publishable_families(rated, publishable_roles(by_role, 3), 3)
    assert (told.select(pl.sum_horizontal("^.*_raters$")).to_series() == told["raters"]).all()
    return told.select("role_family", "about_role", "raters").rows()


def test_a_family_is_told_where_nobody_follows_from_it():
    # Three in b and c are enough; of a, only the principals: with it their two teachers follow.
    assert families_told(
        {"principal": 3, "teacher": 2}, {"parent": 2, "pupil": 2}, {"treasurer": 1}
    ) == [("family0", "principal", 3), ("family1", "all", 4)]


def test_the_smallest_rest_joins_those_left_over():
    # One treasurer is left over: the smaller family is not told, and four people are.
    assert families_told({"a": 2, "b": 2}, {"c": 2, "d": 1}, {"e": 1}) == [("family0", "all", 4)]


def test_a_family_of_published_roles_is_told_whole():
    assert families_told({"principal": 3, "teacher": 4}, {"parent": 3}) == [
        ("family0", "all", 7),
        ("family1", "all", 3),
    ]


def test_nobody_is_told_of_two():
    assert families_told({"a": 1, "b": 1}) == []
