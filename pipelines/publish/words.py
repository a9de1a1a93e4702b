"""Numbers and categories as a reader sees them, the same in report, workbook and findings."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT


def nis(agorot: int) -> str:
    """Return an amount in whole shekels: 123456789 is '1,234,568'."""
    return f"{round(agorot / AGOROT):,}".replace("-", "−")


def signed(value: float) -> str:
    """Return a gap with its sign and two decimals; a true minus sign, never a hyphen."""
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")


def thousandths(value: float) -> str:
    """Return a small gain with its sign and three decimals."""
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", "−")


def months(value: float) -> str:
    """Return pupil SD as months of learning, with a sign and one decimal: .1 is '+1.2'."""
    return tenths_change(_months(value))


def months_fine(value: float) -> str:
    """Return few pupil SD as months of learning, with a sign and two decimals."""
    return signed(_months(value))


def months_size(value: float) -> str:
    """Return a spread or an error in pupil SD as months of learning, without a sign."""
    return tenths(_months(value))


def months_from_target(gap: float) -> str:
    """Return a gap in pupil SD as distance from the target in months: below it is minus."""
    return months(-gap)


def pupil_months(value: float) -> str:
    """Return SD × pupils as months of learning summed over pupils."""
    return integer(_months(value))


def pupil_months_change(value: float) -> str:
    """Return a change of SD × pupils as months summed over pupils, with its sign."""
    return integer_change(_months(value))


def _months(pupil_sd: float) -> float:
    return dictionary().references["months_per_sd"].value * pupil_sd


def percent(value: float) -> str:
    """Return a percentage with at most one decimal."""
    text = f"{value:.1f}".removesuffix(".0").replace("-", "−")
    return f"{text}%"


def percent_change(value: float) -> str:
    """Return a change in percent with its sign and two decimals; no sign where nothing changes."""
    return "0%" if abs(value) < 0.005 else f"{value:+.2f}%".replace("-", "−")


def share(value: float) -> str:
    """Return a share or an index between 0 and 1 with two decimals."""
    return f"{value:.2f}"


def probability(value: float) -> str:
    """Return a probability in percent, never quite 0 or 100."""
    return "<1%" if value < 0.01 else ">99%" if value > 0.99 else f"{100 * value:.0f}%"


def integer(value: float) -> str:
    """Return a whole number with separators."""
    return f"{round(value):,}".replace("-", "−")


def tenths(value: float) -> str:
    """Return a number with one decimal."""
    return f"{value:,.1f}".replace("-", "−")


def nis_change(agorot: int) -> str:
    """Return a change of money in whole shekels with its sign."""
    return integer_change(agorot / AGOROT)


def integer_change(value: float) -> str:
    """Return a whole change with its sign; no sign where nothing changes."""
    return f"{round(value):+,}".replace("-", "−") if round(value) else "0"


def tenths_change(value: float) -> str:
    """Return a change with its sign and one decimal."""
    return "0.0" if abs(value) < 0.05 else f"{value:+,.1f}".replace("-", "−")


def gap_percent(value: float) -> str:
    """Return a small percentage with three decimals, as of a solver's gap."""
    return f"{value:.3f}%"


def decimal(value: float) -> str:
    """Return a number with up to four significant digits and no power of ten.

    What is only rounding error is 0.
    """
    if abs(value) < 1e-9:
        return "0"
    text = f"{value:,.4g}" if 1e-4 <= abs(value) < 1e4 else f"{value:,.9f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def code(value: int) -> str:
    """Return a number that is a name, such as a seed, digit by digit."""
    return str(value)


def day(date: datetime.date) -> str:
    """Return a day as Hebrew writes it: 18.6.2026."""
    return f"{date.day}.{date.month}.{date.year}"


def year(school_year: int) -> str:
    """Return a school year as both calendars know it: 2026 is 'תשפ"ו (2025/26)'."""
    return f"{hebrew_year(school_year)} ({school_year - 1}/{school_year % 100:02d})"


def hebrew_year(school_year: int) -> str:
    """Return the Hebrew year in letters: 2026 is תשפ"ו."""
    rest = (school_year + 3760) % 1000
    letters = ""
    for value, letter in zip(
        (400, 300, 200, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1),
        "תשרקצפעסנמלכיטחזוהדגבא",
        strict=True,
    ):
        while rest >= value:
            # 15 and 16 are written 9+6 and 9+7, not as letters of the divine name.
            if rest in (15, 16):
                letters, rest = letters + "ט", rest - 9
                continue
            letters, rest = letters + letter, rest - value
    return f'{letters[:-1]}"{letters[-1]}'


def flag(field: str, value: bool) -> str:
    """Return what a flag says in Hebrew: yes and no, where the dictionary has no other words."""
    said = dictionary().labels.get(field, {"true": "כן", "false": "לא"})
    return said["true" if value else "false"]


def label(field: str, value: str | None) -> str:
    """Return the Hebrew name of a category's value; empty for none."""
    return "" if value is None else dictionary().label(field, value)


def subjects(names: str) -> str:
    """Return a comma-separated list of subjects in Hebrew."""
    return (
        ", ".join(label("subject", name) for name in names.split(","))
        if names != "none"
        else "אין פער ודאי"
    )


FORMS: dict[str, Callable[[Any], str]] = {
    form.__name__: form
    for form in (
        nis,
        signed,
        thousandths,
        months,
        months_fine,
        months_size,
        months_from_target,
        pupil_months,
        pupil_months_change,
        percent,
        percent_change,
        share,
        probability,
        integer,
        decimal,
        tenths,
        nis_change,
        integer_change,
        tenths_change,
        gap_percent,
        code,
    )
}
