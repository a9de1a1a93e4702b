"""Money shared by any declared formula, outside a city's plan.

The declaration is what stands under `formula:` in a policy (`pipelines.settings.formula`), and any
authority's formula can be written so: `tests/formula/fundeb_2024.yaml` is Brazil's.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from models.formula import FormulaError, share
from pipelines.settings.formula import FormulaPart, declaration
from pipelines.settings.keys import AGOROT
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import CityError, read_yaml


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


def units_of(path: Path, key: str) -> pl.DataFrame:
    """Return the rows of a table; the key as text, so that leading zeros stay.

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
