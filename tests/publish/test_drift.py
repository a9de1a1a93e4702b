"""What moved between two releases does not depend on how rows lie in memory."""

import polars as pl
import pytest

from pipelines.publish.drift import quality_drift


@pytest.fixture
def tables():
    rows = 5_000
    return {
        "mart_source_file": pl.DataFrame({"source_id": ["tests"], "rows_staged": [rows]}),
        "mart_pupil_total": pl.DataFrame(
            {"stream": ["total"], "scope": ["all"], "pupils": [900], "schools": [6]}
        ),
        "mart_city": pl.DataFrame({"reference_year": [2026]}),
        "mart_gap_school_subject": pl.DataFrame(
            {
                "subject": ["math", "english"] * (rows // 2),
                "school_year": [2026] * rows,
                "is_measured": [True] * rows,
                "gap_raw_sd": [0.1 + (k * 7919 % 1009) / 3e3 for k in range(rows)],
            },
            schema_overrides={"school_year": pl.Int32},
        ),
    }


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_the_same_in_any_order_and_chunking(tables, seed):
    gaps = tables["mart_gap_school_subject"]
    shuffled = gaps.sample(fraction=1, shuffle=True, seed=seed)
    parts = [shuffled[:17], shuffled[17:2_000], shuffled[2_000:]]
    moved = tables | {"mart_gap_school_subject": pl.concat(parts, rechunk=False)}
    one, other = quality_drift(tables, None), quality_drift(moved, None)
    assert one.equals(other)
    means = one.filter(pl.col("figure_id").str.starts_with("gap_raw."))["observed_value"]
    assert means.to_list() == pytest.approx(
        [gaps.filter(subject=name)["gap_raw_sd"].mean() for name in ("english", "math")],
        abs=1e-12,
    )
