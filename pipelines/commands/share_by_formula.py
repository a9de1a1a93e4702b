"""Share money by a declared formula.

    python -m pipelines.commands.share_by_formula DECLARATION.yaml ROWS.csv|.parquet

The declaration is what stands under `formula:` in a policy (`pipelines.settings.formula`), and any
authority's formula can be written so: `tests/formula/fundeb_2024.yaml` is Brazil's. The amounts of
every part are written beside the rows, with the limit at which each unit stands.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.markup import escape

from models.formula import FormulaError, share
from pipelines.aim.tables import AGOROT
from pipelines.settings.formula import FormulaPart, declaration
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import CityError, read_yaml


def main(arguments: list[str] | None = None) -> int:
    """Share, write the result, and return the exit code: 0 shared, 1 an error that was
    explained.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.share_by_formula", description=__doc__
    )
    parser.add_argument("declaration", type=Path, help="YAML: the parts of the formula")
    parser.add_argument("table", type=Path, help="one row for each unit: CSV (UTF-8) or Parquet")
    parser.add_argument("--pot", type=float, help="NIS, for parts whose pot is a funding channel")
    parser.add_argument("--key", default="semel_mosad", help="column that names a unit")
    parser.add_argument("--out", type=Path, help="where to write; default: TABLE with .formula.csv")
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        parts, units = declared(asked.declaration), _units(asked.table, asked.key)
        found, said = shared(parts, units, asked.key, asked.pot)
    except CityError as error:
        console.print(f"[red]{escape(error.en)}\n{escape(error.he)}[/red]")
        return 1
    out = asked.out or asked.table.with_suffix(".formula.csv")
    found.write_csv(out, include_bom=True)
    for line in said:
        console.print(escape(line))
    console.print(f"written to {escape(str(out))}")
    return 0


def declared(path: Path) -> dict[str, FormulaPart]:
    """Return the parts of a declaration.

    Raises:
        CityError: it is missing, not YAML, or no formula; names each field.
    """
    return validated(path, read_yaml(path), declaration)


def shared(
    parts: dict[str, FormulaPart], units: pl.DataFrame, key: str, pot_nis: float | None
) -> tuple[pl.DataFrame, list[str]]:
    """Return part, key, points, amount_agorot and bound of every unit, and a line for each part.

    Raises:
        CityError: a part has no pot, or cannot be shared so.
    """
    tables, lines = [], []
    for name, part in parts.items():
        if part.pot.agorot:
            pot = part.pot.agorot.value
        elif pot_nis is not None:
            pot = round(AGOROT * pot_nis)
        else:
            raise CityError(
                f"{name}: its pot is the channel {part.pot.channel}; say how much that is (--pot,"
                " or POT= in NIS).",
                f"{name}: הסכום לחלוקה הוא של ערוץ מימון; יש לציין אותו בשקלים (POT=).",
            )
        try:
            given = share(part.engine(), units, pot, key=key)
        except FormulaError as error:
            raise CityError(f"{name}: {error}", f"{name}: {error.he}") from None
        tables.append(given.amounts.select(pl.lit(name).alias("formula_part"), pl.all()))
        raised = given.amounts.filter(pl.col("amount_agorot") > 0).height
        lines.append(
            f"{name}: {pot / AGOROT:,.2f} shared, {float(given.level) / AGOROT:,.2f} a point;"
            f" {raised:,} of {units.height:,} units get something;"
            f" {given.left_agorot / AGOROT:,.2f} left by rounding"
        )
    return pl.concat(tables), lines


def _units(path: Path, key: str) -> pl.DataFrame:
    """The rows; the key as text, so that leading zeros stay.

    Raises:
        CityError: it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path)
            return rows.with_columns(pl.col(key).cast(pl.String)) if key in rows.columns else rows
        return pl.read_csv(path, infer_schema_length=None, schema_overrides={key: pl.String})
    except (OSError, pl.exceptions.PolarsError):
        raise CityError(
            f"{path}: cannot be read as CSV (UTF-8) or Parquet.",
            f"{path}: לא ניתן לקרוא את הקובץ; נדרש CSV בקידוד UTF-8, או Parquet.",
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())
