"""What an audience may see: no few children, and nothing that gives them back (R111).

Three steps make it. A value that stands on too few children is emptied; shares and means are
rounded to what the children behind them allow; and counts are hidden where they are small or would,
with all that is told beside them and was told before, let a small one be found (`models/privacy`).
The gate and the intruder look at what was really written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from models.privacy import ContradictionError, UnprotectedError, protect
from pipelines.publish.disclosure import (
    Attackable,
    Limits,
    Tables,
    Told,
    attackable,
    fewest_told,
    findings,
    hide,
    kept_hidden,
    known_before,
    leave_out,
    mark_of,
    read,
    round_off,
)
from pipelines.publish.remembered import Remembered
from pipelines.settings.audiences import AudienceName
from pipelines.settings.fields import dictionary

SUPPRESSED = "mart_suppressed"
_COUNTS = ("pupils", "participants")


class PrivacyError(Exception):
    """Something was about to be published that must not be."""


@dataclass(frozen=True)
class Thresholds:
    """Least pupils behind a published mean, and behind a published count."""

    mean_pupils: int
    count_pupils: int

    @property
    def limits(self) -> Limits:
        """The same for counts that hang together."""
        return Limits(self.count_pupils)


@dataclass(frozen=True)
class Protected:
    """Which counts and rounded shares are hidden.

    Attributes:
        small: of few children.
        hidden: those, and what would let one of them be found.
        known: hidden ones that follow from earlier releases or from what everybody knows.
    """

    small: frozenset[str]
    hidden: frozenset[str]
    known: frozenset[str]


def suppress(
    tables: Tables,
    audience: AudienceName,
    thresholds: Thresholds,
    protected: Protected | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the tables as an audience may see them, and for analysts what was hidden and why.

    A value that stands on fewer pupils than the threshold becomes empty, and so does a small count
    itself. Internal columns are for analysts only.

    Args:
        tables: the marts.
        audience: who reads them.
        thresholds: of this audience.
        protected: of `protect_counts` with the same thresholds; made here where there is none.

    Raises:
        PrivacyError: if a table has a personal column, or something cannot be protected.
    """
    first = without_few(tables, audience, thresholds)
    protected = protected or protect_counts(tables, thresholds)
    shown = hide(first, protected.hidden)
    if audience == "analyst":
        few = hide(first, protected.small)
        shown[SUPPRESSED] = _account(tables, (first, few, shown), len(protected.known))
    return shown


def without_few(tables: Tables, audience: AudienceName, thresholds: Thresholds) -> Tables:
    """Return the tables without what stands on few children by itself, and rounded.

    Raises:
        PrivacyError: if a table has a personal column.
    """
    fewest = fewest_told(tables, thresholds.count_pupils)
    return {
        name: round_off(
            name, leave_out(name, _suppress_one(name, frame, audience, thresholds)), fewest
        )
        for name, frame in tables.items()
    }


def protect_each(
    tables: Tables,
    thresholds: Collection[Thresholds],
    before: Mapping[Thresholds, Sequence[Told]] | None = None,
    safe: set[bytes] | None = None,
    remembered: Remembered | None = None,
) -> dict[Thresholds, Protected]:
    """Choose what to hide for readers of several thresholds.

    Who is told less hides all that who is told more hides: everybody reads what the public is told,
    and what two hide for the sake of one count must not be told by one of them each.

    Args:
        tables: the marts.
        thresholds: of all readers.
        before: what earlier releases told whoever has these thresholds, the last one first.
        safe, remembered: as in `protect_counts`.

    Raises:
        PrivacyError: if something cannot be protected.
    """
    found: dict[Thresholds, Protected] = {}
    hidden, safe = frozenset[str](), set() if safe is None else safe
    for one in sorted(set(thresholds), key=lambda one: (one.count_pupils, one.mean_pupils)):
        past = (before or {}).get(one, ())
        found[one] = protect_counts(tables, one, past, hidden, safe, remembered)
        hidden = found[one].hidden
    return found


