"""Places drawn from a list of entrants by the seed that the release registered (R63)."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.commands.lottery import main

SEED = 2026


@pytest.fixture
def lists(monkeypatch, tmp_path):
    """A release that proposes a lottery for one of two responses, and a folder for lists."""
    release = tmp_path / "marts" / "town" / "current" / "analyst"
    release.mkdir(parents=True)
    pl.DataFrame({"response_id": ["milat", "posh"], "lottery_seed": [SEED, None]}).write_parquet(
        release / "mart_evaluation.parquet"
    )
    pl.DataFrame({"response_id": ["rvadim"] * 2, "lottery_seed": [SEED + 1] * 2}).write_parquet(
        release / "mart_allocation_tie.parquet"
    )
    monkeypatch.setenv("TIKKUN_DATA_MARTS", str(tmp_path / "marts"))
    return tmp_path


def entrants(folder, text):
    path = folder / "entrants.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_anyone_with_the_list_draws_the_same_places(lists, capsys):
    first = entrants(lists, "unit,school\np1,a\np2,a\np3,a\np4,b\np5,b\n")
    assert main(["town", "milat", first, "--places", "1", "--by", "school"]) == 0
    drawn = pl.read_csv(lists / "entrants.drawn.csv")
    again = entrants(lists, "school,unit\nb,p5\na,p3\na,p1\nb,p4\na,p2\n")
    out = str(lists / "again.csv")
    assert main(["town", "milat", again, "--places", "1", "--by", "school", "--out", out]) == 0
    assert pl.read_csv(out).equals(drawn)
    assert drawn.filter("is_offered").group_by("school").len().sort("school").rows() == [
        ("a", 1),
        ("b", 1),
    ]
    assert drawn["seed"].unique().to_list() == [SEED]
    said = capsys.readouterr().out
    assert "2 of 5 entrants" in said
    assert "p1" not in said


def test_a_stratum_is_one_however_it_is_spaced(lists):
    text = "unit;school\np1;a\np2; a \np3;a  \n"
    asked = ["town", "milat", entrants(lists, text), "--places", "1", "--by", "school"]
    assert main(asked) == 0
    drawn = pl.read_csv(lists / "entrants.drawn.csv")
    assert drawn["school"].unique().to_list() == ["a"]
    assert drawn["is_offered"].sum() == 1


def test_schools_that_the_plan_found_tied_can_be_drawn_again(lists):
    assert main(["town", "rvadim", entrants(lists, "unit\n900001\n900002\n"), "--places", "1"]) == 0
    assert pl.read_csv(lists / "entrants.drawn.csv")["seed"].unique().to_list() == [SEED + 1]


@pytest.mark.parametrize(
    ("city", "response", "text", "places", "said"),
    [
        ("town", "posh", "unit\np1\n", "1", "proposes no lottery for 'posh'"),
        ("village", "milat", "unit\np1\n", "1", "nothing is published"),
        ("town", "milat", "pupil\np1\n", "1", "column(s) unit"),
        ("town", "milat", "", "1", "header row is empty"),
        ("town", "milat", "unit\np1\np1\n", "1", "row 2, 3 names a child"),
        ("town", "milat", "unit\n012345674\n1\n12345674.0\n01234567-4\n", "1", "row 2, 4, 5"),
        ("town", "milat", 'unit\np1\nסה"כ\n', "1", "שורה 3 היא שורת סיכום"),
        ("town", "milat", "unit,school\np1,a\n,a\n", "1", "row 3 has no id"),
        ("town", "milat", "unit,school\np1,a\np2\n", "1", "row 3 does not fit"),
        ("town", "milat", "unit\np1\n", "-1", "must not be negative"),
    ],
)
def test_what_cannot_be_drawn_is_said(lists, capsys, city, response, text, places, said):
    assert main([city, response, entrants(lists, text), "--places", places]) == 1
    assert said in capsys.readouterr().out
    assert not (lists / "entrants.drawn.csv").exists()
