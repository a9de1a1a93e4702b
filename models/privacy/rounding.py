"""How finely a share or a mean may be told, by how many children stand behind it.

A share of n children to the last digit is a count, and a mean of n children on two nights is the
value of the child who came between (Hundepool et al. 2012, Statistical Disclosure Control, ch. 5).
The step depends on n alone, so that it says nothing of the value.
"""

from __future__ import annotations

import polars as pl

_LADDER = (1.0, 2.0, 5.0)
_OPEN = 1.1  # in steps of more than (fewest + 1)/n enough counts fit a share, also at 0 and 100 %
_BAND = 1.5  # steps: where the second multiple begins
_SLIGHT = 1e-9
_NEAR = 1e-6
_LEFT_OUT = 1e-6  # percent: less than one child in a million


def rounding_step(least: pl.Expr) -> pl.Expr:
    """Return the smallest of …, .1, .2, .5, 1, 2, 5, 10, … that is not below `least`.

    Args:
        least: positive; null stays null.
    """
    power = (least.log10() + 1e-12).floor()
    unit = pl.lit(10.0).pow(power)
    leading = least / unit
    step = pl.lit(10.0)
    for rung in reversed(_LADDER):
        step = pl.when(leading <= rung * (1 + 1e-9)).then(pl.lit(rung)).otherwise(step)
    return step * unit


def share_step(children: pl.Expr, fewest: int) -> pl.Expr:
    """Return the step in which a share (percent) of so many children may be told.

    Args:
        children: how many stand behind it.
        fewest: smallest count that may be told (5: any of four is left open).
    """
    return rounding_step(100 * (fewest + _OPEN) / children.cast(pl.Float64).clip(1, None))


def mean_step(children: pl.Expr, per_sd: pl.Expr | float = 1.0) -> pl.Expr:
    """Return the step in which a mean of so many children may be told.

    Args:
        children: how many stand behind it.
        per_sd: one pupil SD in the unit of the mean.
    """
    one = per_sd.abs() if isinstance(per_sd, pl.Expr) else pl.lit(per_sd)
    return rounding_step(one / children.cast(pl.Float64).clip(1, None))


def rounded(value: pl.Expr, step: pl.Expr) -> pl.Expr:
    """Return the multiple of the step that is nearest to the value; halves go up."""
    return ((value / step + 0.5).floor() * step).round(9)


def banded(share: pl.Expr, step: pl.Expr) -> pl.Expr:
    """Return a share (percent) as `rounded` does, but all that lies near 0 as one band's middle.

    A share of several years near 0 bounds each of them, as a hidden one is at least one child.
    """
    band = _BAND * step
    return pl.when(share >= band).then(rounded(share, step)).otherwise((band / 2).round(9))


def coded(share: pl.Expr, children: pl.Expr, fewest: int) -> pl.Expr:
    """Return a share (percent), but the middle of what it may be where it tells of few.

    It tells of few where at least one and fewer than `fewest` children are counted by it, or all
    but so many are: then it says that, and no more (top and bottom coding; Hundepool et al. 2012,
    ch. 3).

    Args:
        share: percent.
        children: how many stand behind it, which readers know.
        fewest: smallest count that may be told.
    """
    middle = 50.0 * fewest / children
    for told, count in (
        (100 - middle, children - _count(share, children)),
        (middle, _count(share, children)),
    ):
        share = pl.when(count.is_between(1, fewest - 1)).then(told).otherwise(share)
    return share


def coded_ends(told: pl.Expr, children: pl.Expr, fewest: int) -> tuple[pl.Expr, pl.Expr]:
    """Return between what a share (percent) told by `coded` lies: one count's, or those of few."""
    low, high = (100 * (_count(told, children) + sign * 0.4) / children for sign in (-1, 1))
    middle, one = 50.0 * fewest / children, 100 / children
    most = (fewest - 1) * one
    is_few, is_rest = ((told - end).abs() < _NEAR for end in (middle, 100 - middle))
    return (
        pl.when(is_few).then(one).when(is_rest).then(100 - most).otherwise(low),
        pl.when(is_few).then(most).when(is_rest).then(100 - one).otherwise(high),
    )


def _count(share: pl.Expr, children: pl.Expr) -> pl.Expr:
    return (share * children / 100).round()


def share_ends(
    told: pl.Expr, step: pl.Expr, *, is_banded: bool = False, first: pl.Expr | None = None
) -> tuple[pl.Expr, pl.Expr]:
    """Return between what a rounded share (percent) lies: half a step either way, less an end.

    Args:
        told: the share as it is told.
        step: the step it is told in.
        is_banded: whether all that lies near 0 is one band.
        first: the finer step that it was rounded to before, if it was.
    """
    low, high = told - step / 2, told + step / 2
    if is_banded:
        band = _BAND * step
        low = pl.when(told < band).then(0.0).otherwise(low)
        high = pl.when(told < band).then(band).otherwise(high)
    if first is not None:  # half a step around the multiples of the first that it may have been
        low = ((low / first - _SLIGHT).ceil() - 0.5) * first
        high = ((high / first - _SLIGHT).ceil() - 0.5) * first
    return low.clip(0, 100), (high - _LEFT_OUT).clip(0, 100)


def wilson(low: pl.Expr, high: pl.Expr, n: pl.Expr, z: float) -> tuple[pl.Expr, pl.Expr]:
    """Return the least and the most of Wilson's interval of any share (percent) from low to high.

    Source: Wilson (1927), JASA 22(158).
    """
    square = z * z

    def end(percent: pl.Expr, sign: int) -> pl.Expr:
        share = percent / 100
        middle = share + square / (2 * n)
        half = z * (share * (1 - share) / n + square / (4 * n * n)).sqrt()
        return (100 * (middle + sign * half) / (1 + square / n)).clip(0, 100).round(6)

    return end(low, -1), end(high, 1)
