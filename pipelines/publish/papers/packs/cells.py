"""Where each number of the packs comes from, as a table that anyone can look up (R109)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO

from pipelines.publish.papers.packs.content import Pack

HEADS = ("pack", "page", "shown", "cell")


def cells_text(packs: Mapping[str, Pack]) -> str:
    """Return a CSV: pack, page, the number as it is shown, and its address.

    An address is `mart/key/column`, as pages carry it and `make trace` takes it; a number that is
    counted or summed over rows has `mart[column=value;...]/how(column)`.
    """
    held = StringIO()
    rows = csv.writer(held, lineterminator="\n")
    rows.writerow(HEADS)
    rows.writerows(
        (name, page, number.shown, number.cell)
        for name, pack in packs.items()
        for page, number in pack.numbers()
        if number.cell
    )
    return held.getvalue()
