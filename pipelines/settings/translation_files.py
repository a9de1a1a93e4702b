"""Where a city keeps its translations of pages and forms: `<city>/translations/<language>.xlsx`.

Or `.csv`. Only what is found is said here; how they are read, in `pipelines.publish.translations`.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = "translations"


def translation_files(city_folder: Path) -> list[Path]:
    """Return the files of that folder, in order; those that an office programme hides are none."""
    found = (city_folder / FOLDER).glob("*")
    return sorted(path for path in found if path.is_file() and path.name[0] not in ".~")
