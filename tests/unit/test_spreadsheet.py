"""A text in a CSV is never run as a formula, and nothing else is changed."""

import polars as pl

from pipelines.sources.spreadsheet import write_csv


def test_formulas_are_texts_and_numbers_stay(tmp_path):
    texts = [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        " =1",
        "-12.5",
        "+3",
        "א=ב",
        None,
        "2026-03-01",
    ]
    path = tmp_path / "out.csv"
    write_csv(pl.DataFrame({"=text": texts, "n": range(len(texts))}), path)
    found = pl.read_csv(path, infer_schema=False)
    assert found.columns == ["'=text", "n"]
    assert found["'=text"].to_list() == [
        "'=1+1",
        "'+cmd|' /C calc'!A0",
        "'-2+3",
        "'@SUM(A1)",
        "'\t=1",
        "' =1",
        *texts[6:],
    ]
    assert found["n"].to_list() == [str(n) for n in range(len(texts))]