def protect_counts(
    tables: Tables,
    thresholds: Thresholds,
    before: Sequence[Told] = (),
    also: frozenset[str] = frozenset(),
    safe: set[bytes] | None = None,
    remembered: Remembered | None = None,
) -> Protected:
    """Choose the counts to hide: small ones, and what would let them be found.

    The release is safe by itself first, then beside those before it: what these gave away is hidden
    all the same, as not every reader has them. Where it is enough, the same is hidden as in the
    last release.

    Args:
        tables: the marts.
        thresholds: of who reads them.
        before: what earlier releases told, the last one first.
        also: what is hidden from others, and so from these.
        safe: marks of what the intruder has found nothing in (`models.privacy.attack`); new ones
            are added.
        remembered: what publishing has made before, if it may be used.

    Raises:
        PrivacyError: if something cannot be protected.
    """
    limits, safe = thresholds.limits, set() if safe is None else safe
    few = without_few(tables, "analyst", thresholds)
    told = read(tables, few, thresholds.count_pupils)
    small = told.small(limits)
    first = small | also
    hidden = first | (kept_hidden(told, before[0]) if before else frozenset())
    try:
        known = frozenset[str]()
        if hidden == first or is_found_in(told.without(hidden), limits, safe):
            more, known = _alone(told.without(first), limits, safe, remembered)
            hidden = first | more
        if before:
            if both := beside(told.without(hidden), limits, before, safe):
                more, given = protect(both.system, both.loss, both.guard, safe)
                hidden = hidden | both.every(more)
                known |= both.every(given)
            known |= known_before(told, before)
    except UnprotectedError as error:
        raise PrivacyError(
            f"not published: hidden counts that nothing can protect ({error}). Ask for larger cells"
            " under `suppression:` of policy.yaml, or leave the table out.\n"
            "לא פורסם: ספירות מוסתרות שדבר אינו מגן עליהן. יש להעלות את הסף בסעיף `suppression:`"
            " של policy.yaml."
        ) from None
    return Protected(small, hidden, known & hidden)


def _alone(
    told: Told, limits: Limits, safe: set[bytes], remembered: Remembered | None
) -> tuple[frozenset[str], frozenset[str]]:
    """Return what more to hide of what is told by itself, and what nothing protects."""
    choice = mark_of(told, limits) + told.losses
    if remembered and (found := remembered.hidden(choice)):
        return found
    alone = attackable(told, limits)
    more, known = protect(alone.system, alone.loss, alone.guard, safe)
    found = alone.every(more), alone.every(known)
    if remembered:
        remembered.keep_hidden(choice, *found)
    return found


def found_in(told: Told, limits: Limits, safe: set[bytes]) -> set[str]:
    """Return what the intruder finds in what is told by itself; not looked for where a mark says
    that nothing was found in the same.
    """
    mark = mark_of(told, limits)
    return set() if mark in safe else findings(attackable(told, limits), safe, mark)


def is_found_in(told: Told, limits: Limits, safe: set[bytes]) -> bool:
    """Whether the intruder finds something; not looked for where a mark says it of the same."""
    mark = hashlib.sha256(b"found in " + mark_of(told, limits)).digest()
    if mark not in safe and found_in(told, limits, safe):
        safe.add(mark)
    return mark in safe


def beside(
    told: Told, limits: Limits, before: Sequence[Told], safe: set[bytes]
) -> Attackable | None:
    """Return what is told now beside what was told before; None where a mark says that nothing was
    found in the same.
    """
    mark = mark_of(told, limits, before)
    if mark in safe:
        return None
    both = attackable(told, limits, before)
    try:
        findings(both, safe, mark)
    except ContradictionError:  # what is counted no more was not what today's counts make it
        return attackable(told, limits, before, is_gone_known=False)
    return both


def _suppress_one(
    name: str, frame: pl.DataFrame, audience: AudienceName, thresholds: Thresholds
) -> pl.DataFrame:
    fields = dictionary().fields
    personal = [column for column in frame.columns if fields[column].privacy == "personal"]
    if personal:
        raise PrivacyError(f"{name}: personal column(s) {', '.join(personal)} cannot be published")
    if audience != "analyst":
        frame = frame.select(
            column for column in frame.columns if fields[column].privacy == "public"
        )
    changes: dict[str, pl.Expr] = {}
    for count in (column for column in frame.columns if fields[column].n_for):
        number = pl.col(count)
        small_mean = number.is_not_null() & (number < thresholds.mean_pupils)
        for column in _behind(name, count, frame):
            limit = (
                thresholds.count_pupils
                if fields[column].unit in _COUNTS
                else thresholds.mean_pupils
            )
            small = number.is_not_null() & (number < limit)
            # A value may stand on two counts; the smaller decides.
            kept = changes.get(column, pl.col(column))
            changes[column] = pl.when(small).then(None).otherwise(kept).alias(column)
        for column in _companions(frame, count):
            kept = changes.get(column, pl.col(column))
            changes[column] = pl.when(small_mean).then(None).otherwise(kept).alias(column)
        changes[count] = (
            pl.when((number > 0) & (number < thresholds.count_pupils))
            .then(None)
            .otherwise(number)
            .alias(count)
        )
    return frame.with_columns(changes.values())


def _behind(table: str, count: str, frame: pl.DataFrame) -> list[str]:
    """Return the columns of a table that stand on a count.

    Where the dictionary says what a column counts, that decides about it and its share, with what
    other tables tell, and not what a row says of itself.
    """
    fields, tellings = dictionary().fields, [t for t in dictionary().counts if t.table == table]
    numbers = {telling.number for telling in tellings}
    shares = {c for t in tellings for c in t.hides if fields[c].unit == "percent"}
    by_counts = set() if count in numbers else numbers | shares
    return [c for c in fields[count].n_for if c in frame.columns and c not in by_counts]


