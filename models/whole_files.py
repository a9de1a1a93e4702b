"""A file judged as a whole: its levels against its own past, its ids against what they refer to.

A row may be possible by itself and the file still be wrong: amounts in thousands, percents as
shares, two columns or two channels swapped, ids that nobody knows (R129). Like is compared with
like: the same line (a school's response from a channel, a subject of a grade) in other school years
and in the content that was loaded before, so that new programmes and schools move no level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

YEAR, SCALE = "school_year", "scale_id"
COPIES = "copies"
"""Column of frames that hold each combination of values once: how many rows have it."""
_NEAREST = 4  # school years that a line is compared with: a trend of ten is no break
LEVEL = {
    "part": pl.String,
    YEAR: pl.String,
    "against": pl.String,
    "rows": pl.UInt32,
    "level": pl.Float64,
    "usual": pl.Float64,
    "deviation": pl.Float64,
}


@dataclass(frozen=True)
class Limits:
    """What is no longer a development but another unit, column or scale.

    Attributes:
        ratio_told, ratio_blocks: of an amount to its usual level, either way. Units slip by 10, 12,
            100 or 1000; what a programme costs seldom triples within a year.
        shift_told, shift_schools, shift_blocks: of a percent or score, in SD of its values, or of
            schools' means, which move more beside their own SD.
        spread_told: ratio of two SD.
        line_told: ratio of one line to the same line before; a school's programme may well double.
        apart_told, apart_ratio: of the middle distance of lines from themselves in other years, a
            ratio, and how many times the usual distance it is: rows that were mixed up.
        known_told, known_blocks: least share of ids that a register knows.
        same_told: least share of a register's ids that the year beside it has too.
        least_rows: fewest rows that make a level.
        moved_told: least share of the money of two channels that a swap explains.
    """

    ratio_told: float = 3
    ratio_blocks: float = 8
    shift_told: float = 1
    shift_blocks: float = 2
    shift_schools: float = 1.5
    spread_told: float = 3
    line_told: float = 20
    apart_told: float = 1.3
    apart_ratio: float = 3
    known_told: float = 0.98
    known_blocks: float = 0.8
    same_told: float = 0.5
    least_rows: int = 4
    moved_told: float = 0.02


LIMITS = Limits()


def lines(
    now: pl.DataFrame, past: pl.DataFrame, column: str, cell: Sequence[str], *, is_amount: bool
) -> pl.DataFrame:
    """Compare each line with itself in the nearest school years, and in what was loaded before.

    Args:
        now: rows as texts; `school_year` if the source has one; `copies` if each stands for many.
        past: rows of other content of the same source that was loaded before, if any.
        column: which holds the numbers.
        cell: columns that make a line, with the school year.
        is_amount: whether levels are compared as ratios (of positive values), else as differences
            in SD of the other values.

    Returns:
        `cell`, `school_year`, `against` ("years" or "past"), `rows`, `level`, `usual`, and
        `deviation`: the natural logarithm of their ratio, or their difference in SD.
    """
    held = [_middles(frame, column, cell, is_amount=is_amount) for frame in (now, past)]
    mine, before = held
    other = pl.concat([mine, before.join(mine.select(YEAR).unique(), on=YEAR, how="anti")])
    beside = (
        mine.join(other, on=list(cell), suffix="_other", nulls_equal=True)
        if cell
        else mine.join(other, how="cross", suffix="_other")
    )
    years = (pl.col(name).cast(pl.Int32, strict=False) for name in (YEAR, f"{YEAR}_other"))
    distance = abs(next(years) - next(years))
    near = (
        beside.with_columns(distance=distance)
        .filter(pl.col("distance") > 0)
        .filter(pl.col("distance").rank("min").over(*cell, YEAR) <= _NEAREST)
    )
    again = mine.join(before, on=[*cell, YEAR], suffix="_other", nulls_equal=True)
    pairs = [
        near.with_columns(against=pl.lit("years")),
        again.with_columns(against=pl.lit("past")),
    ]
    both = pl.concat(
        [
            pair.group_by(*cell, YEAR, "against").agg(
                rows=pl.col("rows").first(),
                level=pl.col("level").first(),
                usual=pl.col("level_other").median(),
            )
            for pair in pairs
        ]
    )
    if is_amount:
        return both.with_columns(deviation=(pl.col("level") / pl.col("usual")).log()).sort(
            *cell, YEAR, "against"
        )
    ruler = [name for name in cell if name == SCALE]
    return (
        (
            both.join(_usual_spread(now, past, column, ruler), on=ruler, nulls_equal=True)
            if ruler
            else both.join(_usual_spread(now, past, column, ruler), how="cross")
        )
        .with_columns(deviation=(pl.col("level") - pl.col("usual")) / pl.col("spread"))
        .drop("spread")
        .sort(*cell, YEAR, "against")
    )


def _middles(
    rows: pl.DataFrame, column: str, cell: Sequence[str], *, is_amount: bool
) -> pl.DataFrame:
    number = pl.col(column).cast(pl.Float64, strict=False)
    year = pl.col(YEAR) if YEAR in rows.columns else pl.lit("", pl.String).alias(YEAR)
    many = [COPIES] if COPIES in rows.columns else []
    found = rows.select(*cell, year, *many, level=number).filter(
        (pl.col("level") > 0) if is_amount else pl.col("level").is_not_null()
    )
    if many:
        return found.group_by(*cell, YEAR).agg(
            _median_of_copies("level").alias("level"), rows=pl.col(COPIES).sum().cast(pl.UInt32)
        )
    return found.group_by(*cell, YEAR).agg(pl.col("level").median(), rows=pl.len())


def _median_of_copies(name: str) -> pl.Expr:
    """Return the median of values each of which stands for many."""
    up_to, every = pl.col(COPIES).sort_by(name).cum_sum(), pl.col(COPIES).sum()
    ordered = pl.col(name).sort()
    low, high = (ordered.filter(up_to > place).first() for place in ((every - 1) // 2, every // 2))
    return (low + high) / 2


def _spread_of_copies(name: str) -> pl.Expr:
    """Return the SD of values each of which stands for many."""
    value, copies = pl.col(name), pl.col(COPIES)
    apart = value - (value * copies).sum() / copies.sum()
    return ((apart * apart * copies).sum() / (copies.sum() - 1)).sqrt()


def _usual_spread(
    now: pl.DataFrame, past: pl.DataFrame, column: str, ruler: Sequence[str]
) -> pl.DataFrame:
    """Return the usual SD of a column's values on each scale: the median over school years."""
    spreads = [
        _numbers(frame, column)
        .group_by(*ruler, *([YEAR] if YEAR in frame.columns else [pl.lit("").alias(YEAR)]))
        .agg(spread=_spread_of_copies(column) if COPIES in frame.columns else pl.col(column).std())
        .select(*ruler, "spread")
        for frame in (now, past)
    ]
    every = pl.concat(spreads).filter(pl.col("spread") > 0)
    if not ruler:
        return every.select(pl.col("spread").median()).drop_nulls()
    return every.group_by(ruler).agg(pl.col("spread").median())


