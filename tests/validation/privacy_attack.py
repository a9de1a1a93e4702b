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
from pipelines.publish.disclosure import Told, attackable, hide, read
from pipelines.publish.suppression import (
    SUPPRESSED,
    Thresholds,
    beside,
    protect_counts,
    suppress,
    without_few,
)
from pipelines.settings.audiences import WHOLE, AudienceName

POLICIES = {"10/5": Thresholds(10, 5), "20/10": Thresholds(20, 10)}
FIRST = "all"  # the release that others stand beside
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Attack:
    """What the intruder finds in one release, beside another or alone.

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


def attacked(
    marts: Tables,
    audience: AudienceName,
    thresholds: Thresholds,
    before: list[Told],
    *,
    engine: bool,
) -> tuple[Attack, Told]:
    """Publish the marts for an audience, attack them, and return what was found and what was told.

    Args:
        marts: of the run.
        audience, thresholds: for whom.
        before: what the other release told.
        engine: whether more is hidden than what is few by itself.
    """
    start = time.process_time()
    few = without_few(marts, audience, thresholds)
    if engine:
        protected = protect_counts(marts, thresholds, before)
        shown = suppress(marts, audience, thresholds, protected)
        enough = hide(few, protected.small)
    else:
        shown = enough = few
    told = read(marts, shown)
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


def table(runs: Mapping[str, Tables]) -> pl.DataFrame:
    """Attack every run for every audience and policy, without the engine and with it.

    Args:
        runs: name → marts; those beside `FIRST` are published after it.
    """
    rows = []
    for policy, thresholds in POLICIES.items():
        runs = {name: under(marts, thresholds) for name, marts in runs.items()}
        for audience in WHOLE:  # others are told a part of it
            for engine in (False, True):
                told: list[Told] = []
                for name, marts in sorted(runs.items(), key=lambda run: run[0] != FIRST):
                    one, said = attacked(marts, audience, thresholds, told, engine=engine)
                    told = told or [said]
                    rows.append(
                        {
                            "policy": policy,
                            "audience": audience,
                            "release": name if name == FIRST else f"{name} beside {FIRST}",
                            "engine": engine,
                            **vars(one),
                        }
                    )
    return pl.DataFrame(rows)


def under(marts: Tables, thresholds: Thresholds) -> Tables:
    """Return the marts as if the policy asked for so many pupils; need keeps its own rounding."""
    is_count = pl.col("parameter_id") == "policy.suppression.count_pupils"
    value = (
        pl.when(is_count).then(pl.lit(str(thresholds.count_pupils))).otherwise("parameter_value")
    )
    parameters = marts["mart_parameter"].with_columns(parameter_value=value)
    return {**marts, "mart_parameter": parameters}


def main(arguments: list[str]) -> None:
    """Print the table of the warehouses that are named."""
    runs = {name: marts_of(Path(path)) for name, path in (a.split("=") for a in arguments)}
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=1):
        print(table(runs))


if __name__ == "__main__":
    main(sys.argv[1:])
