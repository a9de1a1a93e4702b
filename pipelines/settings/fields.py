"""The field dictionary (`sql/fields.yaml`): what every column and table is.

Schemas, staging casts, quality expectations, report labels, the data dictionary and the privacy
gate all read this one object, so a column can mean only one thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.settings.yaml_files import read_yaml

SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"
PRIVACY_CLASSES = ("public", "internal", "personal")
# Where a row came from: every raw table has these beside the contract's columns.
ROW = "file_row"
PROVENANCE = ("file_name", "file_hash", ROW)
_NUMBERS = ("INTEGER", "BIGINT", "DOUBLE")
_NAMES = ("year", "category")  # units whose numbers are names: nobody adds or rounds them
# Reasons to keep a row out by design, not by fault.
NO_FAULT = ("skipped", "total_row", "footnote", "repeated_header", "no_consent")


@dataclass(frozen=True)
class Field:
    """One column of the dictionary, the same wherever it appears."""

    name: str
    type: str
    unit: str
    he: str
    en: str
    description: str
    privacy: str
    allowed: tuple[str | int, ...] = ()
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    door: str | None = None
    digits: int | None = None
    example: str | None = None
    n_for: tuple[str, ...] = ()
    form: str | None = None
    interval: tuple[str, ...] = ()
    named_in: tuple[str, ...] = ()
    labels_of: str | None = None
    empty: str = "לא נמדד"


@dataclass(frozen=True)
class Unit:
    """How numbers of a unit are shown.

    Attributes:
        he: Hebrew name on pages.
        annex_he: Hebrew name in the workbook, where that tells the unit as it is stored.
        form: on pages (`publish/words.py`).
        adds_up: whether a column of it has a total.
        turned: readers see its negative, so that plus is good.
    """

    he: str = ""
    annex_he: str = ""
    form: str | None = None
    adds_up: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Reference:
    """A unit told in another: how much of it, between what that may lie, on whose word."""

    value: float
    low: float
    high: float
    unit: str
    source: str
    reason: str


@dataclass(frozen=True)
class Meaning:
    """What a word of counting or sureness means in every sentence: its name, meaning and forms."""

    he: str
    means_he: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its key, its columns in order, and what its columns refer to.

    A source that people fill has the instruction of its empty form (`form`).
    """

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    nullable: frozenset[str]
    contract: tuple[str, ...]
    contract_nullable: frozenset[str]
    references: tuple[tuple[str, str], ...]
    he: str = ""
    adds_up: bool = True
    form: str = ""

    @property
    def layer(self) -> str:
        """DuckDB schema of the table."""
        return {"stg": "staging"}.get(self.name.split("_", 1)[0], self.name.split("_", 1)[0])


