"""Admission: what one file may bring into the warehouse, and in which spelling (R110, R23).

Pupil and participant ids become HMAC-SHA256 under a key that lives outside the database: in the
environment (`TIKKUN_PUPIL_KEY`) or in a file it names (`TIKKUN_PUPIL_KEY_FILE`). The demonstration
city has a public key of its own, which a real city may not use. Texts lose names and numbers of
people; a value that does not fit its column is masked too, as nobody knows what it is.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import unicodedata
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from pipelines.settings.city import CityError
from pipelines.settings.fields import Field
from pipelines.settings.mapping import SourceMapping
from pipelines.sources import personal
from pipelines.sources.normalise import normalise

DEMO_KEY = "tikkun-demonstration-key-not-for-real-pupils"
_LEAST_SIGNS = 8
_ID_DIGITS = 9
_BLOCK = 64  # bytes that SHA-256 takes at once
_MANY = 5_000  # ids whose hashes the database makes
_NO_PART_OF_AN_ID = re.compile(r"[\s'’׳\-‐-―−־]")
_WITH_EXPONENT = re.compile(r"(\d)(?:\.(\d+))?[eE]\+?0*(\d+)")


def pupil_key(*, is_synthetic: bool) -> bytes:
    """Return the key of the keyed hash.

    Raises:
        CityError: if a real city has no key, uses the demonstration key in any disguise, or one
            that is too short or repeats few signs.
    """
    key = os.environ.get("TIKKUN_PUPIL_KEY", "").strip()
    key_file = os.environ.get("TIKKUN_PUPIL_KEY_FILE", "")
    if not key and key_file:
        try:
            key = Path(key_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise CityError(
                f"{key_file}: the key file of TIKKUN_PUPIL_KEY_FILE cannot be read ({why}). Put the"
                " key there, or set TIKKUN_PUPIL_KEY.",
                f"{key_file}: לא ניתן לקרוא את קובץ המפתח של TIKKUN_PUPIL_KEY_FILE. יש לשים שם את"
                " המפתח, או לקבוע את TIKKUN_PUPIL_KEY.",
            ) from None
    if is_synthetic:
        return (key or DEMO_KEY).encode()
    if not key or _plain(DEMO_KEY) in _plain(key):
        raise CityError(
            "This city has pupil files, so it needs its own secret key: set TIKKUN_PUPIL_KEY or"
            " TIKKUN_PUPIL_KEY_FILE (at least 32 random characters, kept outside the database). The"
            " demonstration key is refused.",
            "לעיר יש קובצי תלמידים ולכן נדרש מפתח סודי משלה: TIKKUN_PUPIL_KEY או"
            " TIKKUN_PUPIL_KEY_FILE. מפתח ההדגמה אינו מתקבל.",
        )
    if len(key) < 32 or len(set(key)) < _LEAST_SIGNS:
        raise CityError(
            f"TIKKUN_PUPIL_KEY is shorter than 32 characters or repeats fewer than {_LEAST_SIGNS}"
            " different ones; use a longer random key.",
            f"המפתח הסודי קצר מ-32 תווים, או חוזר על פחות מ-{_LEAST_SIGNS} תווים שונים; יש להשתמש"
            " במפתח אקראי ארוך יותר.",
        )
    return key.encode()


def _plain(key: str) -> str:
    """Return a key without what disguises it: blanks, signs, capitals, a letter written twice."""
    letters = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", key)).casefold()
    return re.sub(r"(.)\1+", r"\1", letters)


def _are_a_childs(numbers: pl.Series) -> bool:
    """Whether any id could be a real child's: nine digits whose check digit is right.

    Those of the generator start with 99 and have a wrong one.
    """
    whole = numbers.filter(numbers.str.contains(rf"^\d{{{_ID_DIGITS}}}$"))
    # Digits of other scripts count as what they stand for; a million of ours are read at once.
    if (others := ~whole.str.contains("^[0-9]+$")).any():
        plain = [f"{int(number):0{_ID_DIGITS}}" for number in whole.filter(others)]
        whole = pl.concat([whole.filter(~others), pl.Series(plain, dtype=pl.String)])
    text = whole.str.join("").to_list()[0] if len(whole) else ""
    digits = np.frombuffer(text.encode(), np.uint8).reshape(-1, _ID_DIGITS) - ord("0")
    products = digits * (1 + np.arange(_ID_DIGITS, dtype=np.uint8) % 2)
    return bool(((products // 10 + products % 10).sum(axis=1) % 10 == 0).any())


def hash_ids(
    ids: pl.Series, *, is_synthetic: bool, hashed: dict[str, str] | None = None
) -> pl.Series:
    """Replace ids by 32 hex digits of their keyed hash; empty stays empty.

    An id that became a number (leading zeros lost, ".0" added, 3.1E+08 written out by a spreadsheet
    with all its digits) or is spelt with blanks, an apostrophe before it or a hyphen before its
    check digit is the same id.

    Args:
        ids: texts, null where empty.
        is_synthetic: whether the city is a generated one.
        hashed: hashes of ids of this city by their text, to which those of new ones are added: a
            pupil stands in dozens of files.

    Raises:
        CityError: if the city is said to be synthetic and its ids are not the generator's; as
            `pupil_key`.
    """
    known = ids.drop_nulls().unique()
    if known.is_empty():
        return ids
    key = pupil_key(is_synthetic=is_synthetic)
    new = (
        known
        if hashed is None
        else pl.Series(known.name, [text for text in known if text not in hashed], dtype=pl.String)
    )
    same = _same_ids(new)
    if is_synthetic and _are_a_childs(same):
        raise CityError(
            "city.yaml says is_synthetic: true, but there are ids that a child could have (nine"
            " digits, the check digit right); those of a generated city have a wrong one. Say"
            " is_synthetic: false and set TIKKUN_PUPIL_KEY.",
            "ב-city.yaml כתוב is_synthetic: true, אך יש מספרי זהות שיכולים להיות של ילדים. יש לכתוב"
            " is_synthetic: false ולקבוע TIKKUN_PUPIL_KEY.",
        )
    hashes = _keyed_hashes(same, key)
    if hashed is not None:
        hashed.update(zip(new, hashes, strict=True))
        hashes = pl.Series([hashed[text] for text in known], dtype=pl.String)
    # What was distinct already is not looked for again.
    return hashes if known.equals(ids) else ids.replace_strict(known, hashes, default=None)


def _same_ids(texts: pl.Series) -> pl.Series:
    """Return `same_id` of each text."""
    plain = texts.str.zfill(_ID_DIGITS)
    odd = texts.filter(~texts.str.contains("^[0-9]+$"))
    if odd.is_empty():
        return plain
    same = pl.Series([same_id(text) for text in odd], dtype=pl.String)
    return texts.replace_strict(odd, same, default=plain, return_dtype=pl.String)


def _keyed_hashes(texts: pl.Series, key: bytes) -> pl.Series:
    """Return 32 hex digits of the HMAC-SHA256 of each text; the database has many made at once."""
    if len(texts) < _MANY:
        hashes = [hmac.digest(key, text.encode(), "sha256").hex()[:32] for text in texts]
        return pl.Series(texts.name, hashes, dtype=pl.String)
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))  # RFC 2104
    with duckdb.connect() as connection:
        connection.register("given", pl.DataFrame({"id": texts}))
        return (
            connection.sql(
                "SELECT left(sha256($outer || unhex(sha256($inner || encode(id)))), 32) AS hash"
                " FROM given",
                params={"inner": inner, "outer": outer},
            )
            .pl()["hash"]
            .alias(texts.name)
        )


def same_id(text: str) -> str:
    """Return the one spelling of an id: nine digits where it is made of digits.

    12345678, 012345678, 01234567-8, '12345678, 12345678.0 and 1.2345678E+07 are one child.
    """
    if text.isdecimal() and text.isascii():
        return text.zfill(_ID_DIGITS)
    bare = _NO_PART_OF_AN_ID.sub("", text)
    if power := _WITH_EXPONENT.fullmatch(bare):
        whole, parts, exponent = power[1], power[2] or "", int(power[3])
        if len(parts) == exponent:  # with fewer, digits are lost
            bare = whole + parts
    bare = re.sub(r"\.0+$", "", bare)
    return bare.zfill(_ID_DIGITS) if bare.isdecimal() and len(bare) <= _ID_DIGITS else text


def admit(
    column: pl.Series,
    field: Field,
    mapping: SourceMapping,
    *,
    is_synthetic: bool,
    hashed: dict[str, str] | None = None,
) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Admit one column.

    Args:
        column: cleaned texts, null where empty.
        field: what the column holds.
        mapping: how its file is read.
        is_synthetic: whether the demonstration key may be used.
        hashed: as for `hash_ids`.

    Returns:
        The column in the contract's spelling, hashed or masked as the dictionary says; and for each
        repair that must be told (`code_repaired`, `personal_masked`) which rows it touched.
    """
    if field.door == "hash":
        return hash_ids(column, is_synthetic=is_synthetic, hashed=hashed), {}
    read = normalise(column, field, mapping)
    repairs = {}
    if field.digits:
        repairs["code_repaired"] = (read != column).fill_null(value=False)
    masked, is_personal = _mask(read, field)
    repairs["personal_masked"] = is_personal
    return masked, {name: touched for name, touched in repairs.items() if touched.any()}


