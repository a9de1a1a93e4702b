"""Variance between classes: recovered where planted, absent where it would be a guess."""

import numpy as np
import polars as pl
import pytest

from models.gaps import class_variance


def classes(seed, between, *, cells=200, sizes=(18, 31), within=100.0):
    rng = np.random.default_rng(seed)
    rows = []
    for cell in range(cells):
        for number in range(rng.integers(1, 4)):
            n = int(rng.integers(*sizes))
            scores = 60 + cell % 7 + rng.normal(0, between**0.5) + rng.normal(0, within**0.5, n)
            rows.append(
                (
                    f"9{cell:05d}",
                    "math",
                    5,
                    2026,
                    "S",
                    f"5-{number}",
                    n,
                    scores.mean(),
                    scores.var(ddof=1),
                )
            )
    return pl.DataFrame(
        rows,
        schema=[
            "semel_mosad",
            "subject",
            "grade",
            "school_year",
            "scale_id",
            "class_id",
            "class_pupils",
            "class_mean",
            "class_variance",
        ],
        orient="row",
    )


@pytest.mark.parametrize("between", [0.0, 4.0, 25.0])
def test_planted_variances_are_recovered(between):
    found = [class_variance(classes(seed, between)).row(0, named=True) for seed in range(10)]
    assert np.mean([row["between_variance"] for row in found]) == pytest.approx(between, abs=1.0)
    assert np.mean([row["within_variance"] for row in found]) == pytest.approx(100, rel=0.02)


def test_a_known_table_by_hand():
    # Two cells of two classes of two pupils each, and as many again, to reach the least number.
    one = pl.DataFrame(
        {
            "semel_mosad": [f"{cell:06d}" for cell in range(20) for _ in range(2)],
            "subject": "math",
            "grade": 5,
            "school_year": 2026,
            "scale_id": "S",
            "class_id": ["a", "b"] * 20,
            "class_pupils": 2,
            "class_mean": [50.0, 54.0] * 20,
            "class_variance": [2.0, 4.0] * 20,
        }
    )
    # SSB per cell 16, df 1; SSW per cell 6, df 2; size 4 - 8/4 = 2: (16 - 3) / 2 = 6.5.
    found = class_variance(one).row(0, named=True)
    assert found["within_variance"] == pytest.approx(3.0)
    assert found["between_variance"] == pytest.approx(6.5)
    assert found["cells"] == 20
    assert found["classes"] == 40


def test_few_classes_say_nothing_and_order_says_nothing():
    assert class_variance(classes(1, 4.0, cells=5)).is_empty()
    frame = classes(3, 4.0)
    assert class_variance(frame).equals(
        class_variance(frame.sample(fraction=1, shuffle=True, seed=1))
    )
