"""Share money by a declared formula.

    python -m pipelines.commands.share_by_formula DECLARATION.yaml ROWS.csv|.xlsx|.parquet

What every part gives every unit is written to a CSV file, with the limit at which a unit stands.
Rows of totals are set aside and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.decide.declared_formula import declared, shared, units_of
from pipelines.settings.city import CityError


def main(arguments: list[str] | None = None) -> int:
    """Share, write the result, and return 0, or 1 after an error that was explained."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.share_by_formula", description=__doc__
    )
    parser.add_argument("declaration", type=Path, help="YAML: the parts of the formula")
    parser.add_argument("table", type=Path, help="one row for each unit: CSV, xlsx or Parquet")
    parser.add_argument("--pot", type=float, help="NIS, for parts whose pot is a funding channel")
    parser.add_argument("--key", default="semel_mosad", help="column that names a unit")
    parser.add_argument("--out", type=Path, help="where to write; default: TABLE with .formula.csv")
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        parts = declared(asked.declaration)
        units, aside = units_of(asked.table, asked.key)
        found, said = shared(asked.declaration, parts, units, asked.key, asked.pot)
    except CityError as error:
        console.print(f"[red]{escape(error.en)}\n{escape(error.he)}[/red]")
        return 1
    out = asked.out or asked.table.with_suffix(".formula.csv")
    found.write_csv(out, include_bom=True)
    for line in aside + said:
        console.print(escape(line))
    console.print(f"written to {escape(str(out))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
