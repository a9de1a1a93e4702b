"""Money and channels in words, for the sentences of rules and reasons."""

from __future__ import annotations

from collections.abc import Sequence

_CHANNEL_LABELS = {
    "municipal_own": ("תקציב הרשות", "the municipality's own budget"),
    "gefen_school": ('גפ"ן בית ספרי', "the schools' Gefen"),
    "gefen_municipal": ('גפ"ן רשותי', "the municipal Gefen"),
    "ministry_other": ("משרד החינוך (אחר)", "other Ministry money"),
    "mifal_hapais": ("מפעל הפיס", "Mifal HaPais"),
    "partner_ngo": ("עמותות שותפות", "partner associations"),
    "parents": ("תשלומי הורים", "parents' payments"),
}

NO_PLAN = "No plan keeps the rules; solve the problem to see which contradict."


def nis(agorot: int | float) -> str:
    """An amount for people: whole shekels, with agorot only where there are any."""
    return f"{agorot / 100:,.2f}".removesuffix(".00")


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with two decimals, and with as many more as tell them apart if they differ.

    Numbers that agree in six decimals are written alike: what is below is the solver's tolerance.
    """
    for decimals in range(2, 7):
        texts = f"{one:.{decimals}f}", f"{other:.{decimals}f}"
        if texts[0] != texts[1]:
            return texts
    return f"{one:.2f}", f"{other:.2f}"


def channel_he(channel: str | None) -> str:
    """The channel's name in Hebrew; all channels together where none is given."""
    return "כל הערוצים" if channel is None else _CHANNEL_LABELS.get(channel, (channel, channel))[0]


def channel_en(channel: str | None) -> str:
    """The channel's name in English; all channels together where none is given."""
    return (
        "all channels" if channel is None else _CHANNEL_LABELS.get(channel, (channel, channel))[1]
    )


def first_few(names: Sequence[str], most: int, more: str, *, between: str = "; ") -> str:
    """The first few names, and how many others there are.

    Args:
        names: in words.
        most: how many are named.
        more: says how many are not, for example " and {} more".
        between: two names.
    """
    left = len(names) - most
    return between.join(names[:most]) + (more.format(left) if left > 0 else "")