def _mask(column: pl.Series, field: Field) -> tuple[pl.Series, pl.Series]:
    """Mask what names a person in a text, and all of a value that is no number, day or flag.

    A school or a place may bear a person's name, so names of things lose only numbers and
    addresses.

    Returns:
        The masked column, and in which rows something personal was found; that a value is merely
        unreadable is for the quarantine to tell.
    """
    is_text = field.type == "VARCHAR" and not field.allowed and not field.pattern
    suspects = column.drop_nulls().unique()
    if not is_text:
        suspects = suspects.filter(~_fits(suspects, field))
    if field.type == "VARCHAR":
        suspects = suspects.filter(suspects.str.contains(personal.HINT))
    names_a_thing = is_text and ("_name" in field.name or field.name == "provider")
    mask = personal.mask_numbers if names_a_thing else personal.mask_personal
    found = {text: without for text in suspects if (without := mask(text)) != text}
    pairs = found if field.type == "VARCHAR" else dict.fromkeys(suspects, personal.MASK)
    kept = column.replace(pairs) if pairs else column
    return kept, column.is_in(list(found)).fill_null(value=False)


def _fits(values: pl.Series, field: Field) -> pl.Series:
    """Whether values are spelt as their column's contract has it, and too short for an id.

    A sum of money may have nine digits, but it does not begin with a zero as a phone does.
    """
    if field.type == "DATE":
        return values.str.contains(r"^\d{4}-\d{2}-\d{2}$")
    if field.type == "BOOLEAN":
        return values.is_in(["true", "false"])
    if field.type != "VARCHAR":
        most = "" if field.unit == "NIS" else 8 if field.max is None else 6
        is_number = values.str.contains(rf"^-?\d{{1,{most}}}(\.\d+)?$")
        return is_number & ~values.str.contains(r"^-?0\d{1,2}\.?\d{7}$")
    if field.allowed:
        return values.is_in([str(value) for value in field.allowed])
    return values.str.contains(f"^(?:{field.pattern})$") & ~values.str.contains(r"^\d{9}$")


def header_shown(name: str) -> str:
    """Return a header, masked: where a file has no header row, its first record stands there."""
    return personal.mask_personal(name)
