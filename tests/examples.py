"""How many examples, draws or generated cities a costly property is held on."""

import os


def examples(most: int, least: int = 4) -> int:
    """All of them in `make validate`, a quarter (at least `least`) in `make test`."""
    return most if os.environ.get("TIKKUN_ALL_EXAMPLES") else min(most, max(least, most // 4))
