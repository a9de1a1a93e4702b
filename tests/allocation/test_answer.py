"""Why and why not, said to a principal: the words follow plans that were solved again (R94)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.allocation import solve
from models.allocation.account.answer import answer
from models.allocation.account.turning_points import TurningPointSettings
from models.allocation.problem.overlap import Overlap
from models.allocation.rules.choice import MustDrop, MustKeep, SchoolCapacity
from models.allocation.rules.order import NeedOrder
from models.allocation.solve.resolve import Effort

from .cases import MONTHS, option, problem

A, B, C = "100001", "100002", "100003"
NAMES = {"milat": ("מיל״ת", "MILAT"), "posh": ("פו״ש", "POSH")}
EXACT = TurningPointSettings(need_step=0.01, effort=Effort(gap_pct=0.0))


def case(*options, needs=(0.9, 0.9, 0.9), **other):
    schools = dict(zip((A, B, C), ((100, need) for need in needs), strict=True))
    return problem(options, schools=schools, response_names=NAMES, **other)


def told(built, school, response="milat"):
    """The answer in Hebrew and English, each as one text."""
    lines = solve(built, gap_pct=0).lines
    he, en = answer(built, lines, school, response, months_per_sd=MONTHS, settings=EXACT)
    assert len(he) == len(en)
    return "\n".join(he), "\n".join(en)


def test_who_would_make_room_and_what_that_costs():
    """5 and 4 for 1,000 each, and 1,500 to spend: B would have to take A's money."""
    he, en = told(
        case(
            option(A, "milat", 1, 5, 1_000),
            option(B, "milat", 1, 4, 1_000, participants=7),
            budget=1_500,
        ),
        B,
    )
    assert he.startswith("מיל״ת בבית ספר 100002 (צורך 0.90): לא בתוכנית.")
    assert "אילו ניתן כאן: היו יוצאים: מיל״ת בבית ספר 100001." in he
    assert "10 חודשי התקדמות צפויים פחות (בסך כל התלמידים), 3 מקומות פחות" in he
    assert "20.00% פחות" in he
    assert "With it: out: MILAT at בית ספר 100001." in en
    assert "המענה ניתן ב־1 בתי ספר אחרים, כולם בצורך שאינו נמוך משלו." in he
    assert "מי מחליט על כך: מי שקובע את תקציב הערוץ." in he
    # 2,000 agorot pay for both.
    assert "תקציב הרשות: מתהפכת ב־20" in he
    assert not any(code in he for code in ("milat", "municipal_own", "budget:"))


def test_what_would_come_instead_of_a_line():
    he, en = told(
        case(option(A, "milat", 1, 5, 1_000), option(B, "posh", 1, 4, 1_000), budget=1_500),
        A,
    )
    assert "בלעדיו: היו נכנסים: פו״ש בבית ספר 100002." in he
    assert "Without it: in: POSH at" in en


def test_schools_that_need_less_and_have_it_are_named():
    he, _ = told(
        case(
            option(A, "milat", 1, 5, 1_000),
            option(B, "milat", 1, 40, 1_000),
            option(C, "milat", 1, 40, 1_000),
            needs=(0.8, 0.5, 0.9),
            budget=2_000,
        ),
        A,
    )
    assert "המענה ניתן ב־2 בתי ספר אחרים; בצורך נמוך משלו: בית ספר 100002." in he


@pytest.mark.parametrize(
    ("rule", "owner"),
    [(SchoolCapacity("milat", 1), "המפעיל"), (MustDrop(((B, "milat"),)), "ועדת התקציב")],
)
def test_whose_decision_a_rule_is_and_that_it_turns_without_it(rule, owner):
    built = case(option(A, "milat", 1, 5, 1_000), option(B, "milat", 1, 4, 1_000), rules=(rule,))
    he, en = told(built, B)
    assert f"מי מחליט על כך: {owner}" in he
    assert f"בלי הכלל ״{rule.sentence_he.rstrip('.')}״" in he
    assert "it turns" in en


def test_a_pair_that_no_plan_can_have_says_so():
    built = case(
        option(A, "milat", 1, 5, 1_000),
        option(B, "milat", 1, 4, 1_000),
        budget=1_000,
        rules=(MustKeep(((A, "milat", 0.5),)),),
    )
    he, en = told(built, B)
    assert "אילו ניתן כאן: אין תוכנית שמקיימת אז את כל הכללים." in he
    assert "With it: no plan keeps all rules then." in en


def test_who_is_not_eligible_is_told_that_alone():
    built = case(
        option(A, "milat", 1, 5, 1_000), option(B, "milat", 1, 4, 1_000, is_eligible=False)
    )
    he, _ = told(built, B)
    assert "אינו זכאי" in he
    assert "אילו ניתן כאן" not in he


def test_the_overlap_that_keeps_it_out_is_named():
    built = case(
        option(A, "posh", 1, 6, 100),
        option(A, "milat", 1, 5, 1_000),
        option(B, "milat", 1, 4, 1_000),
        option(C, "milat", 1, 2, 1_000),
        budget=1_600,
    )
    same = Overlap("same", "same", "אותם", ("milat", "posh"), 0.2)
    he, en = told(replace(built, overlaps=(same,)), A)
    assert "אותו כסף מועיל יותר במקום אחר" in he
    assert "לבדו היו צפויים 50 חודשי התקדמות, אך פו״ש כבר ניתן כאן" in he
    assert "POSH is here for the same goals" in en


def test_needier_schools_that_lack_it_go_before_and_a_higher_need_turns_it():
    """A is needier and dear; B may have it only if A has. At another need the order is unknown."""
    built = case(
        option(A, "milat", 1, 1, 3_000),
        option(B, "milat", 1, 9, 1_000),
        option(C, "posh", 1, 2, 1_000),
        needs=(0.9, 0.2, 0.5),
        budget=1_000,
        rules=(NeedOrder(((A, B, "milat"),)),),
    )
    he, en = told(built, B)
    assert "נזקקים ממנו בוודאות וחסרים אותו: בית ספר 100001." in he
    assert "אילו ניתן כאן, לפני הנזקקים ממנו: היו יוצאים: פו״ש בבית ספר 100003." in he
    assert "With it, before the needier: out: POSH" in en
    assert "הצורך של בית הספר: מתהפכת ב־" in he
