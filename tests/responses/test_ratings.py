"""What is published of ratings: nothing that one or two people said (R78)."""

import polars as pl
import pytest

from pipelines.decide.responses import publishable_roles


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
