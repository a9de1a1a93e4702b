"""How many examples, draws or generated cities a costly property is held on."""

import os


def examples(most: int, part: int = 4) -> int:
    """All of them in `make validate`, a quarter (or another part; at least two) in `make test`."""
    return most if os.environ.get("TIKKUN_ALL_EXAMPLES") else max(2, most // part)
