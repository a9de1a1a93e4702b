"""The intruder's table: what could be found of hidden counts, without the engine and with it.

    python -m tests.validation.privacy_attack all=WAREHOUSE [official=WAREHOUSE] [night=WAREHOUSE]

A warehouse is the DuckDB file of a run (`.work/<city>/warehouse.duckdb`); `all` is attacked alone,
the others beside what `all` told. Without the engine a table hides what is few in its own row.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from models.privacy import attack
from pipelines.publish.audiences import Reader, schools_of, tables_for
from pipelines.publish.disclosure import Told, attackable, hide, read
from pipelines.publish.suppression import (
    SUPPRESSED,
    Protected,
    Thresholds,
    beside,
    protect_each,
    suppress,
    without_few,
)
from pipelines.settings.audiences import AUDIENCES, Audiences
from pipelines.settings.policy_defaults import DEFAULTS
from pipelines.settings.yaml_files import read_yaml

POLICIES = {"10/5": Thresholds(10, 5), "20/10": Thresholds(20, 10)}
FIRST = "all"  # the release that others stand beside
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Attack:
    """What the intruder finds in what one audience gets of a release, beside another or alone.

    Attributes:
        attacked: hidden counts of few children, and those hidden for their sake.
        exact, near, narrower: of them, those that are known, known to within one either way, known
            more nearly than is registered; each counts those before it.
        kept_pct: of the cells that stand on enough children, those shown, in the table of fewest.
        seconds: of the processor, choosing what to hide and attacking.
    """

    attacked: int
    exact: int
    near: int
    narrower: int
    kept_pct: float
    least_kept: str
    seconds: float


def marts_of(warehouse: Path) -> dict[str, pl.DataFrame]:
    """Return the marts of a run as the warehouse holds them."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        names = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart'"
        ).fetchall()
        return {name: connection.sql(f"SELECT * FROM mart.{name}").pl() for (name,) in names}


def gets(reader: Reader, shown: Tables) -> dict[str, pl.DataFrame]:
    """Return the tables of an audience; of one of schools those of all schools together."""
    if reader.may.schools != "own":
        return tables_for(reader, shown)
    each = [tables_for(reader, shown, school) for school in schools_of(shown)]
    return {name: pl.concat([own[name] for own in each]).unique() for name in each[0]}


def attacked(
    marts: Tables, reader: Reader, before: list[Told], protected: Protected | None
) -> tuple[Attack, Told]:
    """Give an audience the marts, attack them, and return what was found and what was told.

    Args:
        marts: of the run.
        reader: for whom.
        before: what the other release told.
        protected: what is hidden; None: what is few in its own row alone.
    """
    start, thresholds = time.process_time(), reader.thresholds
    few = without_few(marts, reader.name, thresholds)
    if protected:
        shown = suppress(marts, reader.name, thresholds, protected)
        enough = gets(reader, hide(few, protected.small))
    else:
        shown = few
        enough = gets(reader, few)
    shown = gets(reader, shown)
    told = read(marts, shown, thresholds.count_pupils)
    found, targets = {}, set()
    limits = thresholds.limits
    systems = [attackable(told, limits)]
    systems += [beside(told, limits, before, set())] if before else []
    for system in systems:
        targets |= system.guard.guarded
        for count in attack(system.system, system.guard):
            width = min(count.high - count.low, found.get(count.name, limits.width))
            found[count.name] = width
    known_before = {n for t in before for n, c in t.cells.items() if c.is_told}
    widths = [width for name, width in found.items() if name not in known_before]
    kept = {
        name: 100 * cells(shown[name], frame) / total
        for name, frame in enough.items()
        if name != SUPPRESSED and (total := cells(frame, frame))
    }
    least = min(kept, key=kept.__getitem__)
    return (
        Attack(
            len(targets),
            sum(width == 0 for width in widths),
            sum(width <= 2 for width in widths),
            len(widths),
            kept[least],
            least,
            time.process_time() - start,
        ),
        told,
    )


def cells(shown: pl.DataFrame, of: pl.DataFrame) -> int:
    """Count the cells that hold something, of the columns of a table."""
    return sum(shown.height - shown[column].null_count() for column in of.columns)


def readers(thresholds: Thresholds) -> list[Reader]:
    """Return all audiences, as the policy has them where a city says nothing."""
    held = Audiences.model_validate(read_yaml(DEFAULTS)["everywhere"]["audiences"])
    return [Reader(name, held.of(name), thresholds) for name in AUDIENCES]


def table(runs: Mapping[str, Tables]) -> pl.DataFrame:
    """Attack every run for every audience and policy, without the engine and with it.

    Larger cells than the city's are those of an audience that asks for them.

    Args:
        runs: name → marts; those beside `FIRST` are published after it.
    """
    rows = []
    for policy, thresholds in POLICIES.items():
        for engine in (False, True):
            first: dict[str, Told] = {}
            for name, marts in sorted(runs.items(), key=lambda run: run[0] != FIRST):
                start, then = time.process_time(), [first["analyst"]] if first else []
                protected = (
                    protect_each(marts, POLICIES.values(), dict.fromkeys([thresholds], then))
                    if engine
                    else {}
                ).get(thresholds)
                choosing = time.process_time() - start
                said = {}
                for reader in readers(thresholds):
                    before = [first[reader.name]] if first else []
                    one, said[reader.name] = attacked(marts, reader, before, protected)
                    rows.append(
                        {
                            "policy": policy,
                            "audience": reader.name,
                            "release": name if name == FIRST else f"{name} beside {FIRST}",
                            "engine": engine,
                            **vars(one) | {"seconds": one.seconds + choosing},
                        }
                    )
                first = first or said
    return pl.DataFrame(rows)


def main(arguments: list[str]) -> None:
    """Print the table of the warehouses that are named."""
    runs = {name: marts_of(Path(path)) for name, path in (a.split("=") for a in arguments)}
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=1):
        print(table(runs))


if __name__ == "__main__":
    main(sys.argv[1:])
