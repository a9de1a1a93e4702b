"""Splitting whole agorot by shares so that the parts always add up to the whole; for every room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm


def exact(value: float | int) -> Fraction:
    """The number a person wrote: 0.1 is one tenth here, not its nearest binary fraction."""
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def largest_remainder(total: int, weights: Sequence[Fraction | int]) -> list[int]:
    """Split `total` in proportion to `weights` by the method of largest remainders (Hamilton).

    Ties of remainders go to the earlier position, so the caller's order is the tie-break.

    Raises:
        ValueError: the total or a weight is negative, or there is money and no positive weight.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("The amount to split and every weight must be zero or more.")
    one = lcm(*{weight.denominator for weight in weights})
    counts = [weight.numerator * (one // weight.denominator) for weight in weights]
    whole = sum(counts)
    if whole == 0:
        if total:
            raise ValueError(f"{total} agorot cannot be split: no weight is above zero.")
        return [0] * len(weights)
    parts = [total * count // whole for count in counts]
    remainders = [parts[i] * whole - total * count for i, count in enumerate(counts)]
    by_remainder = sorted(range(len(counts)), key=remainders.__getitem__)
    for position in by_remainder[: total - sum(parts)]:
        parts[position] += 1
    return parts


def split_by_share(amount_agorot: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Split an amount between funding channels by their shares; the parts sum to it exactly (R83).

    Args:
        amount_agorot: whole agorot, zero or more.
        shares: funding channel → share, in any common unit (0.25, 25 % and 1 of 4 are the same).

    Returns:
        Funding channel → agorot, in alphabetical order; remainders that tie go to the channel
        that comes first in it.

    Raises:
        ValueError: the amount or a share is negative, or there is money and no positive share.
    """
    names = sorted(shares)
    parts = _split(amount_agorot, tuple(shares[name] for name in names))
    return dict(zip(names, parts, strict=True))


@lru_cache(maxsize=100_000)
def _split(amount_agorot: int, shares: tuple[float, ...]) -> tuple[int, ...]:
    """The parts in order: plans under several decisions split the same prices again and again."""
    return tuple(largest_remainder(amount_agorot, [exact(share) for share in shares]))
