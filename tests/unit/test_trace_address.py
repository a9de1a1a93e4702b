"""The address of a cell whose key holds a slash, as rows of the work plan do."""

import polars as pl

from pipelines.act.trace import find


def test_a_row_of_the_plan_is_found_by_its_address(tmp_path):
    pl.DataFrame(
        {"plan_row_id": ["900001/milat", "900002/milat"], "cost_agorot": [500, 700]}
    ).write_parquet(tmp_path / "mart_work_plan.parquet")
    cell = find(tmp_path, "mart_work_plan/plan_row_id=900002/milat/cost_agorot")
    assert (cell.table, cell.column, cell.value) == ("mart_work_plan", "cost_agorot", 700)
    assert cell.key == {"plan_row_id": "900002/milat"}
