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
