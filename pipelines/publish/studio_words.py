"""What a moved slider of the studio did, in sentences and a picture (R94, R98)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from pipelines.decide.studio import Draft, Settings
from pipelines.publish.charts import Drawn, Mark, bars
from pipelines.publish.words import (
    decimal,
    integer,
    label,
    nis,
    nis_change,
    percent,
    percent_change,
    pupil_months_change,
)
from pipelines.settings.keys import AGOROT

_MOST_NAMED = 3
_ISOLATED = "\u2066{}\u2069"  # digits and signs keep their order inside a Hebrew sentence


def said(asked: Settings, base: Settings, draft: Draft) -> list[str]:
    """Return what was moved, and what follows: who gains, who loses, and the expected progress.

    Args:
        asked: the sliders as they stand.
        base: as they stand for the published plan.
        draft: the plan solved again; one without a plan says so itself, and nothing is added.
    """
    moved = list(_moved(asked, base))
    if not moved:
        return ["הטיוטה היא התוכנית שפורסמה: דבר לא הוזז."]
    if draft.conflict_he:
        return [f"{'; '.join(moved)}."]
    total = draft.totals
    sentences = [f"{'; '.join(moved)}."]
    if not total["schools_moved"]:
        sentences.append("הכסף של אף בית ספר אינו משתנה.")
    for direction, verb in ((-1, "מפסידים"), (1, "מרוויחים")):
        sentences += _who(draft.schools, direction, verb)
    change, low, high = (
        pupil_months_change(total[f"benefit_change{end}_sd_pupils"]) for end in ("", "_lo", "_hi")
    )
    sure = "" if low.startswith("+") or high.startswith("−") else " – אי אפשר לדעת אם יותר או פחות"
    if draft.worth_change_pct is not None:
        sentences.append(
            f"התועלת המשוקללת בצורך: {_isolated(percent_change(draft.worth_change_pct))}, מול"
            " התוכנית הטובה ביותר באותו חישוב."
        )
    sentences.append(
        f"בלי משקל הצורך: {_isolated(change)} חודשי תלמיד, בטווח של 90%"
        f" {_isolated(low)} עד {_isolated(high)}{sure}."
    )
    return sentences


def picture(draft: Draft) -> Drawn | None:
    """Return the change of money by tier of need, the neediest first; None where nothing moves."""
    by_tier = (
        draft.schools.group_by("need_tier")
        .agg(pl.col("cost_change_agorot").sum())
        .sort("need_tier")
        .drop_nulls("need_tier")
    )
    if draft.conflict_he or not (draft.schools["cost_change_agorot"] != 0).any():
        return None
    return bars(
        [
            Mark(
                name=label("need_tier", tier),
                value=float(change),
                shown=f"{nis_change(change)} ₪",
                is_strong=place == 0,
            )
            for place, (tier, change) in enumerate(by_tier.iter_rows())
        ]
    )


def _moved(asked: Settings, base: Settings) -> Iterator[str]:
    """Yield what each slider asks for, beside what the plan had."""
    if asked.municipal_nis != base.municipal_nis:
        yield _from_to("תקציב הרשות", nis, *_agorot(asked.municipal_nis, base.municipal_nis), " ₪")
    if asked.gamma != base.gamma:
        yield _from_to("העדפה מתקנת", decimal, asked.gamma, base.gamma, "")
    for place, name in enumerate(("לפחות", "לכל היותר")):
        now, was = asked.excellence_pct[place], base.excellence_pct[place]
        if now != was:
            yield _from_to(f"חלק המצוינות, {name}", percent, now, was, "")
    if asked.floor_nis != base.floor_nis:
        floors = _agorot(asked.floor_nis, base.floor_nis)
        yield _from_to("רצפה לתלמיד", nis, *floors, " ₪")


def _agorot(now: int, was: int) -> tuple[int, int]:
    return now * AGOROT, was * AGOROT


def _from_to(name: str, written: Callable[[Any], str], now: float, was: float, unit: str) -> str:
    return f"{name}: {_isolated(written(now))}{unit} במקום {_isolated(written(was))}{unit}"


def _who(schools: pl.DataFrame, direction: int, verb: str) -> Iterator[str]:
    """Yield how many schools lose or gain, how much, and who most."""
    change = pl.col("cost_change_agorot")
    rows = schools.filter(change * direction > 0).sort(change.abs(), "semel_mosad", descending=True)
    if rows.is_empty():
        return
    count = "בית ספר אחד" if rows.height == 1 else f"{_isolated(integer(rows.height))} בתי ספר"
    verb = verb.removesuffix("ים") if rows.height == 1 else f"{verb} יחד"
    total = nis(abs(int(rows["cost_change_agorot"].sum())))
    named = ", ".join(
        f"{row['school_name_he']} ({_isolated(nis_change(row['cost_change_agorot']))} ₪)"
        for row in rows.head(_MOST_NAMED).iter_rows(named=True)
    )
    most = "" if rows.height <= _MOST_NAMED else "; הכי הרבה"
    yield f"{count} {verb} {_isolated(total)} ₪{most}: {named}."


def _isolated(text: str) -> str:
    return _ISOLATED.format(text)
