"""The tables that each audience of a city reads (R105, R111–R113)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.publish.suppression import PrivacyError, Tables, Thresholds
from pipelines.settings.audiences import (
    AUDIENCES,
    Audience,
    AudienceName,
    columns_of_schools,
    is_open,
)
from pipelines.settings.fields import dictionary
from pipelines.settings.policy import Policy


@dataclass(frozen=True)
class Reader:
    """An audience, what it may see, and from how many children on."""

    name: AudienceName
    may: Audience
    thresholds: Thresholds


def readers_of(policy: Policy) -> tuple[Reader, ...]:
    """Return the audiences that get anything, analysts first."""
    common = policy.suppression
    found = []
    for name in AUDIENCES:
        may = policy.audiences.of(name)
        mean, count = may.mean_pupils or common.mean_pupils, may.count_pupils or common.count_pupils
        if may.tables:
            found.append(Reader(name, may, Thresholds(mean.value, count.value)))
    return tuple(found)


def tables_for(reader: Reader, shown: Tables, school: str = "") -> dict[str, pl.DataFrame]:
    """Return the tables an audience gets.

    Args:
        reader: the audience.
        shown: the tables after suppression for it.
        school: code of the reader's own school, where the audience is of a school.
    """
    found = {}
    for name, frame in shown.items():
        if not reader.may.gets(name):
            continue
        if reader.may.schools != "every" and (schools := columns_of_schools(frame.columns)):
            closed = [c for c in frame.columns if not is_open(c)]
            if reader.may.schools == "bands":
                frame = frame.drop(closed)
            elif closed:
                frame = frame.filter(pl.col(schools[0]) == school).drop(schools[1:])
        # A table whose key the audience may not see would be rows of nothing: it is left out.
        if set(dictionary().tables[name].key) <= set(frame.columns):
            found[name] = frame
    return found


def check_reader(reader: Reader, tables: Tables, school: str = "") -> None:
    """Refuse tables that tell an audience more than it may see.

    Written apart from `tables_for`, so as to catch its faults; small cells are the gate's.

    Raises:
        PrivacyError: naming the tables.
    """
    faults = sorted(set(tables) - {name for name in tables if reader.may.gets(name)})
    if reader.may.schools != "every":
        for name, frame in tables.items():
            told = [c for c in frame.columns if not is_open(c)]
            others = _schools_told(frame) - ({school} if reader.may.schools == "own" else set())
            if told and others:
                faults.append(f"{name} ({', '.join(told[:3])} of {len(others)} schools)")
    if faults:
        raise PrivacyError(f"not published: {reader.name} would see {'; '.join(faults)}")


def _schools_told(frame: pl.DataFrame) -> set[str]:
    columns = columns_of_schools(frame.columns)
    return {str(value) for c in columns for value in frame[c].drop_nulls().unique()}


def schools_of(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the codes of the schools that the plan is for."""
    return tables["mart_allocation_school"]["semel_mosad"].sort().to_list()
