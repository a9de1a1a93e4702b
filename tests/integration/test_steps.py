"""Every Python step computes the same rows, to the last bit, however the rows of its inputs lie
(R97).
"""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.definitions import STEPS
from pipelines.settings.fields import dictionary
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.tables import nothing
from tests.integration.random_policies import DRAWN_ANEW


def by_key(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    table = dictionary().tables[name]
    return frame.select(table.columns).sort(table.key)


def marks(step):
    """What solves the plan again and again is slow; its draws and its solver mind no order in
    `tests/allocation` (test_uncertainty.py, test_allocation_properties.py).
    """
    return [pytest.mark.slow] if step.name in DRAWN_ANEW else []


@pytest.mark.parametrize(
    "step", [pytest.param(step, id=step.name, marks=marks(step)) for step in STEPS]
)
def test_the_order_of_rows_does_not_matter(step, published):
    """Rows as the run made them, of the same inputs in another order and another process."""
    space = published.workspace()
    warehouse = Warehouse(path=str(space.warehouse_path))
    first, given = warehouse.tables(step.makes), warehouse.tables(step.reads)
    given |= {name: nothing(name) for name in step.remembers}
    mixed = {name: frame.sample(fraction=1, shuffle=True, seed=3) for name, frame in given.items()}
    second = step.compute(space.city(), mixed)
    for name in step.makes:
        made = by_key(name, second[name])
        assert first[name].height == made.height
        assert_frame_equal(
            by_key(name, first[name]), made.cast(dict(first[name].schema)), check_exact=True
        )
