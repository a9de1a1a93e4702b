"""Generated cities, made once for all tests of a process that only read them."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.demo import SyntheticCity


def made(seed: int = 1, profile: str = "clean", *, with_forecast: bool = False) -> "SyntheticCity":
    """Return a generated city (`models.demo.generate`); nobody changes what it holds."""
    return _made(seed, profile, with_forecast)


@cache
def _made(seed: int, profile: str, with_forecast: bool) -> "SyntheticCity":
    from models.demo import generate

    return generate(seed, profile, with_forecast=with_forecast)
