"""Expected progress of weak, middle and strong pupils: by hand, and whatever the lines (R81)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.allocation.account.progress import BANDS, progress

from .cases import CASES

EFFECTS = pl.DataFrame(
    {"response_id": ["a", "b"], "effect_sd": [0.1, 0.2], "effect_se_sd": [0.05, 0.1]}
)
REACH = pl.DataFrame(
    [
        ("a", "weak", 30),
        ("a", "strong", 10),
        *(("all", band, 50) for band in BANDS),
    ],
    schema=["response_id", "level_band", "participants"],
    orient="row",
)


def told(rows, reach=REACH):
    schema = {"response_id": pl.String, "participants": pl.Int32, "exposure": pl.Float64}
    lines = pl.DataFrame(rows, schema=schema, orient="row")
    return {
        row["level_band"]: row for row in progress(lines, EFFECTS, reach, pupils=300).to_dicts()
    }


def test_by_hand():
    found = told([("a", 80, 40.0), ("b", 20, 10.0)])
    # a: 40 exposed, three quarters of them weak, .1 SD each; b has no list.
    assert found["weak"]["progress_sd_pupils"] == pytest.approx(3.0)
    assert found["weak"]["progress_sd"] == pytest.approx(3.0 / 100)
    assert (found["weak"]["participants"], found["weak"]["banded_participants"]) == (60, 30)
    assert found["middle"]["progress_sd_pupils"] == 0
    assert found["strong"]["progress_sd_pupils"] == pytest.approx(1.0)
    assert found["not_known"]["progress_sd_pupils"] == pytest.approx(2.0)
    assert found["not_known"]["progress_sd"] is None  # of how many pupils nobody knows
    # Errors of responses are independent: √(2² + 1²) of all, 1.645 of them to each side.
    reach = 1.6448536269514722 * 5**0.5
    assert found["all"]["progress_lo_sd_pupils"] == pytest.approx(6 - reach)
    assert found["all"]["progress_hi_sd_pupils"] == pytest.approx(6 + reach)


def test_without_lists_of_pupils_the_bands_are_not_known():
    found = told([("a", 80, 40.0)], REACH.clear())
    assert found["weak"]["pupils"] is None
    assert found["weak"]["progress_sd"] is None
    assert found["weak"]["progress_sd_pupils"] is None  # and not 0
    assert found["not_known"]["progress_sd_pupils"] == found["all"]["progress_sd_pupils"] == 4


@CASES
@given(st.dictionaries(st.sampled_from("ab"), st.floats(0, 1e4)), st.floats(0, 500))
def test_the_bands_add_up_and_a_further_place_never_takes_progress_away(exposed, more):
    def total(lines):
        found = told([(name, 10, value) for name, value in sorted(lines.items())])
        parts = [found[band]["progress_sd_pupils"] for band in (*BANDS, "not_known")]
        assert sum(parts) == pytest.approx(found["all"]["progress_sd_pupils"], abs=1e-9)
        return parts

    before = total(exposed)
    after = total(exposed | {"a": exposed.get("a", 0.0) + more})
    assert all(b <= a + 1e-9 for b, a in zip(before, after, strict=True))
