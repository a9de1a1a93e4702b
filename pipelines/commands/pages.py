"""Draw the pages of a city's current release again: `python -m pipelines.commands.pages [CITY]`.

Tables and workbook stay as they are; the release is audited and made current like any other.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipelines.publish.known import of_schools
from pipelines.publish.redraw import draw_pages
from pipelines.publish.release import ReleaseError, manifest
from pipelines.settings.city import CityError
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from pipelines.warehouse.database import Warehouse


def main(arguments: list[str] | None = None) -> int:
    """Draw and return the exit code: 0 published, 1 an error that was explained."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.pages", description=__doc__)
    parser.add_argument("city", nargs="?", help="folder under data_raw (default: demo_city)")
    space = workspace(parser.parse_args(arguments).city)
    try:
        space.city()
        with Warehouse(path=str(space.warehouse_path)).run_lock(print):
            release = draw_pages(space)
    except (CityError, ReleaseError) as error:
        print(error)
        return 1
    files = len(manifest(release)["files"])
    print(f"{files} files, pages drawn anew: {Path(space.marts_folder) / 'current'}")
    if left := of_schools(release):
        named = ", ".join(dictionary().label("audience", name) for name in left)
        print(
            f"The pages of single schools ({', '.join(left)}) are as they were; if what draws them"
            f" has changed, the next run draws them.\nדפי בתי הספר הבודדים ({named}) נשארו כפי"
            " שהיו; אם השתנה מה שמצייר אותם, הריצה הבאה תצייר אותם."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
