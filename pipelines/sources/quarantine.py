"""Set aside the rows that cannot be staged, each with a reason; nothing is dropped silently (R24).

The rules come from the field dictionary: required, type, allowed values, pattern, range, key. A
row may have several reasons. The query is one pass over the raw table.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.fields import Field, Table, dictionary

# reason code -> sentence in Hebrew and English; {column} is the field's label, {rule} what is expected.
SENTENCES = {
    "missing": ("בעמודה «{he}» חסר ערך שחייב להופיע", "column '{name}' is empty but required"),
    "bad_type": (
        "הערך בעמודה «{he}» אינו מהסוג הנדרש ({rule})",
        "column '{name}' is not of type {rule}",
    ),
    "not_allowed": (
        "הערך בעמודה «{he}» אינו ברשימת הערכים המותרים",
        "column '{name}' is not one of: {rule}",
    ),
    "bad_pattern": (
        "הערך בעמודה «{he}» אינו בתבנית הנדרשת",
        "column '{name}' does not match {rule}",
    ),
    "out_of_range": ("הערך בעמודה «{he}» מחוץ לטווח ({rule})", "column '{name}' is outside {rule}"),
    "duplicate_key": (
        "שורה נוספת עם אותו מפתח כבר נקלטה ({rule})",
        "another row with the same key came first ({rule})",
    ),
}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _rules(field: Field, *, required: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (reason code, SQL condition that is true for a bad value, what is expected)."""
    value, typed = field.name, f"TRY_CAST({field.name} AS {field.type})"
    if required:
        yield "missing", f"{value} IS NULL", ""
    if field.type in ("INTEGER", "BIGINT"):
        # A bare TRY_CAST would round 2.5 to 3 without a word.
        yield "bad_type", f"NOT regexp_full_match({value}, '[+-]?[0-9]+([.]0*)?')", "whole number"
    elif field.type != "VARCHAR":
        not_finite = f" OR NOT isfinite({typed})" if field.type == "DOUBLE" else ""
        yield (
            "bad_type",
            f"{value} IS NOT NULL AND ({typed} IS NULL{not_finite})",
            field.type.lower(),
        )
    if field.allowed:
        listed = ", ".join(_text(str(item)) for item in field.allowed)
        yield "not_allowed", f"{value} NOT IN ({listed})", ", ".join(map(str, field.allowed))
    if field.pattern:
        yield (
            "bad_pattern",
            f"NOT regexp_full_match({value}, {_text(field.pattern)})",
            field.pattern,
        )
    if field.min is not None or field.max is not None:
        low = "" if field.min is None else f"{typed} < {field.min}"
        high = "" if field.max is None else f"{typed} > {field.max}"
        rule = f"{'' if field.min is None else field.min}…{'' if field.max is None else field.max}"
        outside = " OR ".join(part for part in (low, high) if part)
        # NaN sorts above every number; it has its own reason already.
        finite = f"isfinite({typed}) AND " if field.type == "DOUBLE" else ""
        yield "out_of_range", f"{finite}({outside})", rule


def _row_of(
    source_id: str, field: Field, code: str, rule: str, relation: str, condition: str
) -> str:
    he, en = (
        sentence.format(he=field.he, name=field.name, rule=rule) for sentence in SENTENCES[code]
    )
    shown = f"left({field.name}, 60)"
    if field.privacy == "personal":
        shown = f"CASE WHEN {field.name} IS NULL THEN NULL ELSE '•••' END"
    return (
        f"SELECT {_text(source_id)} AS source_id, file_name, file_row, {_text(field.name)} AS column_name, "
        f"{_text(code)} AS reason_code, {shown} AS masked_value, {_text(he)} AS reason_he, {_text(en)} AS reason_en "
        f"FROM {relation} WHERE {condition}"
    )


def quarantine_query(source_id: str, raw: str) -> str:
    """Return the SELECT of `raw_quarantine` rows for one source over its raw table."""
    table: Table = dictionary().contract(source_id)
    fields = dictionary().fields
    parts = [
        _row_of(source_id, fields[name], code, rule, raw, condition)
        for name in table.contract
        for code, condition, rule in _rules(
            fields[name], required=name not in table.contract_nullable
        )
    ]
    key = ", ".join(table.key)
    numbered = f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY file_name, file_row) AS copy FROM {raw})"
    whole_key = " AND ".join(f"{name} IS NOT NULL" for name in table.key)
    parts.append(
        _row_of(
            source_id,
            fields[table.key[0]],
            "duplicate_key",
            key,
            numbered,
            f"copy > 1 AND {whole_key}",
        )
    )
    return "\nUNION ALL\n".join(parts)
