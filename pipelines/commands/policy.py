"""The whole policy of a city, and where each decision of it stands.

    python -m pipelines.commands.policy CITY

Beside each decision stands the city's file and line, or that it is a default. What is printed is a
`policy.yaml` itself, and the same policy. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pipelines.settings.city import CityError, load_city
from pipelines.settings.policy_defaults import DEFAULTS, whole_policy
from pipelines.settings.workspace import workspace


def main(arguments: list[str] | None = None) -> int:
    """Print the policy; return 0, or 2 with a sentence if the city's files are not valid."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.policy", description=__doc__
    )
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    asked = parser.parse_args(arguments).city
    folder = Path(asked) if Path(asked).is_dir() else Path(workspace(asked).city_folder)
    try:
        load_city(folder)
        text = whole_policy(folder / "policy.yaml").text(_stated_in)
    except CityError as error:
        print(error, file=sys.stderr)
        return 2
    print(text, end="")
    return 0


def _stated_in(path: Path, line: int) -> str:
    return "default" if path == DEFAULTS else f"{os.path.relpath(path)}:{line}"


if __name__ == "__main__":
    sys.exit(main())
