"""Download the open national files of a city folder: `make fetch`.

python -m pipelines.commands.fetch [--city-folder FOLDER] [--portal URL]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pipelines.sources.fetch import DATA_GOV_IL, FetchError, Portal, fetch


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every file is in place, else 1 and one sentence in each language."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.fetch", description=__doc__)
    parser.add_argument("--city-folder", type=Path, default=Path("data_raw/ashkelon_public"))
    parser.add_argument("--portal", default=os.environ.get("TIKKUN_PORTAL") or DATA_GOV_IL)
    options = parser.parse_args(arguments)
    try:
        fetch(options.city_folder, Portal(options.portal), report=print)
    except FetchError as error:
        print(error, error.he, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
