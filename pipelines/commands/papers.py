"""Make the papers of a city's current release: `python -m pipelines.commands.papers [CITY]`.

They stand in `data_marts/<city>/papers/<release>`; the release stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipelines.publish.papers.make import MANIFEST, make_papers
from pipelines.publish.release import ReleaseError, manifest, verify
from pipelines.settings.city import CityError
from pipelines.settings.workspace import workspace


def main(arguments: list[str] | None = None) -> int:
    """Make them and return the exit code: 0 made, 1 an error that was explained."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.papers", description=__doc__
    )
    parser.add_argument("city", nargs="?", help="folder under data_raw (default: demo_city)")
    space = workspace(parser.parse_args(arguments).city)
    marts = Path(space.marts_folder)
    try:
        release = verify(marts)
        city = space.city().within(manifest(release).get("scope"))
        folder = make_papers(marts, release, city)
    except (CityError, ReleaseError) as error:
        print(error)
        return 1
    print(f"papers of release {release.name}: {folder}")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            print(f"  {path.relative_to(folder)}  {path.stat().st_size / 1000:,.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
