"""The answer to "why": the reason in both languages, parts that add up, and what turned it."""

from __future__ import annotations

from models.allocation import solve
from models.allocation.account.explain import explain
from models.allocation.account.turning_points import turning_points
from models.allocation.solve.ties import Tie
from pipelines.commands.why import answer, lots, main
from pipelines.decide.allocation import tied
from tests.allocation.cases import option, problem


def asked(school, response):
    case = problem(
        [
            option("100001", "milat", 1, 5, 50_000_00),
            option("100002", "milat", 1, 4, 50_000_00),
        ],
        budget=70_000_00,
    )
    lines = solve(case).lines
    pair = (
        lines.clear()
        .select("semel_mosad", "response_id")
        .vstack(
            explain(case, lines)
            .pairs.filter(semel_mosad=school, response_id=response)
            .select("semel_mosad", "response_id")
        )
    )
    return answer(explain(case, lines, pair), turning_points(case, lines, pair))


def test_what_has_no_room_says_so_and_the_budget_that_would_make_it():
    said = asked("100002", "milat")
    assert any("א" <= letter <= "ת" for letter in said[1])
    assert said[2].startswith("cost 50,000 NIS")
    (budget,) = [line for line in said if line.startswith("  the budget")]
    stands, turns = (
        float(budget.split(word)[1].split(", turns")[0].replace(",", ""))
        for word in ("stands at ", "turns at ")
    )
    assert 70_000 <= stands < 100_000 <= turns


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
    assert "make run CITY=demo_city" in capsys.readouterr().out
