"""What readers are told of counts of children, as the whole numbers that the intruder works on.

The dictionary says which columns tell which counts (`counts:`); here their cells become a
`models.privacy.System`: equal counts of several tables are one unknown, parts add up to their whole
where they do in the data, a part is at most what it is a part of, and a rounded share is a pair of
rows. Releases before, of either scope, add what they told (R111).
"""

from __future__ import annotations

import hashlib
import marshal
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import chain, zip_longest

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from models.privacy import (
    Guard,
    System,
    attack,
    banded,
    coded,
    coded_ends,
    mean_step,
    rounded,
    share_ends,
    share_step,
    wilson,
)
from models.quarters import with_quartile
from pipelines.settings.fields import Rounding, Telling, dictionary

_FEWEST = 5  # the least that a policy may ask for
_CELL = 1000  # what hiding a cell costs, beside the size of its count
_ZERO = 4 * _CELL  # a zero says most, and hides least
_OF_WHOLE = 10  # so many parts a whole is worth
_SLACK = 1e-6
_WITHIN = "/"  # behind a school year: a part of it
_STREAM = "stream"  # groups of schools, which no scope divides

Coordinates = tuple[tuple[str, str], ...]
Sum = tuple[str, tuple[str, ...]]
"""A whole and its parts."""
Tables = Mapping[str, pl.DataFrame]
Row = tuple[str, Mapping[str, float], float, float]
"""As `System.of` takes it."""


_SUMS: dict[object, tuple[tuple[Sum, ...], tuple[Sum, ...]]] = {}
_SUMS_KEPT = 4


@dataclass(frozen=True)
class Limits:
    """Least children behind a published count, and how wide a hidden one must stay.

    Source: `suppression` of policy.yaml; a hidden count below 5 may be any of 1 to 4.
    """

    count_pupils: int

    @property
    def width(self) -> int:
        """High less low that the intruder must leave of a hidden count."""
        return self.count_pupils - 2

    def is_small(self, value: int | None) -> bool:
        """Whether a count tells of few children; none is not few."""
        return value is not None and 0 < value < self.count_pupils


@dataclass
class Cell:
    """One count: how many there are, whether readers see it, and what hiding it costs."""

    count: str
    at: Coordinates
    of: str = ""
    value: int | None = None
    is_told: bool = False
    is_in_tables: bool = False
    is_public: bool = False
    loss: int = 0


