"""The scenario studio of a city, behind the door (`pipelines.guard`).

python -m pipelines.commands.studio [CITY] [--host 127.0.0.1] [--port 3000] [--view]
"""

from __future__ import annotations

import argparse
import os
import sys

from pipelines.guard import VIEW, serve
from pipelines.settings.city import CityError
from pipelines.settings.workspace import PROJECT, workspace

NOTEBOOK = PROJECT / "notebooks" / "scenario_studio.py"


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; return 0, or 1 if the studio may not be served so."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.studio", description=__doc__
    )
    parser.add_argument("city", nargs="?", help="folder under data_raw (default: demo_city)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument(
        "--view", action="store_true", help="drafts only: nothing is saved or decided"
    )
    asked = parser.parse_args(arguments)
    space = workspace(asked.city)
    os.environ["TIKKUN_CITY"] = space.name
    os.environ[VIEW] = "yes" if asked.view else ""
    import marimo

    app = marimo.create_asgi_app(quiet=True).with_app(path="", root=str(NOTEBOOK)).build()
    try:
        print(f"{space.name}: http://{asked.host}:{asked.port}", flush=True)
        serve(app, asked.host, asked.port)
    except CityError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
