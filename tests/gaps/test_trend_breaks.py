"""A merger or an emergency is no change of the school (R46)."""

import polars as pl

from models.gaps import trends
from pipelines.diagnose.gaps import _apart

YEARS = list(range(2020, 2027))
BREAKS = {"place": pl.String, "school_year": pl.Int32, "break_kind": pl.String}


def series(jump):
    """A school that stands still, but for a jump in some years."""
    gaps = [0.2 + jump(year) for year in YEARS]
    return pl.DataFrame(
        {
            "place": "1",
            "subject": "math",
            "school_year": pl.Series(YEARS, dtype=pl.Int32),
            "segment": "city",
            "gap_sd": gaps,
            "gap_lasting_se_sd": 0.02,
        }
    )


def trend(jump, *breaks):
    marked = _apart(series(jump), pl.DataFrame(breaks, schema=BREAKS, orient="row"))
    return trends(marked, 2027).row(0, named=True)


def test_a_merger_is_not_a_change():
    def jump(year):
        return 0.3 * (year >= 2024)

    assert trend(jump)["trend"] == "worsening"
    marked = trend(jump, ("1", 2024, "merged"))
    assert (marked["trend"], marked["segments"]) == ("cannot_tell", 2)
    assert abs(marked["slope_sd"]) < 1e-6
    assert trend(jump, ("2", 2024, "merged"))["trend"] == "worsening"


def test_an_emergency_is_not_a_change():
    def jump(year):
        return 0.6 * (year in (2025, 2026))

    assert trend(jump)["trend"] == "worsening"
    marked = trend(jump, ("1", 2025, "emergency"), ("1", 2026, "emergency"))
    assert (marked["trend"], marked["segments"]) == ("cannot_tell", 3)
    assert abs(marked["slope_sd"]) < 1e-6