@dataclass(frozen=True)
class Told:
    """The counts and rounded shares that one set of tables tells.

    Attributes:
        cells: name → count.
        shares: (name of the row, part, whole, least and most share in percent).
        dimension: of each group.
        years: of the window.
        stream: of each school.
        fixed: names of the rows that are told whatever they tell, as other tables are made of them.
        coded: names of the rows of shares that are one band where they tell of few.
        answers: the responses that answer each need.
        quarter: the need quarter of each school, as payments of parents are told.
    """

    cells: dict[str, Cell]
    shares: tuple[tuple[str, str, str, float, float], ...]
    dimension: Mapping[str, str]
    years: frozenset[str]
    stream: Mapping[str, str] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    coded: frozenset[str] = frozenset()
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quarter: Mapping[str, str] = field(default_factory=dict)

    def small(self, limits: Limits) -> frozenset[str]:
        """Return the counts of few children, but those that everybody knows."""
        cells = self.cells.items()
        return frozenset(n for n, c in cells if limits.is_small(c.value) and not c.is_public)

    def without(self, names: Collection[str]) -> Told:
        """The same with these counts and rounded shares not told."""
        cells = {
            name: replace(cell, is_told=cell.is_told and name not in names)
            for name, cell in self.cells.items()
        }
        shares = tuple(share for share in self.shares if share[0] not in names)
        return replace(self, cells=cells, shares=shares)

    def is_part_of(self, whole: Told) -> bool:
        """Whether all that is told here is told there too, shares at least as finely."""
        ends = {share[:3]: share[3:] for share in whole.shares}
        nothing = math.inf, -math.inf
        return all(
            low <= ends.get((row, part, of), nothing)[0] + _SLACK
            and high >= ends.get((row, part, of), nothing)[1] - _SLACK
            for row, part, of, low, high in self.shares
        ) and all(
            name in whole.cells
            and whole.cells[name].is_told
            and whole.cells[name].value == cell.value
            for name, cell in self.cells.items()
            if cell.is_told
        )

    @cached_property
    def digest(self) -> bytes:
        """A hash over all that an attack on it depends on."""
        cells = [
            (name, c.count, c.at, c.of, c.value, c.is_told, c.is_in_tables, c.is_public)
            for name, c in self.cells.items()
        ]
        beside = [
            sorted(held.items())
            for held in (self.dimension, self.stream, self.answers, self.quarter)
        ]
        held = (cells, self.shares, beside, sorted(self.years))
        return hashlib.sha256(marshal.dumps(held, 0)).digest()  # 0: equal values, equal bytes

    @property
    def losses(self) -> bytes:
        """A hash over what else the choice of what to hide depends on."""
        held = [cell.loss for cell in self.cells.values()], sorted(self.fixed), sorted(self.coded)
        return hashlib.sha256(marshal.dumps(held, 0)).digest()

    def beside(self, other: Told) -> Told:
        """What readers of both are told. Of a share both are kept, as each bounds it."""
        cells = dict(self.cells)
        for name, cell in other.cells.items():
            own = cells.get(name, cell)
            told = cell if cell.is_told and not own.is_told else own
            cells[name] = replace(
                told,
                value=cell.value if told.value is None else told.value,
                is_in_tables=own.is_in_tables or cell.is_in_tables,
            )
        return Told(
            cells,
            tuple(dict.fromkeys((*self.shares, *other.shares))),
            {**other.dimension, **self.dimension},
            self.years | other.years,
            {**other.stream, **self.stream},
            self.fixed | other.fixed,
            self.coded | other.coded,
            {**other.answers, **self.answers},
            {**other.quarter, **self.quarter},
        )

    @cached_property
    def sums(self) -> tuple[Sum, ...]:
        """Wholes, and the parts of each that do not overlap."""
        beside, quarters = self._by_name
        return (*beside, *self._streams, *quarters)

    @property
    def _by_name(self) -> tuple[tuple[Sum, ...], tuple[Sum, ...]]:
        """Wholes and their parts by what they are called: of an axis, and of need quarters.

        What they are follows from the names alone, which most audiences are told alike.
        """
        said = (
            tuple(self.cells),
            self.years,
            tuple(sorted(self.dimension.items())),
            tuple(sorted(self.quarter.items())),
        )
        if said not in _SUMS:
            while len(_SUMS) >= _SUMS_KEPT:
                del _SUMS[next(iter(_SUMS))]
            _SUMS[said] = tuple(self._beside), tuple(self._quarters)
        return _SUMS[said]

    @property
    def _beside(self) -> Iterator[Sum]:
        """Yield wholes of an axis, and the parts of each that do not overlap."""
        wholes = dictionary().wholes
        beside: dict[tuple[str, str, Coordinates], dict[str, str]] = defaultdict(dict)
        for name, cell in self.cells.items():
            at = [(axis, _bare(value)) for axis, value in cell.at]
            for place, (axis, value) in enumerate(at):
                if axis in wholes:
                    others = (*at[:place], *at[place + 1 :])
                    beside[cell.count, axis, others][value] = name
        for (_, axis, _), members in sorted(beside.items()):
            if (whole := members.pop(wholes[axis], None)) is None:
                continue
            parts: dict[str, list[str]] = defaultdict(list)
            for value, name in sorted(members.items()):
                if axis != "school_year" or value.split(_WITHIN)[0] in self.years:
                    parts[self.dimension.get(value, value) if axis == "group" else ""].append(name)
            for _, names in sorted(parts.items()):
                yield whole, tuple(names)

    @property
    def _streams(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield what a stream tells of the whole city, and the schools that are it."""
        wholes = dictionary().wholes
        schools: dict[tuple[str, str, Coordinates], list[str]] = defaultdict(list)
        streams: dict[tuple[str, str, Coordinates], str] = {}
        for name, cell in sorted(self.cells.items()):
            if not {"group", "place"} <= {axis for axis, _ in cell.at}:
                continue
            at = dict(cell.at)
            group, place = at.pop("group"), _bare(at.pop("place"))
            others = tuple(at.items())
            if place == wholes["place"] and self.dimension.get(group) == _STREAM:
                streams[cell.count, group, others] = name
            elif group == wholes["group"] and place in self.stream:
                schools[cell.count, self.stream[place], others].append(name)
        called = self._called(streams, schools)
        for (count, group, others), whole in streams.items():
            if parts := schools.get((count, called.get(group, group), others)):
                yield whole, tuple(parts)

    def _called(
        self,
        streams: Mapping[tuple[str, str, Coordinates], str],
        schools: Mapping[tuple[str, str, Coordinates], Collection[str]],
    ) -> dict[str, str]:
        """Return what the register calls a stream that the city calls otherwise: the one whose
        schools make all that is told of it, if there is one.
        """
        found: dict[str, str] = {}
        registered = sorted(set(self.stream.values()))
        for group in sorted({group for _, group, _ in streams} - set(registered)):
            fits = []
            for stream in registered:
                sums = [
                    (self.cells[whole].value, [self.cells[part].value for part in parts])
                    for (count, of, others), whole in streams.items()
                    if of == group and (parts := schools.get((count, stream, others)))
                ]
                known = [
                    (w, sum(filter(None, p))) for w, p in sums if w is not None and None not in p
                ]
                if known and all(whole == parts for whole, parts in known):
                    fits.append(stream)
            if len(fits) == 1:
                found[group] = fits[0]
        return found

    @property
    def _quarters(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield what is told of who paid in a need quarter, and in its schools."""
        schools: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, cell in sorted(_of(self.cells, "payers")):
            at = dict(cell.at)
            is_of_all = at.get("response") == dictionary().wholes["response"]
            if is_of_all and at["place"] in self.quarter:
                schools[self.quarter[at["place"]], at["school_year"]].append(name)
        for name, cell in sorted(_of(self.cells, "quarter_payers")):
            at = dict(cell.at)
            if (at["quarter"], at["school_year"]) in schools:
                yield name, tuple(schools[at["quarter"], at["school_year"]])

    @property
    def reaches(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield whom the responses to a need reach in a school, and who takes part in each."""
        parts = {
            (at["place"], at["response"], at["group"]): name
            for name, cell in _of(self.cells, "participants")
            if (at := dict(cell.at))
        }
        for name, cell in sorted(_of(self.cells, "reached")):
            at = dict(cell.at)
            each = [(at["place"], r, at["group"]) for r in self.answers.get(at["need"], ())]
            if each and all(one in parts for one in each):
                yield name, tuple(parts[one] for one in each)


def _of(cells: Mapping[str, Cell], count: str) -> Iterator[tuple[str, Cell]]:
    """Yield the cells of a count, by name."""
    return ((name, cell) for name, cell in cells.items() if cell.count == count)


def read(tables: Tables, shown: Tables | None = None, own: int = 0) -> Told:
    """Return what tables tell.

    Args:
        tables: as they are; of a release of former days as analysts were shown it.
        shown: the same as readers would get them; as `tables` if None.
        own: the smallest count that these readers are told.
    """
    shown = tables if shown is None else shown
    cells: dict[str, Cell] = {}
    shares, by_share, fixed, bands = [], set(), set(), set()
    every = dictionary().wholes
    fewest = fewest_told(tables, own)
    for telling in dictionary().counts:
        if not _is_there(telling, tables) or not _is_there(telling, shown):
            continue
        key, rounding = list(dictionary().tables[telling.table].key), _rounding(telling)
        seen = shown[telling.table].select(*key, seen=telling.column)
        frame = (
            tables[telling.table]
            .filter(within(telling.where))
            .join(seen, on=key, how="left", maintain_order="left")
        )
        at, of = _at(telling.count, telling, tables), _at(telling.of, telling, tables)
        rows = frame.select(
            name=_name(telling.count, at),
            of=_name(telling.of, of) if telling.of else pl.lit(""),
            value=_turned(telling, pl.coalesce(telling.column, "seen")),
            seen="seen",
            low=_end(telling, fewest, 0),
            high=_end(telling, fewest, 1),
            **{f"at {axis}": value for axis, value in at.items()},
        ).filter(pl.col("name").is_not_null())
        for name, of_name, value, told, low, high, *where in rows.iter_rows():
            if (known := cells.get(name)) is None:
                known = Cell(telling.count, tuple(zip(at, where, strict=True)))
            if telling.money:
                cell = cells.setdefault(name, known)
                cell.is_told |= told is not None
                cell.is_in_tables = True
                cell.loss += telling.loss * _CELL
                continue
            if telling.share:
                whole = cells[of_name].value if of_name in cells else None
                is_known = value is not None and whole is not None
                value = round(value * whole / 100) if is_known else None
                if name not in cells:
                    by_share.add(name)
            elif value is not None and name in cells and cells[name].value not in (None, value):
                continue  # another count than it was taken for
            cell = cells.setdefault(name, known)
            cell.of = cell.of or of_name
            cell.value = value if cell.value is None else cell.value
            if rounding:
                if told is not None:
                    shares.append((_row(telling, name), name, of_name, low, high))
                    fixed |= set() if telling.loss else {_row(telling, name)}
                    bands |= {_row(telling, name)} if rounding.coded else set()
                continue
            cell.is_told |= told is not None
            cell.is_in_tables = True
            cell.is_public |= telling.loss == 0
            wholes = sum(_bare(end) == every.get(axis) for axis, end in cell.at)
            size = min(cell.value, _CELL - 1) if cell.value else _ZERO
            cell.loss += telling.loss * (_CELL + size) * _OF_WHOLE**wholes
    told = Told(
        cells,
        tuple(shares),
        _dimension(tables),
        _years(tables),
        _stream(tables),
        frozenset(fixed),
        frozenset(bands),
        _answers(tables),
        _quarter(tables),
    )
    _count_by_parts(told, by_share)
    _count_payers(told)
    return told


def _count_by_parts(told: Told, names: Collection[str]) -> None:
    """Put in how many they truly are, where a table has but a rounded share of several years."""
    ends = {part: (whole, low, high) for _, part, whole, low, high in told.shares}
    for name, parts in told.sums:
        if name in names and name in ends:
            whole, low, high = ends[name]
            of = told.cells[whole].value or 0
            values = [told.cells[part].value for part in parts]
            known = [value for value in values if value is not None]
            if len(known) == len(values) and low * of <= 100 * sum(known) <= high * of:
                told.cells[name].value = sum(known)


def _count_payers(told: Told) -> None:
    """Put in how many paid what a quarter paid; where that is not known, it tells of nobody."""
    for name, parts in told._quarters:
        values = [told.cells[part].value for part in parts]
        known = [value for value in values if value is not None]
        told.cells[name].value = sum(known) if len(known) == len(values) else None


def together(releases: Iterable[Sequence[Told]]) -> list[Told]:
    """Return what the readers of several rows of releases were told together, the last one first.

    Args:
        releases: what each of the readers was told by the same releases.
    """
    return [
        reduce(Told.beside, (told for told in each if told is not None))
        for each in zip_longest(*releases)
    ]


def hide(shown: Tables, names: Collection[str]) -> dict[str, pl.DataFrame]:
    """Return the tables without these counts and shares, and without what else tells them."""
    found = dict(shown)
    for telling in dictionary().counts:
        if not _is_there(telling, found):
            continue
        name = _name(telling.count, _at(telling.count, telling, found))
        row = pl.format("{}.{} {}", pl.lit(telling.table), pl.lit(telling.column), name)
        is_hidden = (row if _rounding(telling) else name).is_in(list(names))
        frame = found[telling.table]
        columns = [c for c in (telling.column, *telling.hides) if c in frame.columns]
        found[telling.table] = frame.with_columns(
            pl.when(~(is_hidden & within(telling.where)).fill_null(False)).then(pl.col(columns))
        )
    return found


def left_beside(tables: Tables, shown: Tables) -> list[str]:
    """Return the columns that tell a count and are shown where the count is hidden.

    Args:
        tables: as they are.
        shown: the same as readers would get them.
    """
    found = set[str]()
    for telling in dictionary().counts:
        if not _is_there(telling, tables) or not _is_there(telling, shown):
            continue
        key = list(dictionary().tables[telling.table].key)
        beside = [c for c in telling.hides if c in shown[telling.table].columns]
        true = tables[telling.table].filter(
            within(telling.where), pl.col(telling.column).is_not_null()
        )
        seen = shown[telling.table].select(*key, *{telling.column, *beside})
        hidden = seen.join(true.select(key), on=key, how="semi", nulls_equal=True).filter(
            pl.col(telling.column).is_null()
        )
        found |= {f"{telling.table}.{c}" for c in beside if hidden[c].count()}
    return sorted(found)


def _is_there(telling: Telling, tables: Tables) -> bool:
    """Whether a table and all that the telling reads of it are there."""
    return telling.table in tables and telling.reads <= set(tables[telling.table].columns)


def _dimension(tables: Tables) -> dict[str, str]:
    """Return the dimension of each group; the groups of one do not overlap."""
    if "mart_group" not in tables:
        return {}
    return dict(tables["mart_group"].select("group_id", "group_dimension").iter_rows())


def _stream(tables: Tables) -> dict[str, str]:
    """Return the stream of each school, which everybody knows."""
    if "mart_need_index" not in tables:
        return {}
    return dict(tables["mart_need_index"].select("semel_mosad", "stream").iter_rows())


def _answers(tables: Tables) -> dict[str, tuple[str, ...]]:
    """Return the responses that answer each need, as its row names them."""
    if not {"mart_unmet_need", "mart_response"} <= tables.keys():
        return {}
    said = tables["mart_unmet_need"].select("need_id", "answers_he").drop_nulls().unique()
    names = tables["mart_response"].select("response_id", "response_name_he").sort("response_id")
    return {
        need: tuple(r for r, name in names.iter_rows() if f", {name}, " in f", {answers}, ")
        for need, answers in said.iter_rows()
    }


def _quarter(tables: Tables) -> dict[str, str]:
    """Return the need quarter of each school, as the need index gives it to everybody."""
    if not {"mart_need_index", "mart_parents_plan"} <= tables.keys():
        return {}
    index = with_quartile(tables["mart_need_index"])
    return dict(index.select("semel_mosad", pl.col("need_quartile").cast(pl.String)).iter_rows())


def _years(tables: Tables) -> frozenset[str]:
    """Return the school years of the window."""
    if "mart_city" not in tables:
        return frozenset()
    first, last = tables["mart_city"].select("window_first_year", "window_last_year").row(0)
    return frozenset(map(str, range(first, last + 1)))


def _at(count: str, telling: Telling, tables: Tables) -> dict[str, pl.Expr]:
    """Return the coordinates of a count in the rows of a telling, in canonical order."""
    wholes = dictionary().wholes
    axes = sorted({axis for told in dictionary().counts if told.count == count for axis in told.at})
    at = {
        axis: pl.sql_expr(telling.at[axis]).cast(pl.String)
        if axis in telling.at
        else pl.lit(wholes.get(axis, ""))
        for axis in axes
    }
    if "place" in at:
        scope = tables["mart_city"]["scope"][0] if "mart_city" in tables else ""
        streams = [group for group, of in _dimension(tables).items() if of == _STREAM]
        # Another scope has other schools; but a stream lies within one.
        is_of_scope = at["place"] == wholes["place"]
        if "group" in at:
            is_of_scope &= ~at["group"].is_in(streams)
        in_scope = at["place"] + pl.lit(f"@{scope}")
        at["place"] = pl.when(is_of_scope).then(in_scope).otherwise(at["place"])
    return at


def _name(count: str, at: Mapping[str, pl.Expr]) -> pl.Expr:
    parts = chain.from_iterable((pl.lit(f" {axis}="), value) for axis, value in at.items())
    return pl.concat_str(pl.lit(count), *parts)


def _row(telling: Telling, name: str) -> str:
    return f"{telling.table}.{telling.column} {name}"


def _rounding(telling: Telling) -> Rounding | None:
    """Return how a share is rounded; None where it is told as it is."""
    rules = (r for r in dictionary().rounded if r.table == telling.table and r.share_of)
    return next((r for r in rules if telling.share in r.columns), None)


def _end(telling: Telling, fewest: Sequence[int], end: int) -> pl.Expr:
    """Return one end of what a told share may be; null where it is told as it is.

    What other tables are made of they tell as it was rounded first, however it is told itself.
    """
    rounding = _rounding(telling)
    if rounding is None:
        return pl.lit(None, pl.Float64)
    if rounding.coded:
        ends = coded_ends(pl.col("seen"), pl.col(rounding.share_of), fewest[-1])
        return _turned(telling, ends[1 - end if telling.is_rest else end])
    steps, told = steps_of(rounding, fewest), pl.col("seen")
    if telling.loss == 0:
        steps, told = steps[:1], pl.coalesce(telling.column, "seen")
    is_rounded = (_rounded(rounding, told, steps[-1]) - told).abs() < _SLACK
    ends = share_ends(told, steps[-1], is_banded=rounding.banded, first=steps[0])
    return pl.when(is_rounded).then(ends[end]).otherwise(told)


def _turned(telling: Telling, value: pl.Expr) -> pl.Expr:
    """Return the share of who is counted."""
    return 100 - value if telling.is_rest else value


def _bare(value: str) -> str:
    """Return the value of a coordinate without the scope."""
    return value.partition("@")[0]


def within(where: Mapping[str, list[str]]) -> pl.Expr:
    """Tell which rows have one of the values named in each column."""
    return pl.all_horizontal(pl.lit(True), *(pl.col(c).is_in(v) for c, v in where.items()))


def _rounded(rule: Rounding, value: pl.Expr, step: pl.Expr) -> pl.Expr:
    return (banded if rule.banded else rounded)(value, step)


def leave_out(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table without what readers are not told at all (`untold:`)."""
    for rule in (r for r in dictionary().untold if r.table == table):
        columns = [c for c in rule.columns if c in frame.columns]
        frame = frame.with_columns(pl.when(~within(rule.where)).then(pl.col(columns)))
    return frame


def fewest_told(tables: Tables, own: int = 0) -> tuple[int, ...]:
    """Return the smallest count that the policy lets be told, by the tables themselves, and after
    it that of an audience, where it asks for more.
    """
    if "mart_parameter" not in tables:
        return tuple(sorted({_FEWEST, max(own, _FEWEST)}))
    rows = tables["mart_parameter"].filter(parameter_id="policy.suppression.count_pupils")
    of_city = int(rows["parameter_value"][0]) if rows.height else _FEWEST
    return tuple(sorted({of_city, max(own, of_city)}))


def steps_of(rule: Rounding, fewest: Sequence[int] = (_FEWEST,)) -> list[pl.Expr]:
    """Return the steps to which a rule of the dictionary rounds, in the unit of its columns.

    Args:
        rule: of the dictionary.
        fewest: of `fewest_told`. A share has a step for each: what is rounded to the finer step
            first tells nothing that the finer one does not.
    """
    if rule.step is not None:
        return [pl.lit(rule.step)]
    if rule.share_of:
        return [share_step(pl.col(rule.share_of), least) for least in fewest]
    return [mean_step(pl.col(rule.mean_of), pl.sql_expr(rule.per_sd))]


def round_off(table: str, frame: pl.DataFrame, fewest: Sequence[int] = (_FEWEST,)) -> pl.DataFrame:
    """Tell the shares and means of a table no finer than the children behind them allow.

    Args:
        table: its name.
        frame: the table.
        fewest: of `fewest_told`.
    """
    for rule in (r for r in dictionary().rounded if r.table == table):
        columns = [c for c in rule.columns if c in frame.columns]
        if rule.coded:
            frame = _code(rule, frame, fewest)
            continue
        steps = steps_of(rule, fewest)
        for step in steps:
            is_rounded = within(rule.where) & step.is_finite() & (step > 0)
            frame = frame.with_columns(
                pl.when(is_rounded).then(_rounded(rule, pl.col(c), step)).otherwise(c).alias(c)
                for c in columns
            )
        if rule.ends and columns:
            low, high, z = rule.ends
            ends = share_ends(pl.col(columns[0]), steps[-1], first=steps[0])
            least, most = wilson(*ends, pl.col(rule.share_of), z)
            frame = frame.with_columns(
                pl.when(pl.col(columns[0]).is_not_null()).then(end).alias(name)
                for name, end in ((low, least), (high, most))
            )
    return frame


def _code(rule: Rounding, frame: pl.DataFrame, fewest: Sequence[int]) -> pl.DataFrame:
    """Tell the shares of a table that tell of few children as one band, and their intervals so."""
    children = pl.col(rule.share_of)
    for column in (c for c in rule.columns if c in frame.columns):
        told = pl.col(column)
        for least in fewest:
            told = coded(told, children, least)
        frame = frame.with_columns(told=told).with_columns(
            is_few=(pl.col("told") != pl.col(column)).fill_null(value=False)
        )
        if rule.ends:
            low, high, z = rule.ends
            ends = wilson(*coded_ends(pl.col("told"), children, fewest[-1]), children, z)
            frame = frame.with_columns(
                pl.when("is_few").then(end).otherwise(name).alias(name)
                for name, end in zip((low, high), ends, strict=True)
            )
        frame = frame.with_columns(pl.col("told").alias(column)).drop("told", "is_few")
    return frame


@dataclass(frozen=True)
class Attackable:
    """A system, what it keeps from whom, and what may be hidden of it at which loss.

    Counts that are equal by meaning stand in it as one; `members` are those of each.
    """

    system: System
    guard: Guard
    loss: dict[str, int]
    members: Mapping[str, Collection[str]]

    def every(self, names: Collection[str]) -> frozenset[str]:
        """Return counts with all that are equal to them, and published shares as they are."""
        return frozenset(chain.from_iterable(self.members.get(name, (name,)) for name in names))


def attackable(
    now: Told, limits: Limits, before: Sequence[Told] = (), *, is_gone_known: bool = True
) -> Attackable:
    """Return what readers are told now, and were told before, as the intruder's system.

    A count that is hidden is taken to be at least one, as zeros are hidden only where they tell
    of few. Counts that no table shows – the
    rest of a whole, who is not part of a part – are guarded where they are small.

    Args:
        now: what is told now.
        limits: of the audience.
        before: what earlier releases told.
        is_gone_known: whether what they hid and is counted no more is asked for too, as far as it
            can have been what today's counts make it.
    """
    known = known_before(now, before)
    system = _Rows(now, limits, known)
    for whole, parts in now.sums:
        system.add_parts(whole, parts)
    for name, cell in now.cells.items():
        if cell.of:
            system.add_parts(cell.of, (name,), is_sum=False)
    for reached, parts in now.reaches:
        system.add_reach(reached, parts)
    for share in now.shares:
        system.add_share(*share)
    for told in before:
        system.add_before(told)
    if not is_gone_known:
        system.rows = [row for row in system.rows if not system.gone & row[1].keys()]
        system.gone = set()
    return system.attackable()


def known_before(now: Told, before: Sequence[Told]) -> frozenset[str]:
    """Return the counts that an earlier release told as they are now."""
    return frozenset(
        name
        for told in before
        for name, cell in told.cells.items()
        if cell.is_told and name in now.cells and now.cells[name].value == cell.value
    )


def kept_hidden(now: Told, last: Told) -> frozenset[str]:
    """Return the counts and rounded shares that the last release had and did not tell."""
    counts = {n for n, c in last.cells.items() if c.is_in_tables and not c.is_told}
    shares = {share[0] for share in now.shares if share[1] in last.cells}
    hidden = {name for name, cell in now.cells.items() if cell.is_told and name in counts}
    return frozenset(
        hidden | (shares - now.fixed - now.coded - {share[0] for share in last.shares})
    )


def mark_of(now: Told, limits: Limits, before: Sequence[Told] = ()) -> bytes:
    """Return the mark of what is told now, beside what was told before.

    A release that told the same as another one before adds nothing to it.
    """
    whole = hashlib.sha256(f"all that is told, from {limits.count_pupils}".encode())
    for digest in dict.fromkeys([now.digest, *(told.digest for told in before)]):
        whole.update(digest)
    return whole.digest()


def findings(told: Attackable, safe: set[bytes], mark: bytes | None = None) -> set[str]:
    """Return the guarded counts that the intruder finds, and would not if more was hidden.

    What follows from earlier releases, or from what everybody knows, nobody can take back.

    Args:
        told: what is told.
        safe: marks of what nothing was found in (`models.privacy.attack`).
        mark: `mark_of` what is told; added to them if nothing at all is found.
    """
    found = {count.name for count in attack(told.system, told.guard, safe)}
    if not found:
        safe |= {mark} if mark else set()
        return found
    least = replace(told.guard, guarded=frozenset(found))
    return found - {count.name for count in attack(told.system.hiding(told.loss), least)}


@dataclass
class _Rows:
    """Counts and rows as they gather.

    Attributes:
        now, limits: as in `attackable`.
        known: counts that an earlier release told as they are.
        rows: as `System.of` takes them.
        rest: small counts that no table shows.
        others: those of them that are all who are not of a part.
        gone: counts that an earlier release hid and that are counted no more.
        former: small counts that an earlier release hid and that are others now.
    """

    now: Told
    limits: Limits
    known: frozenset[str]
    rows: list[Row] = field(default_factory=list)
    rest: dict[str, int] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    former: dict[str, int] = field(default_factory=dict)

    def add_parts(self, whole: str, parts: tuple[str, ...], *, is_sum: bool = True) -> None:
        """Add that parts are no more than their whole, and what else it has where that is small.

        Whoever is the only one of a part that is no sum knows that all the others are not of it:
        that tells nothing.
        """
        cells = self.now.cells
        values = [cells[name].value if name in cells else None for name in (whole, *parts)]
        if values[0] is None or all(value is None for value in values[1:]):
            return
        known = [value for value in values if value is not None]
        rest = known[0] - sum(known[1:])
        if rest < 0:
            return  # they overlap
        terms = {whole: 1.0}
        for name, value in zip(parts, values[1:], strict=True):
            if value is not None:
                terms[name] = -1.0
        is_whole = len(known) == len(values)
        if is_whole and self.limits.is_small(rest):
            name = f"{whole} but {', '.join(parts)}"
            self.rest[name] = rest
            self.others |= set() if is_sum else {name}
            self.rows.append(("", terms | {name: -1}, 0, 0))
        else:
            self.rows.append(("", terms, 0, 0 if is_whole and rest == 0 else math.inf))

    def add_reach(self, reached: str, parts: tuple[str, ...]) -> None:
        """Add that all are at least as many as take part in each response, and no more than in all
        together; in one alone they are the same, or fewer by those who cannot have the need.
        """
        cells = self.now.cells
        every, each = cells[reached].value, [cells[name].value for name in parts]
        known = [value for value in each if value is not None]
        if every is None or len(known) < len(each):
            return
        if len(parts) == 1:
            whole, part = (reached, parts[0]) if every >= known[0] else (parts[0], reached)
            self.add_parts(whole, (part,), is_sum=False)
            return
        if every <= sum(known):
            self.rows.append(("", {reached: -1} | dict.fromkeys(parts, 1), 0, math.inf))
        for name, value in zip(parts, known, strict=True):
            if value <= every:
                self.rows.append(("", {reached: 1, name: -1}, 0, math.inf))

    def add_share(self, row: str, part: str, whole: str, low: float, high: float) -> None:
        """Add that a rounded share lies between two percentages."""
        cells = self.now.cells
        if part in cells and whole in cells and cells[whole].value is not None:
            self.rows.append((row, {part: 100, whole: -high}, -math.inf, _SLACK))
            self.rows.append((row, {part: 100, whole: -low}, -_SLACK, math.inf))

    def add_before(self, told: Told) -> None:
        """Add what another release told, as far as it is still true of what is counted now."""
        was = told.cells
        for whole, parts in told.sums:
            self._add_known({whole: 1} | dict.fromkeys(parts, -1), was, 0, 0)
        for _, part, whole, low, high in told.shares:
            self._add_known({part: 100, whole: -high}, was, -math.inf, _SLACK)
            self._add_known({part: 100, whole: -low}, was, -_SLACK, math.inf)

    def _add_known(
        self, terms: Mapping[str, float], was: Mapping[str, Cell], low: float, high: float
    ) -> None:
        """Add a row of another release with what it told put in, if it may be true of today."""
        open_terms, gone, activity = {}, {}, 0.0
        for name, factor in terms.items():
            cell, own = was.get(name), self.now.cells.get(name)
            if cell is not None and cell.is_told and cell.value is not None:
                moved = factor * cell.value
                low, high = low - moved, high - moved
            elif own is not None and own.value is not None:
                open_terms[name] = factor
                activity += factor * own.value
            elif cell is not None and cell.is_in_tables:
                gone[name] = factor
            else:
                return
        # What was hidden and is no more counted is at least one; how many it is nobody says.
        most = math.inf if any(f > 0 for f in gone.values()) else sum(gone.values())
        least = -math.inf if any(f < 0 for f in gone.values()) else sum(gone.values())
        if low - _SLACK <= activity + most and activity + least <= high + _SLACK:
            self.rows.append(("", open_terms | gone, low, high))
            self.gone |= gone.keys()
        elif not gone:
            self._add_former(open_terms, low, high, activity)

    def _add_former(
        self, terms: Mapping[str, float], low: float, high: float, activity: float
    ) -> None:
        """Add what a hidden count was, to whoever takes all others for what they are today."""
        for name, factor in terms.items():
            now = self.now.cells[name].value or 0
            ends = [now + (end - activity) / factor for end in (low, high)]
            least, most = max(math.ceil(min(ends) - _SLACK), 1), max(ends) + _SLACK
            if least <= most and self.limits.is_small(least) and not self.limits.is_small(now):
                former = f"{name} as it was, {len(self.former) + 1}"
                self.former[former] = least
                others = {other: f for other, f in terms.items() if other != name}
                self.rows.append(("", others | {former: factor}, low, high))

    def attackable(self) -> Attackable:
        """Return the system of what was gathered."""
        small, counts, loss = self.limits.is_small, dict[str, tuple[int | None, int]](), {}
        values: dict[str, int | None] = {**self.rest, **self.former}
        for name, cell in self.now.cells.items():
            is_told = cell.is_told or name in self.known
            counts[name] = (
                cell.value if is_told else None,
                int(cell.is_in_tables and cell.value != 0),
            )
            is_hidden = cell.value is not None and not is_told
            if is_hidden and (cell.is_in_tables or small(cell.value)):
                values[name] = cell.value
            if is_told and not cell.is_public and cell.value is not None and name not in self.known:
                loss[name] = cell.loss
        counts |= dict.fromkeys((*self.rest, *self.gone, *self.former), (None, 1))
        rows = [row for row in self.rows if row[1] and row[1].keys() <= counts.keys()]
        kind = {name: (told is None, name in loss) for name, (told, _) in counts.items()}
        one = _equal(rows, kind)
        merged: dict[str, tuple[int | None, int]] = {}
        members: dict[str, set[str]] = defaultdict(set)
        price: dict[str, int] = defaultdict(int)
        for name, (told, least) in counts.items():
            merged[one[name]] = told, max(least, merged.get(one[name], (told, 0))[1])
            members[one[name]].add(name)
            if name in loss:
                price[one[name]] += loss[name]
        kept = {name: value for name, value in values.items() if name not in self.others}
        return Attackable(
            System.of(merged, _of_one(rows, one)),
            Guard(
                self.limits.width,
                frozenset(one[name] for name in (*values, *self.gone)),
                frozenset(one[name] for name, value in kept.items() if small(value)),
                frozenset(one[name] for name, value in kept.items() if value == 1),
            ),
            price | {row[0]: 3 * _CELL for row in rows if row[0] not in ("", *self.now.fixed)},
            members,
        )


def _equal(rows: Collection[Row], kind: Mapping[str, object]) -> dict[str, str]:
    """Return for each count the first of those that are equal to it by rows of two, and alike.

    Whoever hides one of them must hide all.
    """
    names = sorted(kind)
    place = {name: number for number, name in enumerate(names)}
    pairs = [
        (place[a], place[b])
        for name, terms, low, high in rows
        if not name and len(terms) == 2 and sorted(terms.values()) == [-1, 1] and low == high == 0
        for a, b in [tuple(terms)]
        if kind[a] == kind[b]
    ]
    ends = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(pairs)), tuple(ends)), shape=(len(names), len(names)))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return {name: names[first[number]] for name, number in zip(names, label, strict=True)}


def _of_one(rows: Collection[Row], one: Mapping[str, str]) -> list[Row]:
    """Return the rows with equal counts as one."""
    found: list[Row] = []
    for name, terms, low, high in rows:
        if all(one[count] == count and factor for count, factor in terms.items()):
            found.append((name, terms, low, high))
            continue
        summed: dict[str, float] = defaultdict(float)
        for count, factor in terms.items():
            summed[one[count]] += factor
        if left := {count: factor for count, factor in summed.items() if factor}:
            found.append((name, left, low, high))
    return found
