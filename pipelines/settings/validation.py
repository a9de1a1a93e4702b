"""What is wrong with a file that was read, said with its line and in both languages (R119)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipelines.settings.yaml_files import CityError, RefusedError, place_of

T = TypeVar("T")
_NUMBER = "יש לכתוב מספר: בלי מרכאות, פסיקים או אחוז, ולא true או false"
_HE = {
    "missing": "חסר כאן שדה חובה",
    "extra_forbidden": "מפתח לא מוכר",
    "float_type": _NUMBER,
    "int_type": f"{_NUMBER}; מספר שלם",
    "int_from_float": "יש לכתוב מספר שלם",
    "finite_number": "יש לכתוב מספר סופי",
    "bool_type": "יש לכתוב true או false",
    "string_type": "יש לכתוב טקסט; קוד או מספר יש לשים במרכאות",
    "string_pattern_mismatch": "יש לכתוב טקסט שאינו ריק, בצורה הנדרשת",
    "too_short": "חסרים כאן פריטים",
    "greater_than_equal": "הערך קטן מדי: לפחות {ge}",
    "greater_than": "הערך קטן מדי: יותר מ־{gt}",
    "less_than_equal": "הערך גדול מדי: לכל היותר {le}",
    "less_than": "הערך גדול מדי: פחות מ־{lt}",
    "literal_error": "הערך אינו אחד מאלה: {expected}",
    "tuple_type": "יש לכתוב רשימה: [א, ב]",
    "dict_type": "יש לכתוב מפתחות וערכים",
    "model_type": "יש לכתוב מפתחות וערכים",
}
_EN = {
    "float_type": "; write it without quotes, commas or a percent sign, and not true or false",
    "int_type": "; write a whole number without quotes, commas or a point, and not true or false",
    "bool_type": "; write true or false",
    "string_type": "; put a code or a number that is a text in quotes",
}


def validated(
    path: Path,
    raw: Any,
    kind: type[T] | TypeAdapter[T],
    under: tuple[str, ...] = (),
    where_stated: Callable[[Sequence[str | int]], tuple[Path, tuple[int, int]]] | None = None,
) -> T:
    """Return what was read as what it must be.

    Args:
        path: the file, whose lines an error names.
        raw: what was read.
        kind: what it must be: a model, or an adapter of another type.
        under: keys of the file below which `raw` lies in it.
        where_stated: gives the file, and line and column in it, of a place of `raw`, if it comes
            from several files.

    Raises:
        CityError: naming each field that is not valid, with its line and column and what to write
            instead.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        en, he = [], []
        for item in error.errors():
            place = (*item["loc"], *_refused_at(item))
            where = ".".join([*under, *_written(raw, place)]) or "(whole file)"
            file, (line, column) = (
                where_stated(place) if where_stated else (path, place_of(path, (*under, *place)))
            )
            other = "" if file == path else f"{file}: "
            said, said_he = _said(item, adapter._type)
            en.append(f"  {other}line {line}, column {column}: {where}: {said}")
            he.append(f"  {other}{where} (שורה {line}, עמודה {column}): {said_he}")
    raise CityError(
        "\n".join([f"{path}: {len(en)} field(s) are not valid:", *en]),
        "\n".join([f"{path}: {len(he)} שדות אינם תקינים; יש לתקן ולהריץ שוב:", *he]),
    )


def _refused_at(item: ErrorDetails) -> tuple[str | int, ...]:
    return getattr(item.get("ctx", {}).get("error"), "place", ())


def _said(item: ErrorDetails, kind: Any) -> tuple[str, str]:
    """Return what is wrong, in English and in Hebrew."""
    kind_of, said = item["type"], item["msg"]
    error = item.get("ctx", {}).get("error")
    if isinstance(error, RefusedError):
        return error.en, error.he
    if error is not None and hasattr(error, "he"):  # what the engine of formulas refuses
        return said, error.he
    said_he = f"הערך אינו מתקבל ({said})"
    if kind_of in _HE:
        said_he = _HE[kind_of].format(**item.get("ctx", {}))
    if kind_of == "extra_forbidden" and (known := _known(kind, item["loc"][:-1])):
        key = str(item["loc"][-1])
        near = get_close_matches(key, known, n=1)
        meant = near[0] if near else ", ".join(known)
        return f"{said}; known here: {meant}", f"{said_he}; מוכרים כאן: {meant}"
    return said + _EN.get(kind_of, ""), said_he


def _known(kind: Any, loc: Sequence[str | int]) -> list[str]:
    """Return the keys that a place of a schema knows; none where it takes any key."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not loc:
            return list(kind.model_fields)
        field = kind.model_fields.get(str(loc[0]))
        return _known(field.annotation, loc[1:]) if field else []
    inner = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return [key for part in inner for key in _known(part, loc)]
    if get_origin(kind) is Annotated:
        return _known(inner[0], loc)
    if get_origin(kind) in (dict, tuple) and loc:
        return _known(inner[1 if get_origin(kind) is dict else 0], loc[1:])
    return []


def _written(raw: Any, loc: Sequence[str | int]) -> list[str]:
    """Return a validator's path without steps that the file does not write: a list of one."""
    parts = []
    for key in loc:
        if isinstance(raw, Mapping) and isinstance(key, int):
            continue
        parts.append(str(key))
        held = raw if isinstance(raw, dict) else {}
        if isinstance(raw, list):
            held = dict(enumerate(raw))
        raw = held.get(key)
    return parts
