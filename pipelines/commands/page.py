"""The Dagster page of the city that the environment names, behind the door (`pipelines.guard`).

python -m pipelines.commands.page [--host 127.0.0.1] [--port 3000] [--view]
"""

from __future__ import annotations

import argparse
import sys

from pipelines.guard import serve
from pipelines.settings.city import CityError
from pipelines.settings.workspace import PROJECT, workspace


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; return 0, or 1 if the page may not be served so."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.page", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--view", action="store_true", help="show only: nothing can be started")
    asked = parser.parse_args(arguments)
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    from pipelines.warehouse.run_store import instance

    target = ModuleTarget("pipelines.definitions", None, str(PROJECT), None)
    with (
        instance(workspace()) as history,
        WorkspaceProcessContext(
            history, target, version=__version__, read_only=asked.view
        ) as served,
    ):
        try:
            serve(create_app_from_workspace_process_context(served), asked.host, asked.port)
        except CityError as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