def _companions(frame: pl.DataFrame, count: str) -> list[str]:
    """Return the interval columns that go with a suppressed gap: they would give it away."""
    if "gap_sd" not in dictionary().fields[count].n_for:
        return []
    return [
        c
        for c in (
            "gap_se_sd",
            "gap_lo_sd",
            "gap_hi_sd",
            "p_below_target",
            "gap_sampling_sd",
            "reliability",
            "within_se_sd",
            "within_lo_sd",
            "within_hi_sd",
        )
        if c in frame.columns
    ]


def _account(tables: Tables, steps: Sequence[Tables], known: int) -> pl.DataFrame:
    """Return `mart_suppressed`: how many cells of each column are hidden or rounded, and why."""
    first, few, shown = steps
    rows = []
    for name, frame in sorted(tables.items()):
        for column in (c for c in first[name].columns if frame[c].null_count() < frame.height):
            empty = [step[name][column].null_count() for step in (tables, few, shown)]
            cells = frame.height - empty[0]
            counts = {
                "few_children": empty[1] - empty[0],
                "would_be_found": empty[2] - empty[1],
                "rounded": (frame[column] != first[name][column]).fill_null(False).sum(),
            }
            rows += [
                (name, column, reason, cells, count, 100 * count / cells)
                for reason, count in counts.items()
                if count
            ]
    if known:
        rows.append(("all", "all", "known_anyway", known, known, 100.0))
    return pl.DataFrame(
        rows,
        schema={
            "table_name": pl.String,
            "published_column": pl.String,
            "suppression_reason": pl.String,
            "cells": pl.Int32,
            "suppressed_cells": pl.Int32,
            "suppressed_pct": pl.Float64,
        },
        orient="row",
    )


def gate(tables: Tables, audience: AudienceName, thresholds: Thresholds) -> None:
    """Refuse tables that break the rule; written apart from `suppress`, so as to catch its faults.

    Raises:
        PrivacyError: naming each table and column.
    """
    fields, faults = dictionary().fields, []
    for name, frame in tables.items():
        for column in frame.columns:
            privacy = fields[column].privacy
            if privacy == "personal" or (audience != "analyst" and privacy != "public"):
                faults.append(f"{name}.{column} is {privacy}")
        pairs = [(c, column) for c in frame.columns for column in _behind(name, c, frame)]
        least = [
            thresholds.count_pupils if fields[column].unit in _COUNTS else thresholds.mean_pupils
            for _, column in pairs
        ]
        small = frame.select(
            (
                pl.col(column).is_not_null()
                & (pl.col(count) < most)
                & ((pl.col(count) > 0) | (column != count))  # nobody is not a few
            )
            .sum()
            .alias(str(at))
            for at, ((count, column), most) in enumerate(zip(pairs, least, strict=True))
        )
        found = small.row(0) if pairs else ()
        faults += [
            f"{name}.{column}: {values} value(s) on fewer than {most} pupils"
            for (_, column), most, values in zip(pairs, least, found, strict=True)
            if values
        ]
        bare = leave_out(name, frame)
        left = bare is not frame and frame.null_count().row(0) != bare.null_count().row(0)
        faults += [f"{name} tells what is not to be told at all"] if left else []
    if faults:
        raise PrivacyError("not published: " + "; ".join(faults))


def intrude(
    told: Told,
    thresholds: Thresholds,
    before: Sequence[Told] = (),
    safe: set[bytes] | None = None,
) -> None:
    """Refuse what an intruder finds a hidden count in, by itself or beside earlier releases.

    What follows from earlier releases or from what everybody knows does not block.

    Args:
        told: what readers are told, beside what is true.
        thresholds: of the audience.
        before: what earlier releases told.
        safe: as in `protect_counts`; blocks that are as they were there are not attacked again.

    Raises:
        PrivacyError: naming what is counted and how many counts, and no count.
    """
    limits, safe = thresholds.limits, set() if safe is None else safe
    found = found_in(told, limits, safe)
    found |= {name for name in told.small(limits) if told.cells[name].is_told}
    if before and (both := beside(told, limits, before, safe)):
        found |= findings(both, safe, mark_of(told, limits, before))
    if found:
        kinds = ", ".join(sorted({name.split(" ")[0] for name in found}))
        raise PrivacyError(
            f"not published: an intruder would find {len(found)} hidden count(s) of {kinds} more"
            f" nearly than by {limits.width}. The last release stays.\n"
            f"לא פורסם: אפשר לגלות {len(found)} ספירות מוסתרות. הפרסום הקודם נשאר."
        )