def _numbers(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the rows that have a number in a column, as numbers."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return rows.with_columns(number).filter(pl.col(column).is_not_null())


def breaks(
    found: pl.DataFrame, parts: Sequence[str], told: float, limits: Limits = LIMITS
) -> pl.DataFrame:
    """Return the school years in which the middle line of all, or of a part, left its level.

    Args:
        found: as `lines` gives them.
        parts: columns each of whose values is looked at by itself too.
        told: least deviation, either way.
        limits: how many rows make a level.

    Returns:
        As `LEVEL`: `part` is "column=value", empty for all lines. A part is left out where all
        lines of that year moved too.
    """
    groups = [
        found.group_by(YEAR, "against").agg(*_middle()).with_columns(part=pl.lit("")),
        *(
            found.filter(pl.col(name).is_not_null())
            .group_by(name, YEAR, "against")
            .agg(*_middle())
            .with_columns(part=pl.concat_str(pl.lit(f"{name}="), pl.col(name)))
            .drop(name)
            for name in parts
        ),
    ]
    levels = pl.concat([group.select(list(LEVEL)) for group in groups])
    broken = levels.filter(pl.col("rows") >= limits.least_rows, pl.col("deviation").abs() >= told)
    whole = broken.filter(pl.col("part") == "")
    return pl.concat(
        [whole, broken.filter(pl.col("part") != "").join(whole, on=[YEAR, "against"], how="anti")]
    ).sort("part", YEAR, "against")


def _middle() -> tuple[pl.Expr, ...]:
    return (
        pl.col("rows").sum(),
        pl.col("level").median(),
        pl.col("usual").median(),
        pl.col("deviation").median(),
    )


def mixed(found: pl.DataFrame, limits: Limits = LIMITS) -> pl.DataFrame:
    """Return the school years in which most lines lie far from themselves, this way and that.

    So it is when one column of a table was sorted by itself: the level stays, and no line is right.

    Args:
        found: as `lines` gives them, of amounts.
        limits: how far is far.

    Returns:
        As `LEVEL`, `level` and `usual` being the middle distance of lines as a ratio, of the year
        and of the other years.
    """
    apart = (
        found.filter(pl.col("against") == "years")
        .group_by(YEAR)
        .agg(
            pl.col("rows").sum(),
            level=(pl.col("deviation") - pl.col("deviation").median()).abs().median(),
        )
        .filter(pl.col("rows") >= 2 * limits.least_rows)
    )
    return (
        apart.join(apart, how="cross", suffix="_other")
        .filter(pl.col(YEAR) != pl.col(f"{YEAR}_other"))
        .group_by(YEAR)
        .agg(pl.col("rows", "level").first(), usual=pl.col("level_other").median())
        .filter(
            pl.col("level") >= math.log(limits.apart_told),
            pl.col("level") >= limits.apart_ratio * pl.col("usual"),
        )
        .with_columns(pl.col("level", "usual").exp(), part=pl.lit(""), against=pl.lit("years"))
        .with_columns(deviation=(pl.col("level") / pl.col("usual")).log())
        .select(list(LEVEL))
        .sort(YEAR)
    )


def spreads(now: pl.DataFrame, past: pl.DataFrame, column: str, least: int = 30) -> pl.DataFrame:
    """Return the SD of a column by school year beside its usual one (the other years' median).

    Returns:
        As `LEVEL`, `level` and `usual` being SD and `deviation` the logarithm of their ratio.
    """
    if YEAR not in now.columns:
        return pl.DataFrame(schema=LEVEL)
    mine, before = (
        _numbers(frame, column)
        .group_by(YEAR)
        .agg(
            level=_spread_of_copies(column) if COPIES in frame.columns else pl.col(column).std(),
            rows=(pl.col(COPIES).sum() if COPIES in frame.columns else pl.len()).cast(pl.UInt32),
        )
        .filter(pl.col("rows") >= least, pl.col("level") > 0)
        for frame in (now, past)
    )
    other = pl.concat([mine, before.join(mine, on=YEAR, how="anti")])
    return (
        mine.join(other, how="cross", suffix="_other")
        .filter(pl.col(YEAR) != pl.col(f"{YEAR}_other"))
        .group_by(YEAR)
        .agg(
            rows=pl.col("rows").first(),
            level=pl.col("level").first(),
            usual=pl.col("level_other").median(),
        )
        .with_columns(
            part=pl.lit(""),
            against=pl.lit("years"),
            deviation=(pl.col("level") / pl.col("usual")).log(),
        )
        .select(list(LEVEL))
        .sort(YEAR)
    )


def known_ids(rows: pl.DataFrame, column: str, register: pl.Series) -> pl.DataFrame:
    """Count the distinct ids of each school year, and those that a register knows.

    Returns:
        `school_year`, `ids`, `known`.
    """
    year = pl.col(YEAR) if YEAR in rows.columns else pl.lit("", pl.String).alias(YEAR)
    ids = rows.select(year, pl.col(column)).drop_nulls(column).unique()
    return (
        ids.group_by(YEAR)
        .agg(ids=pl.len(), known=pl.col(column).is_in(register.unique().implode()).sum())
        .sort(YEAR)
    )


def carried_over(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Count the ids of each school year of a register that a year beside it has too.

    Returns:
        `school_year`, `ids`, `known` (the greater count of both neighbours); none for one year.
    """
    ids = {
        year: set(part[column].drop_nulls())
        for (year,), part in rows.group_by(YEAR)
        if year is not None and str(year).isdecimal()
    }
    found = []
    for year, held in sorted(ids.items()):
        beside = [ids[str(int(year) + step)] for step in (-1, 1) if str(int(year) + step) in ids]
        if beside and held:
            found.append((year, len(held), max(len(held & other) for other in beside)))
    return pl.DataFrame(
        found, schema={YEAR: pl.String, "ids": pl.Int64, "known": pl.Int64}, orient="row"
    )


def swapped(
    now: pl.DataFrame,
    past: pl.DataFrame,
    category: str,
    within: str,
    amount: str,
    limits: Limits = LIMITS,
) -> pl.DataFrame:
    """Find two values of a category that stand for each other in one school year.

    The money of each thing (a response) has its usual shares by category (a channel), those of the
    other years or of the content loaded before. Where exchanging two values brings the year much
    nearer to them, the two were swapped.

    Returns:
        `school_year`, `first`, `second`, `moved` (share of their money that stands elsewhere than
        usual, 0 to 1), `left` (the same after exchanging them).
    """
    swaps = []
    for year in sorted(now[YEAR].drop_nulls().unique()):
        mine = now.filter(pl.col(YEAR) == year)
        same = past.filter(pl.col(YEAR) == year)
        others = pl.concat([frame.filter(pl.col(YEAR) != year) for frame in (now, past)])
        for usual in (same, others):
            if usual.is_empty():
                continue
            apart = _apart(mine, usual, category, within, amount)
            odd = [name for name, (moved, own) in apart.items() if moved > limits.moved_told * own]
            for pair in combinations(sorted(odd), 2):
                names = {pair[0]: pair[1], pair[1]: pair[0]}
                exchanged = mine.with_columns(pl.col(category).replace(names))
                after = _apart(exchanged, usual, category, within, amount)
                moved, left = (_share(pair, found) for found in (apart, after))
                if moved >= limits.moved_told and left < moved / 2:
                    swaps.append((year, *pair, moved, left))
    schema = {YEAR: pl.String, "first": pl.String, "second": pl.String}
    return pl.DataFrame(
        swaps, {**schema, "moved": pl.Float64, "left": pl.Float64}, orient="row"
    ).unique([YEAR, "first", "second"], keep="first", maintain_order=True)


def _share(pair: Sequence[str], apart: Mapping[str, tuple[float, float]]) -> float:
    """Return the share of two categories' money that stands elsewhere than usual."""
    moved, own = (sum(apart.get(name, (0, 0))[place] for name in pair) for place in (0, 1))
    return moved / 2 / own if own else 0.0


def _apart(
    mine: pl.DataFrame, usual: pl.DataFrame, category: str, within: str, amount: str
) -> dict[str, tuple[float, float]]:
    """Return of each category the money off its usual share of each thing, and its money in all."""
    here, there = (
        frame.group_by(within, category)
        .agg(pl.col(amount).cast(pl.Float64, strict=False).sum())
        .with_columns(share=pl.col(amount) / pl.col(amount).sum().over(within))
        for frame in (mine, usual)
    )
    both = here.join(there, on=[within, category], how="full", coalesce=True, suffix="_usual")
    known = here.select(within).join(there, on=within, how="semi").unique()
    off = (pl.col("share").fill_null(0) - pl.col("share_usual").fill_null(0)).abs()
    found = (
        both.join(known, on=within)
        .with_columns(moved=off * pl.col(amount).sum().over(within))
        .group_by(category)
        .agg(pl.col("moved").sum(), pl.col(amount).sum())
    )
    return {name: (moved, own) for name, moved, own in found.iter_rows()}


def is_planned_like_spent(rows: pl.DataFrame, plan: str, spent: str, least: int = 20) -> bool:
    """Whether the plan's amounts are odd sums and what was spent is round: swapped columns.

    Plans are made in round sums (whole tens of shekels), spending is not; needs so many lines.
    """
    round_ = [
        (pl.col(name).cast(pl.Float64, strict=False) % 10 == 0).mean() for name in (plan, spent)
    ]
    both = rows.drop_nulls([plan, spent])
    if both.height < least:
        return False
    planned, done = both.select(round_[0].alias("plan"), round_[1].alias("spent")).row(0)
    return done - planned > 0.5


def outside_costs(
    totals: pl.DataFrame, costs: Mapping[str, tuple[float, float]], limits: Limits = LIMITS
) -> pl.DataFrame:
    """Return school years and responses whose cost is far off what the policy knows.

    It is if the middle school costs far less than one participant, or a school far more than if
    all its pupils took part.

    Args:
        totals: `school_year`, `response_id`, `total` (NIS of one school over all channels),
            `pupils` (of that school, null if not known).
        costs: response → NIS per school, NIS per participant.
        limits: how far is far.

    Returns:
        `school_year`, `response_id`, `schools` (how many are off), `level` (NIS, the middle one of
        these), `low`, `high`: NIS for one participant and for every pupil of such a school.
    """
    known = pl.DataFrame(
        [(name, *cost) for name, cost in costs.items()],
        schema={"response_id": pl.String, "fixed": pl.Float64, "each": pl.Float64},
        orient="row",
    )
    return (
        totals.join(known, on="response_id")
        .drop_nulls(["total", "pupils"])
        .filter(pl.col("total") > 0)
        .with_columns(
            low=pl.col("fixed") + pl.col("each"),
            high=pl.col("fixed") + pl.col("each") * pl.col("pupils"),
        )
        .with_columns(
            is_low=(pl.col("total") / pl.col("low")).median().over(YEAR, "response_id")
            < 1 / limits.ratio_blocks,
            is_high=pl.col("total") > pl.col("high") * limits.ratio_told,
        )
        .filter(pl.col("is_low") | pl.col("is_high"))
        .group_by(YEAR, "response_id")
        .agg(
            schools=pl.len(),
            level=pl.col("total").median(),
            low=pl.col("low").median(),
            high=pl.col("high").median(),
        )
        .sort(YEAR, "response_id")
    )
