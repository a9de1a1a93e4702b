"""What the raw table of a source was read from, so that files whose content is the same stay.

A raw table follows from its files, from what was read of the city's settings for it, from the key
that pupils' ids are hashed with, and from what its rows are held against. The warehouse keeps a key
over all of that beside the table (`pipelines.warehouse.stamps`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import dictionary
from pipelines.sources.admission import pupil_key
from pipelines.sources.files import REGISTRY, source_files
from pipelines.sources.follow_up import TICKETS
from pipelines.sources.quarantine import References, quarantine_query

FOLDER = ".folder"
"""The part of a city that says where it lies; what lies there is in the key."""
_RAW = re.compile(r"\braw\.raw_\w+")


def read_from(
    city: CityFolder, source_id: str, years: Sequence[int], known: References
) -> str | None:
    """Return what a source is read from now, but for the settings and other raw tables.

    Args:
        city: the city.
        source_id: the logical source.
        years: school years that are asked for.
        known: what its rows are held against.

    Returns:
        None where it is read in any case: a file is missing, or its rows are held against what is
        kept of releases.
    """
    contract = dictionary().contract(source_id).contract
    if source_id == TICKETS and source_id in city.city.sources:
        return None
    try:
        files = _files(city, source_id, years)
        named = _files(city, REGISTRY, years) if "response_id" in contract else []
        key = b""
        if files and any(dictionary().fields[name].door == "hash" for name in contract):
            key = pupil_key(is_synthetic=city.city.city.is_synthetic)
    except (CityError, OSError):
        return None  # reading says what is wrong
    held = quarantine_query(source_id, f"raw.raw_{source_id}", known)
    mark = hmac.new(key, b"raw table", "sha256").hexdigest()
    return json.dumps([source_id, sorted(years), files, named, held, mark])


def held_against(read: str, source_id: str) -> set[str]:
    """Return `layer.name` of other raw tables that are asked about a source's rows.

    Args:
        read: what `read_from` returned.
        source_id: the logical source.
    """
    return {*_RAW.findall(read)} - {f"raw.raw_{source_id}"}


def _files(
    city: CityFolder, source_id: str, years: Sequence[int]
) -> list[tuple[str, int | None, int, str]]:
    if source_id not in city.city.sources:
        return []
    return [
        (path.name, year, number, _digest(path))
        for path, year, number in source_files(city, source_id, years)
    ]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
