"""How well unknown files are recognised, over files kept apart from the words of the guessing."""

import polars as pl
import pytest

from pipelines.sources.propose import proposals
from tests.validation.municipal_files import GROUPS, write_all

pytestmark = pytest.mark.claim


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A row a file: what was right, what was wrong, and what of it was called unsure."""
    rows = []
    for path, habit, truth in write_all(tmp_path_factory.mktemp("files")):
        best = max(proposals(path), key=lambda one: one.candidates[0].score)
        mapping = best.mapping
        # Where the lower row of a header names every column, reading it alone is as good.
        meant = {_own(header): name for header, name in truth.columns.items()}
        found = {_own(header): name for name, header in (mapping.get("columns") or {}).items()}
        right = {header for header, name in found.items() if meant.get(header) == name}
        wrong = found.keys() - right
        sure = {
            _own(g.header) for g in best.candidates[0].guesses.values() if g.confidence == "sure"
        }
        is_source = best.source_id == truth.source_id
        rows.append(
            {
                "file": path.name,
                "habit": habit,
                "source": is_source,
                "header": mapping["header_row"] + mapping["header_rows"]
                == truth.header_row + truth.header_rows
                and mapping["header_rows"] <= truth.header_rows,
                "mapped": len(found),
                "right": len(right),
                "true": len(truth.columns),
                "units": mapping.get("units", {}) == truth.units,
                "wrong_sure": len(wrong & sure) if is_source else 0,
                "wrong": len(wrong) if is_source else 0,
                "doubted": best.is_doubtful,
                "missed": ", ".join(sorted(meant.keys() - right)),
                "mistaken": ", ".join(f"{h}→{found[h]}" for h in sorted(wrong)),
            }
        )
    return pl.DataFrame(rows)


def _own(header):
    """What a column is called itself, without the group above it."""
    return header.rpartition(" / ")[2] if header.startswith(GROUPS) else header


def test_table(judged):
    """Print what is claimed, by habit."""
    table = judged.group_by("habit", maintain_order=True).agg(
        pl.len().alias("files"),
        pl.col("source", "header", "units").mean(),
        (pl.col("right").sum() / pl.col("mapped").sum()).alias("precision"),
        (pl.col("right").sum() / pl.col("true").sum()).alias("recall"),
        pl.col("wrong").sum(),
        pl.col("wrong_sure").sum(),
    )
    with pl.Config(tbl_cols=-1, tbl_rows=-1, float_precision=2):
        print(f"\n{table}")
        for row in judged.filter(~pl.col("source") | pl.col("doubted")).iter_rows(named=True):
            print(f"{row['file']}: right {row['source']}, called doubtful {row['doubted']}")
        for row in judged.iter_rows(named=True):
            if row["missed"] or row["mistaken"]:
                print(
                    f"{row['file']}: missed {row['missed'] or '–'}; took {row['mistaken'] or '–'}"
                )
    assert len(judged) >= 40


def test_the_right_source(judged):
    assert judged["source"].mean() >= 0.9


def test_a_wrong_source_is_called_doubtful(judged):
    assert judged.filter(~pl.col("source") & ~pl.col("doubted")).is_empty()


def test_a_right_source_is_seldom_called_doubtful(judged):
    assert judged.filter("source")["doubted"].mean() <= 0.1


def test_headers_of_one_row(judged):
    assert judged.filter(pl.col("habit") != "two_rows")["header"].mean() >= 0.95


def test_headers_of_two_rows(judged):
    assert judged.filter(pl.col("habit") == "two_rows")["header"].mean() >= 0.6


def test_columns_that_are_mapped_are_right(judged):
    assert judged["right"].sum() / judged["mapped"].sum() >= 0.9


def test_columns_that_are_there_are_found(judged):
    assert judged["right"].sum() / judged["true"].sum() >= 0.9


def test_units(judged):
    assert judged["units"].mean() >= 0.95


def test_what_is_wrong_is_called_unsure(judged):
    """Of the columns that are taken for another one at most one in ten is called sure."""
    assert judged["wrong_sure"].sum() <= 0.1 * max(10, judged["wrong"].sum())
