"""The notebook runs over a published release and shows what is in it."""

import subprocess
import sys

import polars as pl

from tests.runs import PROJECT


def test_it_runs_and_agrees_with_the_marts(published, monkeypatch):
    import importlib.util

    monkeypatch.setenv("TIKKUN_DATA_MARTS", published.env["TIKKUN_DATA_MARTS"])
    monkeypatch.setenv("TIKKUN_CITY", "demo_city")
    spec = importlib.util.spec_from_file_location(
        "explore_gaps", PROJECT / "notebooks" / "explore_gaps.py"
    )
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    _, defined = notebook.app.run()
    gaps = pl.read_parquet(published.current / "analyst" / "mart_gap_school.parquet")
    overall = gaps.filter(pl.col("subject") == "all")
    assert defined["chosen"].height == overall.height
    assert defined["measured"].height == overall.filter(pl.col("gap_sd").is_not_null()).height > 0
    assert (
        defined["trend"]["cells"].sum()
        == pl.read_parquet(published.current / "analyst" / "mart_gap_school_subject.parquet")[
            "is_measured"
        ].sum()
    )


def test_without_a_release_it_says_what_to_run(tmp_path):
    done = subprocess.run(
        [sys.executable, PROJECT / "notebooks" / "explore_gaps.py"],
        env={"TIKKUN_DATA_MARTS": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "make run" in done.stdout + done.stderr
