"""The command "why": without a release it says what to do."""

from __future__ import annotations

from models.allocation.solve.ties import Tie
from pipelines.commands.why import lots, main
from pipelines.decide.allocation import tied


def test_the_lot_is_told_with_each_school_s_chance():
    schools, drawn = ("100001", "100002", "100003"), ("100001", "100003")
    ties = tied([Tie("milat", 1, schools, drawn, 7)])
    assert ties["chance_pct"].round(2).to_list() == [66.67] * 3
    won, lost = (lots(ties.filter(semel_mosad=school)) for school in ("100001", "100002"))
    assert "3 schools were equal for 2 place(s), a chance of 67 % each" in won[0]
    assert "this one was drawn (seed 7)" in won[0]
    assert "was not drawn" in lost[0]
    assert "לא עלה בגורל" in lost[1]
    assert "לא עלה" not in won[1]
    assert lots(ties.clear()) == []


def test_a_city_without_a_release_is_told_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TIKKUN_DATA_MARTS", str(tmp_path))
    assert main(["demo_city", "900001", "milat"]) == 1
    said = capsys.readouterr().out
    assert "make run CITY=demo_city" in said
    assert "טרם פורסם" in said
