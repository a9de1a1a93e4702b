"""How much of a response's effect falls into the years that the decision looks at."""

from __future__ import annotations


def lasting_share(lag_years: int, years: int, kept_share: float) -> float:
    """The effect over the years looked at, as a share of that of a response that acts at once.

    A response of one year works after its lag and then fades by the same share every year, so its
    years add up to Σ kept_share^(t − lag) for t from the lag to the last year (fade-out: Bailey,
    Duncan, Cunha, Foorman and Yeager 2020).

    Args:
        lag_years: whole years until pupils gain, zero or more.
        years: school years the decision looks at, one or more.
        kept_share: what is left of an effect a year later, 0 to 1.

    Returns:
        0 to 1: 1 without a lag, 0 where the effect comes after the last year.

    Raises:
        ValueError: an argument outside its range.
    """
    if lag_years < 0 or years < 1 or not 0 <= kept_share <= 1:
        raise ValueError(f"lag {lag_years}, years {years} or kept share {kept_share} out of range")
    fading = [kept_share**t for t in range(years)]
    return sum(fading[: max(years - lag_years, 0)]) / sum(fading)
