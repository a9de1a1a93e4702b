"""The tables that each audience of a city reads (R105, R111–R113)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from pipelines.publish.suppression import PrivacyError, Tables, Thresholds
from pipelines.settings.audiences import (
    AUDIENCES,
    Audience,
    AudienceName,
    is_open,
)
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import CITY
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
    return tables_for_each(reader, shown, [school])[school]


def tables_for_each(
    reader: Reader, shown: Tables, schools: Collection[str]
) -> dict[str, dict[str, pl.DataFrame]]:
    """Return the tables an audience of schools gets, by school.

    Args:
        reader: the audience.
        shown: the tables after suppression for it.
        schools: codes of the readers' own schools.
    """
    every = _shown_to(reader, shown)
    return {
        school: {
            name: frame.filter(pl.col(column) == school) if column else frame
            for name, (frame, column) in every.items()
        }
        for school in schools
    }


def _shown_to(reader: Reader, shown: Tables) -> dict[str, tuple[pl.DataFrame, str]]:
    """Return the tables an audience gets, each with the column of the own school if it gets no
    other's rows.
    """
    found, codes = {}, _codes(shown)
    for name, frame in shown.items():
        own = ""
        if not reader.may.gets(name):
            continue
        if reader.may.schools != "every" and (schools := columns_of_schools(frame, codes)):
            closed = [c for c in frame.columns if not is_open(c)]
            if _has_pairs(frame, schools):
                continue  # that two schools stand together says more than its columns do
            if reader.may.schools == "bands":
                frame = frame.drop(closed)
            elif closed:
                own = schools[0]
        # A table whose key the audience may not see would be rows of nothing: it is left out.
        if set(dictionary().tables[name].key) <= set(frame.columns):
            found[name] = frame, own
    return found


def columns_of_schools(frame: pl.DataFrame, codes: Collection[str] = ()) -> list[str]:
    """Return the columns that hold schools: by their names, or by codes that are in them."""
    by_name = {
        name
        for name in frame.columns
        if "semel_mosad" in name or name in ("place", "school_or_city")
    }
    texts = [c for c, dtype in frame.schema.items() if dtype == pl.String and c not in by_name]
    holding = set()
    if codes and texts and frame.height:
        known = list(codes)
        held = frame.select(pl.col(texts).is_in(known).any()).row(0)
        holding = {name for name, is_held in zip(texts, held, strict=True) if is_held}
    return [name for name in frame.columns if name in by_name or name in holding]


def _has_pairs(frame: pl.DataFrame, schools: Sequence[str]) -> bool:
    """Whether a row names two schools."""
    named = frame.select(
        pl.when(pl.col(c).cast(pl.String) != CITY).then(pl.col(c)).alias(c) for c in schools
    )
    return any(
        (named[one] != named[other]).fill_null(value=False).any()
        for one, other in combinations(schools, 2)
    )


def _codes(tables: Tables) -> set[str]:
    """Return the codes of all schools that tables name."""
    return {
        str(code)
        for frame in tables.values()
        if "semel_mosad" in frame.columns
        for code in frame["semel_mosad"].drop_nulls().unique()
    }


def check_reader(reader: Reader, tables: Tables, school: str = "") -> None:
    """Refuse tables that tell an audience more than it may see.

    Written apart from `tables_for`, so as to catch its faults; small cells are the gate's.

    Raises:
        PrivacyError: naming the tables.
    """
    faults = sorted(set(tables) - {name for name in tables if reader.may.gets(name)})
    if reader.may.schools != "every":
        own, codes = {school} if reader.may.schools == "own" else set(), _codes(tables)
        for name, frame in tables.items():
            schools = columns_of_schools(frame, codes)
            told = [c for c in frame.columns if not is_open(c)]
            named = {str(code) for c in schools for code in frame[c].drop_nulls().unique()}
            if told and named - own:
                faults.append(f"{name} ({', '.join(told[:3])} of {len(named - own)} schools)")
            elif _has_pairs(frame, schools):
                faults.append(f"{name} (pairs of schools: {', '.join(schools)})")
    if faults:
        raise PrivacyError(f"not published: {reader.name} would see {'; '.join(faults)}")


def schools_of(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the codes of the schools that the plan is for."""
    return tables["mart_allocation_school"]["semel_mosad"].sort().to_list()
