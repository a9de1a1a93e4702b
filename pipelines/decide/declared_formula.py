"""Money shared by any declared formula, outside a city's plan.

The declaration is what stands under `formula:` in a policy (`pipelines.settings.formula`), and any
authority's formula can be written so: `tests/formula/fundeb_2024.yaml` is Brazil's. The table comes
through the same reader as a city's files, and is refused rather than half understood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from models.formula import FormulaError, Result, apply
from pipelines.settings.fields import ROW
from pipelines.settings.formula import FormulaPart, declaration, engines
from pipelines.settings.keys import AGOROT
from pipelines.settings.mapping import SourceMapping
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import CityError, place_of, read_yaml
from pipelines.sources.normalise import number, spelling
from pipelines.sources.tabular import TOTAL, clean_text, read_content

_FLAGS = {"true": True, "false": False, "yes": True, "no": False, "כן": True, "לא": False}
_FEWEST = 3
_SHOWN = 5
_ZEROS_LOST = 2  # codes of different registers (a state, a town) differ by more


def declared(path: Path) -> dict[str, FormulaPart]:
    """Return the parts of a declaration.

    Raises:
        CityError: it is missing, not YAML, or no formula; names each field.
    """
    return validated(path, read_yaml(path), declaration)


def shared(
    path: Path, parts: Mapping[str, FormulaPart], units: pl.DataFrame, key: str, pot: float | None
) -> tuple[pl.DataFrame, list[str]]:
    """Return what each part gives each unit, and a line for each part.

    Args:
        path: of the declaration, whose lines an error names.
        parts: the declaration.
        units: one row a unit.
        key: what names a unit.
        pot: NIS, for the parts whose pot is a funding channel.

    Returns:
        part, key, points, value (in the part's unit), amount_agorot and bound of every unit; and
        the lines.

    Raises:
        CityError: a part has no pot, or cannot be shared so.
    """
    pots = {}
    for name, part in parts.items():
        if part.pot is None or part.pot.of is not None:
            continue
        if part.pot.agorot:
            pots[name] = part.pot.agorot.value
        elif pot is not None:
            pots[name] = round(AGOROT * pot)
        else:
            raise CityError(
                f"{name}: its pot is the channel {part.pot.channel}; say how much that is (--pot,"
                " or POT= in NIS).",
                f"{name}: הסכום לחלוקה הוא של ערוץ מימון; יש לציין אותו בשקלים (POT=).",
            )
    try:
        results = apply(engines(parts), units, pots, key=key)
    except FormulaError as error:
        line, column = place_of(path, error.place)
        where = ".".join(map(str, error.place)) or "(whole file)"
        raise CityError(
            f"{path}: line {line}, column {column}: {where}: {error}",
            f"{path}: {where} (שורה {line}, עמודה {column}): {error.he}",
        ) from None
    tables = [
        found.units.select(pl.lit(found.part.name).alias("formula_part"), pl.all())
        for found in results
    ]
    return pl.concat(tables), [_said(found) for found in results]


def _said(found: Result) -> str:
    """One part in a line: what it gives in all, at which rate, and what is left."""
    part, total = found.part, found.values.total()
    if part.kind == "pot":
        raised = found.units.filter(pl.col("amount_agorot") > 0).height
        return (
            f"{part.name}: {_money(found.pot_agorot)} shared, {_money(found.level)} a point;"
            f" {raised:,} of {found.units.height:,} units get something;"
            f" {_money(found.left)} left by rounding"
        )
    if part.kind == "rate":
        return (
            f"{part.name}: {float(found.level or 0):,.15g} {part.unit}; {float(found.left):,.2f}"
            " left to the target"
        )
    if part.is_money:
        return f"{part.name}: {_money(total)} in all; {_money(found.left)} left by rounding"
    said = f"{part.name}: {float(total):,.6g} {part.unit} in all"
    return said + (f"; {float(found.left):,.6g} left" if part.kind == "amount" else "")


def _money(agorot: object) -> str:
    return f"{float(agorot) / AGOROT:,.2f}"  # type: ignore[arg-type]


# ---- the table ---------------------------------------------------------------------------------
def units_of(path: Path, key: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows of a table, the key as text, and a line for each row that was set aside.

    A row of totals and one that does not fit the header are set aside. Numbers are read as in a
    city's files; a column with anything else in it stays text, which no formula reckons with.

    Raises:
        CityError: it cannot be read, has no key, names a unit twice by two spellings, has codes
            whose leading zeros were lost, or a row that is the sum of all others.
    """
    mapping = {"file": path.name, "format": path.suffix.lower().removeprefix("."), "columns": {}}
    try:
        read = read_content(path.read_bytes(), SourceMapping.model_validate(mapping))
    except Exception:  # whatever the format's reader raises
        raise _unreadable(path) from None
    rows = read.rows.with_columns(
        pl.col(pl.String).map_elements(clean_text, return_dtype=pl.String).replace("", None)
    )
    if key not in rows.columns:
        known = ", ".join(name for name in rows.columns if name != ROW)
        raise CityError(
            f"{path}: no column {key}; there are: {known} (KEY= names the one of the units).",
            f"{path}: אין עמודה {key}; יש: {known} (KEY= אומר איזו עמודה מציינת יחידה).",
        )
    is_total = rows[key].str.to_lowercase().str.contains(TOTAL).fill_null(value=False)
    aside = [f"row {row} set aside: a total row" for row in rows.filter(is_total)[ROW]]
    aside += [f"row {row} set aside: it does not fit the header" for row in read.broken]
    rows = rows.filter(~is_total)
    _refuse_keys(path, key, rows)
    typed = rows.with_columns(_typed(rows[name]) for name in rows.columns if name not in (key, ROW))
    _refuse_sums(path, typed)
    return typed.drop(ROW), aside


def _typed(column: pl.Series) -> pl.Series:
    """Numbers or true and false where every cell is one; else the texts."""
    texts = {text: text.lower() for text in column.drop_nulls().unique()}
    if texts and all(low in _FLAGS for low in texts.values()):
        flags = {text: _FLAGS[low] for text, low in texts.items()}
        return column.replace_strict(flags, return_dtype=pl.Boolean)
    numbers = {text: number(text) for text in texts if "%" not in text}
    if len(numbers) < len(texts) or any(value is None for value in numbers.values()):
        return column
    kind = pl.Float64 if any("." in str(value) for value in numbers.values()) else pl.Int64
    return column.replace_strict(numbers, return_dtype=pl.String).cast(kind)


def _refuse_keys(path: Path, key: str, rows: pl.DataFrame) -> None:
    """Raise CityError where keys do not tell units apart."""
    codes = rows[key].drop_nulls().to_list()
    if len(codes) < rows.height:
        empty = rows.filter(pl.col(key).is_null())[ROW].to_list()
        raise _refused(path, empty, f"{key} is empty", f"{key} ריק")
    plainly = [spelling(code).lstrip("0") or "0" for code in codes]
    often = Counter(plainly)
    twice = [row for row, code in zip(rows[ROW], plainly, strict=True) if often[code] > 1]
    if twice:
        raise _refused(
            path, twice, "one unit stands in several rows", "אותה יחידה מופיעה בכמה שורות"
        )
    most = max(map(len, codes), default=0)
    if all(map(str.isdecimal, codes)):
        short = [
            row
            for row, code in zip(rows[ROW], codes, strict=True)
            if 0 < most - len(code) <= _ZEROS_LOST
        ]
        if short:
            raise _refused(
                path,
                short,
                f"{key} is shorter than elsewhere: leading zeros seem lost; write all codes with"
                f" {most} digits",
                f"{key} קצר מן האחרים: נראה שאבדו אפסים מובילים; יש לכתוב {most} ספרות",
            )


def _refuse_sums(path: Path, rows: pl.DataFrame) -> None:
    """Raise CityError where a row is the sum of all others in every column of numbers."""
    counts = rows.drop(ROW).select(pl.selectors.numeric())
    if rows.height <= _FEWEST or counts.width == 0:
        return
    is_sum = pl.all_horizontal(
        (2 * pl.col(name) == pl.col(name).sum()) & (pl.col(name) > 0) for name in counts.columns
    )
    if sums := rows.filter(is_sum)[ROW].to_list():
        raise _refused(
            path,
            sums,
            "it is the sum of all other rows: a total; take it out",
            "השורה היא סכום כל האחרות; יש להוציא אותה",
        )


def _refused(path: Path, rows: list[int], en: str, he: str) -> CityError:
    shown = ", ".join(map(str, rows[:_SHOWN])) + (" …" if len(rows) > _SHOWN else "")
    return CityError(f"{path}: row {shown}: {en}.", f"{path}: שורה {shown}: {he}.")


def _unreadable(path: Path) -> CityError:
    return CityError(
        f"{path}: cannot be read as CSV, Excel (xlsx) or Parquet.",
        f"{path}: לא ניתן לקרוא את הקובץ; נדרש CSV,‏ Excel (xlsx) או Parquet.",
    )
