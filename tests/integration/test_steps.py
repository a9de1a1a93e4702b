"""Every Python step computes the same rows, to the last bit, however the rows of its inputs lie
(R97).
"""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.definitions import STEPS
from pipelines.settings.fields import dictionary
from pipelines.warehouse.database import Warehouse


def by_key(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    table = dictionary().tables[name]
    return frame.select(table.columns).sort(table.key)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_order_of_rows_does_not_matter(step, published):
    space = published.workspace()
    city, given = space.city(), Warehouse(path=str(space.warehouse_path)).tables(step.reads)
    mixed = {name: frame.sample(fraction=1, shuffle=True, seed=3) for name, frame in given.items()}
    first, second = step.compute(city, given), step.compute(city, mixed)
    for name in step.makes:
        assert_frame_equal(by_key(name, first[name]), by_key(name, second[name]), check_exact=True)
