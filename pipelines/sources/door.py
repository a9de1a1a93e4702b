"""Pseudonyms at the door: pupil ids never enter the warehouse (R110).

An id becomes HMAC-SHA256 under a key that lives outside the database: in the environment
(`TIKKUN_PUPIL_KEY`) or in a file it names (`TIKKUN_PUPIL_KEY_FILE`). The demonstration city has a
public key of its own, which a real city may not use.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import polars as pl

from pipelines.city import CityError

DEMO_KEY = "tikkun-demonstration-key-not-for-real-pupils"


def pupil_key(*, is_synthetic: bool) -> bytes:
    """Return the key of the keyed hash.

    Raises:
        CityError: if a real city has no key, or uses the demonstration key.
    """
    key = os.environ.get("TIKKUN_PUPIL_KEY", "")
    key_file = os.environ.get("TIKKUN_PUPIL_KEY_FILE", "")
    if not key and key_file:
        key = Path(key_file).read_text(encoding="utf-8").strip()
    if is_synthetic:
        return (key or DEMO_KEY).encode()
    if not key or key == DEMO_KEY:
        raise CityError(
            "This city has pupil files, so it needs its own secret key: set TIKKUN_PUPIL_KEY or TIKKUN_PUPIL_KEY_FILE (at least 32 random characters, kept outside the database). The demonstration key is refused.",
            "לעיר יש קובצי תלמידים ולכן נדרש מפתח סודי משלה: TIKKUN_PUPIL_KEY או TIKKUN_PUPIL_KEY_FILE. מפתח ההדגמה אינו מתקבל.",
        )
    if len(key) < 32:
        raise CityError(
            "TIKKUN_PUPIL_KEY is shorter than 32 characters; use a longer random key.",
            "המפתח הסודי קצר מ-32 תווים; יש להשתמש במפתח אקראי ארוך יותר.",
        )
    return key.encode()


def hash_column(rows: pl.DataFrame, name: str, *, is_synthetic: bool) -> pl.DataFrame:
    """Replace a column of ids by 32 hex digits of their keyed hash; empty stays empty."""
    ids = rows[name].drop_nulls().unique().sort()
    if ids.is_empty():
        return rows
    key = pupil_key(is_synthetic=is_synthetic)
    hashes = [hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32] for value in ids]
    return rows.with_columns(pl.col(name).replace_strict(ids, pl.Series(hashes), default=None))
