"""The data dictionary as a page, docs/data_dictionary.md (`pipelines.commands.dictionary`).

What a municipality must send (the contract of each logical source) comes first, then what the
pipeline makes of it. All of it is generated from `sql/fields.yaml`, so page and checks cannot
differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.settings.fields import Dictionary, Field, Table
from pipelines.sources.quarantine import References, quarantine_query

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data_dictionary.md"

_TYPES = {
    "VARCHAR": "text · טקסט",
    "INTEGER": "whole number · מספר שלם",
    "BIGINT": "whole number · מספר שלם",
    "DOUBLE": "number · מספר",
    "DECIMAL(18,2)": "money · סכום",
    "BOOLEAN": "yes/no · כן/לא",
    "DATE": "date · תאריך",
}
_PRIVACY = {
    "public": "public · פומבי",
    "internal": "internal · פנימי",
    "personal": "personal · אישי",
}
# What is read beside the plain spelling: kind of value, forms.
READS = (
    ("whole number · מספר שלם", ("1,234", "27.0", "12K")),
    ("number, money · מספר, סכום", ("₪ 1,234.50", "(250)", "250-", "45%", "1.5M")),
    ("yes/no · כן/לא", ("כן", "לא", "yes", "no", "1", "0")),
    ("date · תאריך", ("2025-09-01", "01/09/2025", "45901", "ח' באלול תשפ\"ה")),
    ("school year · שנת לימודים", ("2025/26", "2025-2026", 'תשפ"ו')),
)
_DOOR = {
    "hash": (
        "the file brings the person's id; a keyed hash replaces it and the id is never stored ·"
        " המזהה מוחלף במפתח מגובב ואינו נשמר"
    ),
    "mask": "names, phones, e-mails and id numbers become ••• · פרטים אישיים מוסתרים",
}
# A city that knows all it can know, so that every rule of the quarantine applies.
_KNOWN = References(is_municipal=True, responses=("any",), goals=("any",), scales={"any": (0, 100)})


def example_of(field: Field) -> str:
    """Return what a value of the field looks like in a file.

    Raises:
        ValueError: if the field states no example and has no allowed value to show instead.
    """
    if field.example is not None:
        return field.example
    if field.allowed:
        return str(field.allowed[0])
    raise ValueError(
        f"sql/fields.yaml: field '{field.name}' is part of a contract and has no example; add"
        " `example:` with an invented value"
    )


def kind(field: Field) -> str:
    """Return the type of a field and, where it says more, its unit."""
    unit = "" if field.unit in ("text", "flag", "date") else f"<br>{field.unit}"
    return _TYPES[field.type] + unit


def expected(field: Field) -> str:
    """Return the pattern or the range a value must keep to; empty if any value will do."""
    if field.allowed:
        return "values below · הערכים למטה"
    if field.pattern and field.door != "hash":
        return f"`{field.pattern}`"
    if field.min is None and field.max is None:
        return ""
    low, high = ("" if end is None else f"{end:g}" for end in (field.min, field.max))
    return f"{low}–{high}" if low and high else f"≥ {low}" if low else f"≤ {high}"


def reasons(source_id: str) -> dict[str, list[str]]:
    """Return the reason codes that can set a row of a source aside, by column.

    They are read off the quarantine's own query, so that this page cannot promise other rules.
    """
    query = quarantine_query(source_id, "raw", _KNOWN)
    found: dict[str, list[str]] = {}
    for column, code in re.findall(r"'(\w+)' AS column_name, '(\w+)' AS reason_code", query):
        if code not in found.setdefault(column, []):
            found[column].append(code)
    return found


def at_the_door(field: Field, codes: Sequence[str]) -> str:
    """Return what the door does to a value, and the reasons that set its row aside."""
    done = []
    if field.door:
        done.append(_DOOR[field.door])
    if field.door == "hash":  # the pattern is that of the hash, which the door itself makes
        codes = [code for code in codes if code != "bad_pattern"]
    if field.digits:
        done.append(
            f"a lost leading zero or an added “.0” is repaired to {field.digits} digits, and"
            " counted · אפס מוביל שאבד מושלם"
        )
    if field.name == "has_consent":
        codes = (*codes, "no_consent")
    if codes:
        done.append("set aside · בהסגר: " + ", ".join(f"`{code}`" for code in codes))
    return "<br>".join(done)


def value_lines(source: Dictionary, table: Table) -> list[str]:
    """Return a line for each category of a contract: its values, Hebrew names, other spellings."""
    lines = []
    for name in table.contract:
        field = source.fields[name]
        if not field.allowed:
            continue
        values = []
        for value in map(str, field.allowed):
            others = [
                word for word, meant in source.spellings.get(name, {}).items() if meant == value
            ]
            label = source.label(name, value)
            words = ([] if label == value else [label]) + others
            values.append(f"`{value}`" + (f" ({', '.join(words)})" if words else ""))
        lines.append(f"`{name}` · {field.he}: {'; '.join(values)}")
    return lines


def render_dictionary(source: Dictionary) -> str:
    """Return the page as Markdown.

    Raises:
        ValueError: if a contract column has no example.
    """
    layers = [
        (layer, [table for table in source.tables.values() if table.layer == layer])
        for layer in ("core", "mart")
    ]
    shown = {name for _, tables in layers for table in tables for name in table.columns}
    return (
        _environment()
        .get_template("dictionary.md.j2")
        .render(
            source=source,
            contracts=[(source_id, source.contract(source_id)) for source_id in source.sources],
            layers=layers,
            columns=[field for name, field in sorted(source.fields.items()) if name in shown],
            kind=kind,
            privacy=_PRIVACY,
            example_of=example_of,
            expected=expected,
            at_the_door=at_the_door,
            reasons=reasons,
            reads=READS,
            value_lines=value_lines,
        )
    )


@cache
def _environment() -> Environment:
    env = Environment(  # Markdown, not HTML: only the bar of a table cell has to be escaped
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["cell"] = lambda text: str(text).replace("|", "\\|")
    return env
