"""Numbers in Hebrew sentences: a count and its noun agree, and so does what follows them."""

from __future__ import annotations


def counted(count: int, one: str, many: str) -> str:
    """Return a count with what is counted.

    Args:
        count: how many.
        one: the words for exactly one, which hold the number, for example "בית ספר אחד זכאי".
        many: the words after any other number, for example "בתי ספר זכאים".
    """
    return one if count == 1 else f"{count:,} {many}"


def progress_of(months: float) -> tuple[str, str]:
    """Months of progress over all participants, in Hebrew and English."""
    much = f"{months:,.0f}" if round(months) >= 10 else f"{months:.1f}".replace("-", "−")
    return f"{much} חודשי התקדמות", f"{much} months of progress"
