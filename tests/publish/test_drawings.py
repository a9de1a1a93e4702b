"""What two audiences are shown alike is drawn once, and nothing else is."""

import polars as pl
import pytest

from pipelines.publish.drawings import Drawings

PLAN = pl.DataFrame({"semel_mosad": ["900001"], "cost_agorot": [100]})
OTHER = pl.DataFrame({"semel_mosad": ["900001"], "cost_agorot": [None]}, schema=PLAN.schema)


def by_name(tables, _):
    return str(tables["plan"]["cost_agorot"].to_list())


def by_presence(tables, _):
    return "told" if "hidden" in tables else "not told"


def by_get(tables, _):
    return str(tables.get("hidden") is None)


def by_all_names(tables, _):
    return " ".join(tables)


def by_number(tables, _):
    return str(len(tables))


ALL = {"plan": PLAN, "hidden": PLAN}


@pytest.mark.parametrize(
    ("draw", "first", "second", "is_again"),
    [
        (by_name, ALL, {"plan": PLAN.clone()}, False),
        (by_name, ALL, {"plan": OTHER}, True),
        (by_name, ALL, {"plan": PLAN.cast({"cost_agorot": pl.Int32})}, True),
        (by_presence, ALL, {"plan": PLAN}, True),
        (by_presence, {"plan": PLAN}, ALL, True),
        (by_presence, ALL, {"hidden": PLAN}, False),
        (by_get, {"plan": PLAN}, ALL, True),
        (by_get, {"plan": PLAN}, {}, False),
        (by_all_names, ALL, {"plan": PLAN}, True),
        (by_all_names, ALL, dict(ALL), False),
        (by_number, ALL, {"plan": PLAN}, True),
    ],
)
def test_a_page_is_drawn_again_where_what_it_asks_for_is_not_the_same(
    draw, first, second, is_again
):
    times = []

    def counted(tables, context):
        times.append(context)
        return draw(tables, context)

    drawings = Drawings("context")
    assert drawings.of(counted, first) == draw(first, None)
    assert drawings.of(counted, second) == draw(second, None)
    assert times == ["context"] * (2 if is_again else 1)


def test_pages_are_told_apart_by_what_draws_them():
    drawings = Drawings(None)
    assert drawings.of(by_name, ALL) != drawings.of(by_presence, ALL)
