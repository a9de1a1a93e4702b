"""Where a run finds its city and leaves its results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.settings.city import CityFolder, load_city

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_CITY = "demo_city"
KNOWN = "known"
"""Beside the releases: what is kept of each for ever (`pipelines.publish.known`)."""
PUBLISHED = "published.txt"
"""Beside the releases: the id of each that was ever published, one a line."""


@dataclass(frozen=True)
class Workspace:
    """One city's folders.

    Attributes:
        city_folder: the city's raw folder (`data_raw/<city>`).
        marts_folder: where its releases are published (`data_marts/<city>`).
        work_folder: its working warehouse and locks; nobody but the pipeline reads it.
        scope: which schools the plan covers, `official` or `all`; as city.yaml says if not given
            (R3).
    """

    city_folder: str
    marts_folder: str
    work_folder: str
    scope: str | None = None

    def city(self) -> CityFolder:
        """Read and validate the city's two files."""
        return load_city(Path(self.city_folder)).within(self.scope)

    @property
    def name(self) -> str:
        """The city's name among folders."""
        return Path(self.city_folder).name

    @property
    def warehouse_path(self) -> Path:
        """The working DuckDB file."""
        return Path(self.work_folder) / "warehouse.duckdb"

    def published(self) -> tuple[str, ...] | None:
        """Return the ids of all releases ever published, pruned ones among them.

        None where no register of them is kept, as before the first.
        """
        register = Path(self.marts_folder) / PUBLISHED
        if not register.is_file():
            return None
        kept = {one.record.release for one in self.city().decided}
        return tuple(sorted({*register.read_text(encoding="utf-8").split(), *kept}))

    @property
    def known_folder(self) -> Path:
        """The folder of what is kept of every release, also of those that were pruned."""
        return Path(self.marts_folder) / KNOWN

    @property
    def runs_folder(self) -> Path:
        """The folder of the history of its runs (DAGSTER_HOME).

        `TIKKUN_DAGSTER` moves the folder that holds those of all cities.
        """
        above = Path(os.environ.get("TIKKUN_DAGSTER") or PROJECT / ".dagster").resolve()
        return above / self.name

    @property
    def memory_path(self) -> Path:
        """The folder of what each step has made (`pipelines.warehouse.memory`)."""
        return Path(self.work_folder) / "memory"


def workspace(city: str | None = None, scope: str | None = None) -> Workspace:
    """Return the workspace of a city: the one named, `TIKKUN_CITY`, or the demonstration city.

    `TIKKUN_DATA_RAW`, `TIKKUN_DATA_MARTS` and `TIKKUN_WORK` move the three folders; `TIKKUN_SCOPE`
    gives the scope where none is given.
    """
    name = city or os.environ.get("TIKKUN_CITY") or DEFAULT_CITY
    folders = {
        "city_folder": ("TIKKUN_DATA_RAW", "data_raw"),
        "marts_folder": ("TIKKUN_DATA_MARTS", "data_marts"),
        "work_folder": ("TIKKUN_WORK", ".work"),
    }
    return Workspace(
        scope=scope or os.environ.get("TIKKUN_SCOPE") or None,
        **{
            field: str(Path(os.environ.get(variable) or PROJECT / default).resolve() / name)
            for field, (variable, default) in folders.items()
        },
    )
