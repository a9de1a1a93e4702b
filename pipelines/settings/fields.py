"""The field dictionary (`sql/fields.yaml`): what every column and table is.

Schemas, staging casts, quality expectations, report labels, the data dictionary and the privacy
gate all read this one object, so a column can mean only one thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.settings.yaml_files import read_yaml

SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"
PRIVACY_CLASSES = ("public", "internal", "personal")
# Where a row came from: every raw table has these beside the contract's columns.
ROW = "file_row"
PROVENANCE = ("file_name", "file_hash", ROW)
# Reasons to keep a row out by design, not by fault.
NO_FAULT = ("skipped", "total_row", "no_consent")


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


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its key, its columns in order, and what its columns refer to."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    nullable: frozenset[str]
    contract: tuple[str, ...]
    contract_nullable: frozenset[str]
    references: tuple[tuple[str, str], ...]

    @property
    def layer(self) -> str:
        """DuckDB schema of the table."""
        return {"stg": "staging"}.get(self.name.split("_", 1)[0], self.name.split("_", 1)[0])


@dataclass(frozen=True)
class Dictionary:
    """All fields and tables, the Hebrew names of category values, and their other spellings."""

    fields: dict[str, Field]
    tables: dict[str, Table]
    labels: dict[str, dict[str, str]]
    spellings: dict[str, dict[str, str]]

    def label(self, field: str, value: str) -> str:
        """Return the Hebrew name of a category's value, or the value where it has none."""
        return self.labels.get(field, {}).get(value, value)

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
            key: tuple(entry.get(key, ())) for key in ("allowed", "n_for")
        }
        field = Field(name=name, **read)
        if field.privacy not in PRIVACY_CLASSES:
            raise ValueError(
                f"{path}: field '{name}': privacy '{field.privacy}' is not one of {PRIVACY_CLASSES}"
            )
        if field.pattern:
            re.compile(field.pattern)
        fields[name] = field
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
    return Dictionary(fields=fields, tables=tables, labels=labels, spellings=spellings)


@cache
def dictionary() -> Dictionary:
    """Return the project's dictionary, read once."""
    return load(SQL_FOLDER / "fields.yaml")
