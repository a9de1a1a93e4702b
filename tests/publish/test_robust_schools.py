"""In how many schools each plan has each response, as the allocation page tells it."""

import polars as pl

from pipelines.publish.pages.allocation import _schools_by_plan

LINES = [
    ("cvar", "milat", "a"),
    ("planned", "milat", "a"),
    ("planned", "tikshuv", "a"),
    ("planned", "tikshuv", "b"),
]


def test_what_plans_differ_on_most_comes_first():
    lines = pl.DataFrame(LINES, schema=["plan_id", "response_id", "semel_mosad"], orient="row")
    assert _schools_by_plan(lines) == [
        {"response_id": "tikshuv", "cvar": 0, "planned": 2},
        {"response_id": "milat", "cvar": 1, "planned": 1},
    ]
    assert _schools_by_plan(lines.clear()) == []