@dataclass(frozen=True)
class Telling:
    """A column that tells counts of children: itself (`number`), as a percentage (`share`) or by
    what they cost together (`money`).

    Attributes:
        count: what is counted; the same name in other tables is the same count.
        at: coordinate → column, or SQL of columns; one that the table has not is the whole.
        of: the count that it is a part of.
        is_rest: whether the share is of those who are not counted.
        hides: columns that tell it too.
        loss: how many cells hiding one of it is worth.
        where: column → values of the rows it is about.
    """

    table: str
    count: str
    at: Mapping[str, str]
    number: str = ""
    share: str = ""
    money: str = ""
    of: str = ""
    is_rest: bool = False
    hides: tuple[str, ...] = ()
    loss: int = 1
    where: Mapping[str, list[Any]] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The column that tells it."""
        return self.number or self.share or self.money

    @property
    def reads(self) -> frozenset[str]:
        """The columns it is read from."""
        at = (pl.sql_expr(value).meta.root_names() for value in self.at.values())
        return frozenset({self.column, *self.where, *chain.from_iterable(at)})


@dataclass(frozen=True)
class Untold:
    """Columns that readers are not told in the rows where a column has one of some values."""

    table: str
    columns: tuple[str, ...]
    where: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Rounding:
    """Columns told no finer than the children behind them allow (`models/privacy/rounding.py`).

    Attributes:
        share_of, mean_of: the column with the count behind a share (percent) or a mean.
        per_sd: what one pupil SD is in the unit of the column, in the words of SQL.
        step: a fixed step instead.
        banded: whether shares near 0 are one band.
        coded: whether a share is told as it is, but as one band where it tells of few.
        where: column → values of the rows it is about.
        ends: columns with the ends of a share's interval, and its z.
    """

    table: str
    columns: tuple[str, ...]
    share_of: str = ""
    mean_of: str = ""
    per_sd: str = "1.0"
    step: float | None = None
    banded: bool = False
    coded: bool = False
    where: Mapping[str, list[Any]] = field(default_factory=dict)
    ends: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Dictionary:
    """All fields and tables, and the words, signs and sheets that readers see.

    Attributes:
        labels: Hebrew names of a category's values; signs beside them; other spellings in files.
        units: how numbers of a unit are shown.
        sheets: titles of the workbook's sheets by table, in order.
        committee_sheets: tables of the committee's workbook, and the columns left out of each.
        charts: the chart of a sheet by table: the column of its names, the column it measures.
        references: units told in another, the same in every city.
        meanings: of the words of counting and sureness.
        spelled: how a term is spelled, and how it is not.
        families: the roles of each family of roles.
        owners: the job that answers for the files of a source, by the first part of its id.
        quotas: how many cards of each category one may choose.
        wholes: the value of a coordinate of counts that stands for all others together.
        counts, untold, rounded: what tables tell of counts of children, where not, how finely.
    """

    fields: dict[str, Field]
    tables: dict[str, Table]
    labels: dict[str, dict[str, str]]
    signs: dict[str, dict[str, str]]
    units: dict[str, Unit]
    sheets: dict[str, str]
    committee_sheets: dict[str, list[str]]
    charts: dict[str, list[str]]
    references: dict[str, Reference]
    meanings: dict[str, Meaning]
    spelled: dict[str, list[str]]
    spellings: dict[str, dict[str, str]]
    families: dict[str, tuple[str, ...]]
    owners: dict[str, str]
    quotas: dict[str, int]
    wholes: dict[str, str]
    counts: tuple[Telling, ...]
    untold: tuple[Untold, ...]
    rounded: tuple[Rounding, ...]

    def label(self, field: str, value: str) -> str:
        """Return the Hebrew name of a category's value, or of each in a list of them.

        A value without a name is returned as it is.
        """
        names = self.labels.get(field, {})
        return "; ".join(names.get(part, part) for part in value.split(",")) if names else value

    def sign(self, field: str, value: str) -> str:
        """Return the sign beside a category's value; empty where it has none."""
        return self.signs.get(field, {}).get(value, "")

    def source_he(self, source_id: str) -> str:
        """Return what people who send files call a logical source; empty for no known one."""
        table = self.tables.get(f"stg_{source_id}")
        return table.he if table else ""

    def source_owner(self, source_id: str) -> str:
        """Return the job that answers for the files of a logical source."""
        return self.owners[source_id.partition("__")[0]]

    def unit(self, field: str) -> Unit:
        """Return how numbers of a field are shown."""
        return self.units.get(self.fields[field].unit, Unit())

    def form(self, field: str) -> str | None:
        """Return the form of a field's numbers (`publish/words.py`); None where it holds none."""
        known = self.fields[field]
        if known.type not in _NUMBERS or known.unit in _NAMES:
            return None
        whole = "tenths" if known.type == "DOUBLE" else "integer"
        return known.form or self.unit(field).form or whole

    def total(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table whose rows add up."""
        held = self.tables[table]
        return tuple(c for c in held.columns if held.adds_up and self.unit(c).adds_up)

    def contract(self, source_id: str) -> Table:
        """Return the staged table that a logical source (`register__schools`) feeds.

        Raises:
            KeyError: naming the known sources, if there is no such source.
        """
        try:
            return self.tables[f"stg_{source_id}"]
        except KeyError:
            known = ", ".join(self.sources)
            raise KeyError(f"unknown source '{source_id}'; known sources: {known}") from None

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of all logical sources, in the order of the dictionary."""
        return tuple(name[4:] for name in self.tables if name.startswith("stg_"))


def _names(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    words = text.split()
    return (
        tuple(word.rstrip("?") for word in words),
        frozenset(word.rstrip("?") for word in words if word.endswith("?")),
    )


def _interval(name: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ends of a field's interval: its name with `lo` and `hi` in it, or at its end."""
    parts = name.split("_")
    for place in range(1, len(parts) + 1):
        ends = tuple("_".join([*parts[:place], end, *parts[place:]]) for end in ("lo", "hi"))
        if ends[0] in fields and ends[1] in fields:
            return ends
    return ()


def load(path: Path) -> Dictionary:
    """Read and check a dictionary file.

    Raises:
        ValueError: if a table uses a column that no field describes, a key or reference column
            that the table does not have, an unknown privacy class, or a pattern that is no regex.
    """
    raw = read_yaml(path)
    fields = {}
    for name, entry in raw["fields"].items():
        read: dict[str, Any] = entry | {
            key: tuple(entry.get(key, ())) for key in ("allowed", "n_for", "interval", "named_in")
        }
        read["interval"] = read["interval"] or _interval(name, raw["fields"])
        one = Field(name=name, **read)
        if one.privacy not in PRIVACY_CLASSES:
            raise ValueError(
                f"{path}: field '{name}': privacy '{one.privacy}' is not one of {PRIVACY_CLASSES}"
            )
        if one.pattern:
            re.compile(one.pattern)
        fields[name] = one
    tables = {}
    for name, entry in raw["tables"].items():
        columns, nullable = _names(entry["columns"])
        contract, contract_nullable = _names(entry.get("contract", entry["columns"]))
        table = Table(
            name=name,
            row=entry["row"],
            key=tuple(entry["key"]),
            columns=columns,
            nullable=nullable,
            contract=contract,
            contract_nullable=contract_nullable,
            references=tuple(entry.get("references", {}).items()),
            he=entry.get("he", ""),
            adds_up=entry.get("adds_up", True),
            form=entry.get("form", ""),
        )
        unknown = [c for c in (*columns, *contract) if c not in fields]
        if unknown:
            raise ValueError(f"{path}: table '{name}' has columns in no dictionary: {unknown}")
        astray = [c for c in (*table.key, *dict(table.references)) if c not in columns]
        if astray:
            raise ValueError(
                f"{path}: table '{name}': key or reference columns it does not have: {astray}"
            )
        tables[name] = table
    labels = raw.get("labels", {})
    for one in fields.values():
        if one.labels_of:
            labels[one.name] = labels[one.labels_of] | labels.get(one.name, {})
    for name, names in labels.items():
        allowed = set(map(str, fields[name].allowed))
        if allowed and set(names) - allowed:
            raise ValueError(
                f"{path}: labels of '{name}' for values it cannot have:"
                f" {sorted(set(names) - allowed)}"
            )
    spellings = raw.get("spellings", {})
    for name, meant in spellings.items():
        if astray := sorted(set(meant.values()) - set(map(str, fields[name].allowed))):
            raise ValueError(f"{path}: spellings of '{name}' for values it cannot have: {astray}")
    families = {name: tuple(roles) for name, roles in raw.get("families", {}).items()}
    told = sorted(role for roles in families.values() for role in roles)
    if families and (
        told != sorted(map(str, fields["role"].allowed))
        or set(families) != set(fields["role_family"].allowed)
    ):
        raise ValueError(
            f"{path}: every role must stand in one family, and in one only (families, fields.role)"
        )
    return Dictionary(
        fields=fields,
        tables=tables,
        labels=labels,
        signs=raw.get("signs", {}),
        units={name: Unit(**entry) for name, entry in raw.get("units", {}).items()},
        sheets=raw.get("sheets", {}),
        committee_sheets=raw.get("committee_sheets", {}),
        charts=raw.get("charts", {}),
        references={name: Reference(**entry) for name, entry in raw.get("references", {}).items()},
        meanings={
            name: Meaning(**entry | {"words": tuple(entry["words"])})
            for name, entry in raw.get("meanings", {}).items()
        },
        spelled=raw.get("spelled", {}),
        spellings=spellings,
        families=families,
        owners=raw.get("owners", {}),
        quotas=raw.get("quotas", {}),
        wholes=raw.get("wholes", {}),
        **_disclosure(raw, tables),
    )


def _disclosure(raw: Mapping[str, Any], tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return `counts`, `untold` and `rounded`.

    Raises:
        ValueError: if they name a table or column that is not there.
    """

    def entries(name: str) -> list[dict[str, Any]]:
        return [
            {key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}
            for one in raw.get(name, ())
        ]

    counts = tuple(Telling(**one) for one in entries("counts"))
    untold = tuple(Untold(**one) for one in entries("untold"))
    rounded = tuple(Rounding(**one) for one in entries("rounded"))
    for one in untold:
        _expect_columns(tables, one.table, (*one.columns, *one.where))
    for told in counts:
        _expect_columns(tables, told.table, (*told.reads, *told.hides))
    for rule in rounded:
        behind = filter(None, (rule.share_of, rule.mean_of))
        named = (*rule.columns, *rule.where, *rule.ends[:2], *behind)
        _expect_columns(tables, rule.table, named)
    return {"counts": counts, "untold": untold, "rounded": rounded}


def _expect_columns(tables: Mapping[str, Table], table: str, columns: tuple[str, ...]) -> None:
    held = tables[table].columns if table in tables else ()
    if astray := [column for column in columns if column not in held]:
        raise ValueError(
            f"counts, untold or rounded of '{table}' name columns it does not have: {astray}"
        )


@cache
def dictionary() -> Dictionary:
    """Return the project's dictionary, read once."""
    return load(SQL_FOLDER / "fields.yaml")
