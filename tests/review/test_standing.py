"""What stands in schools, by what they report, for the rules that measure it (R106)."""

import polars as pl
import pytest

from pipelines.review.rules import _standing
from pipelines.settings.city import load_city


def test_options_that_lean_on_an_asset_have_the_doses_of_the_others(small_city):
    city = load_city(small_city)
    doses = sorted(city.policy.dose_response.value)
    levels = [*range(1, 3 * len(doses) + 1)]
    lines = pl.DataFrame(
        {
            "plan_row_id": [f"9000{level:02d}/milat" for level in levels],
            "semel_mosad": [f"9000{level:02d}" for level in levels],
            "response_id": ["milat"] * len(levels),
            "dose_level": levels,
            "participants": [10] * len(levels),
        }
    )
    tracked = lines.select(
        "plan_row_id", work_status=pl.lit("running"), participants_now=pl.lit(8, pl.Int64)
    )
    schools = lines.select("semel_mosad", pupils=pl.lit(100), need=pl.lit(0.5))
    plan = _standing(
        city,
        {"mart_plan_line": lines, "mart_line_tracking": tracked, "mart_need_index": schools},
    )
    assert plan is not None
    assert plan.lines.sort("semel_mosad")["dose"].to_list() == pytest.approx(doses * 3)
    assert set(plan.lines["participants"]) == {8}
