"""How many examples a costly property is held on."""

import os


def examples(most: int) -> int:
    """All of them in `make validate`, a quarter (at least four) in `make test`."""
    return most if os.environ.get("TIKKUN_ALL_EXAMPLES") else max(4, most // 4)
