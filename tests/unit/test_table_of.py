"""`table_of`: rows in the dictionary's columns and types, or an error that names the column."""

import polars as pl
import pytest

from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import nothing, table_of

BAND = {"band": 1, "source": "s", "reason": "r"}


def test_what_may_be_empty_may_be_absent_and_types_are_the_dictionarys():
    made = table_of("core_policy_band", [BAND | {"band_hi_sd": -1}])
    assert tuple(made.columns) == dictionary().tables["core_policy_band"].columns
    assert made.schema == nothing("core_policy_band").schema
    assert made["band_lo_sd"].to_list() == [None]
    assert made.schema["band_hi_sd"] == pl.Float64


def test_tuples_stand_in_the_order_of_the_columns():
    made = table_of("core_goal", [("g", "יעד", "Goal")])
    assert made.row(0, named=True) == {
        "goal_id": "g",
        "goal_name_he": "יעד",
        "goal_name_en": "Goal",
    }


@pytest.mark.parametrize(
    ("row", "column"),
    [(BAND | {"band_lo": 1}, "band_lo"), ({"band": 1, "source": "s"}, "reason")],
)
def test_a_column_that_is_not_the_tables_or_lacks_is_named(row, column):
    with pytest.raises(ValueError, match=rf"core_policy_band: .*'{column}'"):
        table_of("core_policy_band", [BAND, row])
