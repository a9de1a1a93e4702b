"""Why money is left in a channel, in words."""

from __future__ import annotations

from collections import Counter

import numpy as np

from models.allocation.problem.rule import Rule
from models.allocation.problem.words import channel_en, channel_he, nis
from models.allocation.rules.money import ChannelBudget, SchoolChannelCap
from models.allocation.solve.model import Model
from models.hebrew import counted


def unspent_reason(
    model: Model, x: np.ndarray, funding_channel: str, left_agorot: int
) -> tuple[str, str]:
    """Why a channel's money is not spent, in Hebrew and English.

    Looks at every single further step (a new response, or a larger dose) that would do good and
    take money of this channel, and at what stops it.
    """
    moves = model.moves(x)
    amounts = np.append(model.columns.money(funding_channel), 0)
    step = amounts[moves.add] - amounts[moves.drop]
    useful = (moves.gain > 0) & (step > 0)
    if not useful.any():
        return (
            "כל אפשרות מועילה שהערוץ יכול לממן כבר ממומנת.",
            "Every useful option that this channel can pay for is funded.",
        )
    fits = useful & (step <= left_agorot)
    if not fits.any():
        least = nis(int(step[useful].min()))
        return (
            (
                f"אין עוד אפשרות שזכאים לה והיא נכנסת ביתרה: הצעד הזול ביותר דורש {least} ₪ "
                f"ונותרו {nis(left_agorot)} ₪."
            ),
            (
                f"No further eligible option fits: the cheapest step needs {least} NIS "
                f"and {nis(left_agorot)} NIS are left."
            ),
        )
    broken = model.rules_broken_by(moves)
    stopping = Counter(rule for move, rules in broken.items() if fits[move] for rule in rules)
    counts = sorted(stopping.items(), key=lambda item: (-item[1], item[0]))
    hebrew, english = [], []
    for i, n in counts:
        he, en = _stop(model.rules[i])
        hebrew.append(f"{he} ({n})")
        english.append(f"{en} ({n})")
    total = int(fits.sum())
    return (
        counted(total, "צעד מועיל אחד נוסף היה נכנס", "צעדים מועילים נוספים היו נכנסים")
        + f" ביתרה, אך: {'; '.join(hebrew)}.",
        f"{total} further useful step(s) would fit what is left, but: {'; '.join(english)}.",
    )


def _stop(rule: Rule) -> tuple[str, str]:
    """What a rule that stops a step means for the money that is left."""
    match rule:
        case ChannelBudget(funding_channel=channel):
            return (
                f"ערוץ אחר מוצה: {channel_he(channel)}",
                f"another channel is exhausted: {channel_en(channel)}",
            )
        case SchoolChannelCap(funding_channel=channel, is_budget=True):
            return (
                f"הסל של בית הספר מוצה: {channel_he(channel)}",
                f"the school's own basket is exhausted: {channel_en(channel)}",
            )
        case _:
            return rule.sentence_he.rstrip("."), f"rule: {rule.sentence_en.rstrip('.')}"
