"""Pupils of the city: who they are, where they learn each year, and how they leave.

A pupil keeps the id, the background and, as far as classes allow, the class from year to year.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.schools import enrolment
from models.demo.streams import Streams

DESTINATIONS = (*spec.EXIT_RATES, "unknown")
_MOVED, _OTHER_STREAM = DESTINATIONS.index("moved_city"), DESTINATIONS.index("other_stream")
_ID_BODIES = 10**6
_ID_STEP, _ID_START = 387_581, 104_729  # a step without a common factor visits every body once


def pupil_ids(pupil: np.ndarray) -> list[str]:
    """Return nine-digit ids that start with 99 and whose Israeli check digit is wrong.

    Raises:
        ValueError: if there are more pupils than ids.
    """
    if len(pupil) and pupil.max() >= _ID_BODIES:
        raise ValueError(f"only {_ID_BODIES} synthetic pupil ids exist; generate fewer pupils")
    body = 99_000_000 + (_ID_START + pupil.astype(np.int64) * _ID_STEP) % _ID_BODIES
    wrong = (check_digit(body) + 1 + pupil % 9) % 10
    return [str(number) for number in body * 10 + wrong]


def check_digit(body: np.ndarray) -> np.ndarray:
    """Return the Israeli check digit (Luhn) of eight-digit numbers."""
    digits = body[:, None] // 10 ** np.arange(7, -1, -1) % 10
    products = digits * np.array([1, 2] * 4)
    return (-(products // 10 + products % 10).sum(1)) % 10


class _People:
    """Pupils known so far, one array per property, appended year by year."""

    def __init__(self) -> None:
        self._parts: list[dict[str, np.ndarray]] = []
        self.count = 0

    def add(self, part: dict[str, np.ndarray]) -> np.ndarray:
        size = len(part["decile"])
        self._parts.append(part)
        self.count += size
        return np.arange(self.count - size, self.count)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([part[name] for part in self._parts])

    def frame(self) -> pl.DataFrame:
        columns = {name: self.column(name) for name in self._parts[0]}
        return pl.DataFrame({"pupil": np.arange(self.count), **columns})


def build(
    schools: pl.DataFrame, areas: pl.DataFrame, years: Sequence[int], streams: Streams
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the pupils of all years.

    Returns:
        people: one row per pupil: `pupil` (index), `first_year`, `decile`, `is_girl`,
            `birth_year`, `arrival_year` (NaN if born in Israel), `is_sen`, `parent_education`,
            `has_internet`, `stat_area`, `theta_start`, `gifted_trait`, `amirim_trait`,
            `is_overlooked` (for Amirim).
        roster: one row per pupil and year: `school_year`, `school`, `semel_mosad`, `grade`,
            `slot`, `pupil`, `class_no`, `classes` (of the grade).
        exits: `school_year`, `pupil`, `destination`.
    """
    counts = enrolment(schools, years, streams)
    streams_of = schools["stream"].to_numpy()
    people = _People()
    rosters, exits = [], []
    stayers = movers = _no_one()
    for position, year in enumerate(years):
        rng = streams(f"pupils_{year}")
        placed, overflow, free = _place(stayers, counts[:, position], rng)
        if len(overflow):
            exits.append((year - 1, overflow, np.full(len(overflow), _MOVED)))
        placed, free = _take_in(placed, movers, free, streams_of, rng)
        newcomers = _newcomers(free, position == 0, year, schools, areas, rng)
        _hold_mean(newcomers, placed, people, schools, rng)
        newcomers.update(_family(newcomers, schools, rng))
        ids = people.add({k: v for k, v in newcomers.items() if k not in ("school", "grade")})
        roster = np.concatenate([placed, np.column_stack([free, ids])])
        roster = roster[np.lexsort((roster[:, 2], roster[:, 1], roster[:, 0]))]
        rosters.append(np.column_stack([np.full(len(roster), year), roster]))
        destination = _destinations(people.column("decile")[roster[:, 3]], rng)
        gone = destination >= 0
        exits.append((year, roster[gone, 3], destination[gone]))
        below_six = roster[:, 1] < max(spec.GRADES)
        stayers = roster[~gone & below_six] + np.array([0, 1, 0, 0])
        movers = roster[(destination == _OTHER_STREAM) & below_six] + np.array([0, 1, 0, 0])
    everyone = pl.DataFrame(
        np.concatenate(rosters), schema=["school_year", "school", "grade", "slot", "pupil"]
    )
    return (
        people.frame(),
        _with_classes(everyone, schools, years[-1]),
        _exit_frame(exits),
    )


def _no_one() -> np.ndarray:
    return np.empty((0, 4), dtype=np.int64)  # school, grade, slot, pupil


def _place(
    stayers: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seat stayers in this year's places; return them, those without a place, the free places."""
    seated, overflow, free = [_no_one()], [], [np.empty((0, 3), dtype=np.int64)]
    order = stayers[np.lexsort((stayers[:, 2], stayers[:, 1], stayers[:, 0]))]
    cell = order[:, 0] * 10 + order[:, 1]
    for school, grade in np.ndindex(counts.shape):
        size = counts[school, grade]
        lo, hi = np.searchsorted(cell, [school * 10 + grade + 1, school * 10 + grade + 2])
        group = order[lo:hi]
        if len(group) > size:
            leaves = np.zeros(len(group), dtype=bool)
            leaves[rng.choice(len(group), len(group) - size, replace=False)] = True
            overflow.append(group[leaves, 3])
            group = group[~leaves]
        is_open = np.ones(size, dtype=bool)
        keeps = group[:, 2] < size
        is_open[group[keeps, 2]] = False
        places = np.flatnonzero(is_open)
        group[~keeps, 2] = places[: (~keeps).sum()]
        places = places[(~keeps).sum() :]
        seated.append(group)
        free.append(
            np.column_stack([np.full_like(places, school), np.full_like(places, grade + 1), places])
        )
    return (
        np.concatenate(seated),
        np.concatenate([*overflow, np.empty(0, dtype=np.int64)]).astype(np.int64),
        np.concatenate(free),
    )


def _take_in(
    placed: np.ndarray,
    movers: np.ndarray,
    free: np.ndarray,
    streams_of: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Give pupils who change stream a free place of another stream, where chance offers one."""
    taken = np.zeros(len(free), dtype=bool)
    joined = [placed]
    for grade in spec.GRADES[1:]:
        coming = rng.permutation(np.flatnonzero(movers[:, 1] == grade))
        places = rng.permutation(np.flatnonzero(free[:, 1] == grade))
        pairs = min(len(coming), len(places))
        coming, places = coming[:pairs], places[:pairs]
        other = streams_of[movers[coming, 0]] != streams_of[free[places, 0]]
        taken[places[other]] = True
        joined.append(np.column_stack([free[places[other]], movers[coming[other], 3]]))
    return np.concatenate(joined), free[~taken]


def _newcomers(
    free: np.ndarray,
    is_first_year: bool,
    year: int,
    schools: pl.DataFrame,
    areas: pl.DataFrame,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw the pupils who fill the free places."""
    school, grade = free[:, 0], free[:, 1]
    n = len(free)
    nurture = schools["nurture"].to_numpy()[school]
    decile = np.clip(np.rint(rng.normal(nurture, spec.DECILE_SD)), 1, 10)
    joins_late = (grade > 1) & (not is_first_year)
    is_recent_school = _planted(schools, "immigrant_language")[school]
    odds = np.where(joins_late, spec.LATE_JOINER_IMMIGRANTS, 1.0)
    if not is_first_year:  # the planted school keeps taking in pupils who have just arrived
        planted = np.where(joins_late, *spec.CAUSE_RECENT_ODDS)
        odds = np.where(is_recent_school, planted, odds)
    is_immigrant = rng.random(n) < schools["immigrant_pct"].to_numpy()[school] / 100 * odds
    years_here = _years_in_israel(is_recent_school, rng)
    years_here = np.where(joins_late, rng.integers(0, 2, n), np.minimum(years_here, grade + 4))
    theta = rng.normal(0, spec.SD_PUPIL, n)
    area = areas["stat_area"].to_numpy()
    own_area = schools["stat_area"].to_numpy()[school]
    elsewhere = area[rng.integers(0, len(area), n)]
    background = spec.PUPIL_SLOPE * (decile - spec.CENTRE_DECILE)
    background = background + spec.SCHOOL_SLOPE * (nurture - spec.CENTRE_DECILE)
    is_girl = rng.random(n) < 0.5
    repeats = rng.random(n) < spec.REPEATER_SHARE
    return {
        "school": school,
        "grade": grade,
        "first_year": np.full(n, year),
        "decile": decile,
        "is_girl": is_girl,
        "birth_year": year - grade - 6 - repeats,
        "arrival_year": np.where(is_immigrant, year - years_here, np.nan),
        "is_sen": rng.random(n) < schools["sen_pct"].to_numpy()[school] / 100,
        "stat_area": np.where(rng.random(n) < spec.OWN_AREA_SHARE, own_area, elsewhere),
        "theta_start": theta,
        # Pupils are identified by what they achieve, their background included.
        "gifted_trait": theta + background + rng.normal(0, 0.3, n),
        "amirim_trait": theta + background + rng.normal(0, 0.3, n),
    }


def _years_in_israel(is_recent_school: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Full years since immigration by the spec's shares; mostly recent in one planted school."""
    limits, shares = list(spec.IMMIGRANT_YEARS), np.cumsum(list(spec.IMMIGRANT_YEARS.values()))
    n = len(is_recent_school)
    band = np.searchsorted(shares, rng.random(n) * shares[-1])
    band = np.where(is_recent_school & (rng.random(n) < spec.CAUSE_RECENT_SHARE), 0, band)
    low = np.array([0, *(limit + 1 for limit in limits[:-1])])[band]
    high = np.array(limits)[band]
    return low + np.floor(rng.random(n) * (high - low + 1)).astype(int)


def _hold_mean(
    newcomers: dict[str, np.ndarray],
    placed: np.ndarray,
    people: _People,
    schools: pl.DataFrame,
    rng: np.random.Generator,
) -> None:
    """Move single newcomers by one decile until each school's mean is near its nurture index."""
    known = people.column("decile") if people.count else np.empty(0)
    decile, school = newcomers["decile"], newcomers["school"]
    nurture = schools["nurture"].to_numpy()
    total = np.bincount(placed[:, 0], known[placed[:, 3]], len(nurture))
    total = total + np.bincount(school, decile, len(nurture))
    size = np.bincount(placed[:, 0], minlength=len(nurture)) + np.bincount(
        school, minlength=len(nurture)
    )
    for index in np.flatnonzero(size):
        members = np.flatnonzero(school == index)
        slack = np.floor(spec.DECILE_TOLERANCE * size[index])
        lack = nurture[index] * size[index] - total[index]
        steps = int(np.sign(lack) * max(0, np.ceil(abs(lack) - slack)))
        while steps:
            sign = int(np.sign(steps))
            movable = members[(decile[members] + sign >= 1) & (decile[members] + sign <= 10)]
            if not len(movable):
                break
            chosen = rng.permutation(movable)[: abs(steps)]
            decile[chosen] += sign
            steps -= sign * len(chosen)


def _family(
    newcomers: dict[str, np.ndarray], schools: pl.DataFrame, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw what depends on the final decile: schooling, internet, chance of being identified."""
    decile, school = newcomers["decile"], newcomers["school"]
    mean = spec.EDUCATION_AT_ZERO - spec.EDUCATION_PER_DECILE * decile
    education = np.clip(rng.normal(mean, spec.EDUCATION_SD), 8, 19).round(1)
    nurture = schools["nurture"].to_numpy()
    # Equal ability, less identification: in weak deciles a fixed share is overlooked.
    overlooked = rng.random(len(decile)) < spec.AMIRIM_LOSS_DECILE_8
    online = spec.INTERNET_AT_5 - spec.INTERNET_PER_NURTURE * (nurture - 5)
    online = online + spec.CAUSE_INTERNET * _planted(schools, "home_internet")
    return {
        "parent_education": education,
        "has_internet": rng.random(len(decile)) < online[school],
        "is_overlooked": overlooked & (decile >= spec.WEAK_DECILE),
    }


def _planted(schools: pl.DataFrame, cause_id: str) -> np.ndarray:
    """Schools in which a cause is planted (`cause` column of the table)."""
    return (schools["cause"] == cause_id).fill_null(False).to_numpy()


def dropout_rate(decile: np.ndarray) -> np.ndarray:
    """Return the chance that a pupil leaves within a year and nobody knows where to."""
    return spec.DROPOUT_RATE * np.exp(spec.DROPOUT_PER_DECILE * (decile - spec.CENTRE_DECILE))


def _destinations(decile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw who leaves during the year: index into DESTINATIONS, −1 for pupils who stay."""
    rates = np.tile([*spec.EXIT_RATES.values(), 0.0], (len(decile), 1))
    rates[:, _MOVED] += spec.MOBILITY_PER_DECILE * np.maximum(decile - 5.5, 0)
    rates[:, -1] = dropout_rate(decile)
    reached = rng.random(len(decile))[:, None] < rates.cumsum(1)
    return np.where(reached.any(1), reached.argmax(1), -1)


def _with_classes(everyone: pl.DataFrame, schools: pl.DataFrame, last_year: int) -> pl.DataFrame:
    """Add the code in force that year and the class; classes fill up to the stream's cap."""
    before_merger = pl.col("school_year") < last_year - spec.MERGER_LAG
    in_branch = pl.col("pupil") % 10 < round(10 * spec.MERGED_SHARE)
    cell = ["semel_mosad", "school_year", "grade"]
    cap = pl.col("stream").replace_strict(spec.CLASS_CAP, return_dtype=pl.Int64)
    return (
        everyone.join(
            schools.select("school", "semel_mosad", "semel_mosad_old", "stream"), on="school"
        )
        .with_columns(
            semel_mosad=pl.when(before_merger & in_branch & pl.col("semel_mosad_old").is_not_null())
            .then("semel_mosad_old")
            .otherwise("semel_mosad")
        )
        .with_columns(classes=((pl.len().over(cell) + cap - 1) // cap).cast(pl.Int64))
        .with_columns(class_no=pl.col("slot") % pl.col("classes") + 1)
        .select(
            "school_year", "school", "semel_mosad", "grade", "slot", "pupil", "class_no", "classes"
        )
        .sort("school_year", "school", "grade", "slot")
    )


def _exit_frame(exits: list[tuple[int, np.ndarray, np.ndarray]]) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {
                "school_year": np.full(len(pupil), year),
                "pupil": pupil,
                "destination": np.array(DESTINATIONS)[destination],
            },
            schema={"school_year": pl.Int64, "pupil": pl.Int64, "destination": pl.String},
        )
        for year, pupil, destination in exits
    ).sort("school_year", "pupil")


def describe(roster: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Return the roster with each pupil's properties as they stand in each year.

    Adds `years_in_israel` (null if born in Israel), `is_immigrant` (ten years or less),
    `is_recent`, `is_gifted` and `is_amirim` (from the grade of identification on).
    """
    gifted, amirim = _trait_cuts()
    full = roster.join(people, on="pupil", how="left", maintain_order="left")
    years = (pl.col("school_year") - pl.col("arrival_year").fill_nan(None)).cast(pl.Int64)
    old_enough = pl.col("grade") >= spec.IDENTIFICATION_GRADE
    return full.with_columns(years_in_israel=years).with_columns(
        is_immigrant=(pl.col("years_in_israel") <= 10).fill_null(False),
        is_recent=(pl.col("years_in_israel") <= spec.RECENT_YEARS).fill_null(False),
        is_gifted=old_enough & (pl.col("gifted_trait") > gifted),
        is_amirim=old_enough & (pl.col("amirim_trait") > amirim) & ~pl.col("is_overlooked"),
    )


def _trait_cuts() -> tuple[float, float]:
    """Trait values above which pupils are identified, so that the citywide shares come out."""
    from_grade = sum(spec.GRADE_SHARES[spec.IDENTIFICATION_GRADE - 1 :])
    trait_sd = float(np.linalg.norm((spec.SD_PUPIL, 0.3, spec.SD_BACKGROUND)))
    weak_share = 0.25  # pupils of decile 8 and above
    amirim = spec.AMIRIM_SHARE / from_grade / (1 - spec.AMIRIM_LOSS_DECILE_8 * weak_share)
    return (
        trait_sd * NormalDist().inv_cdf(1 - spec.GIFTED_SHARE / from_grade),
        trait_sd * NormalDist().inv_cdf(1 - amirim),
    )


def pupils_file(described: pl.DataFrame) -> pl.DataFrame:
    """Return one year's pupils (contract of `register__pupils`, with raw pupil ids)."""
    return described.select(
        "pupil_id",
        "school_year",
        "semel_mosad",
        "grade",
        class_id=pl.format("{}-{}", "grade", "class_no"),
        sex=pl.when("is_girl").then(pl.lit("f")).otherwise(pl.lit("m")),
        birth_year="birth_year",
        nurture_decile=pl.col("decile").cast(pl.Int64),
        stat_area="stat_area",
        years_in_israel="years_in_israel",
        is_sen_integration="is_sen",
        is_gifted="is_gifted",
        is_amirim="is_amirim",
        parent_education_years="parent_education",
        has_home_internet="has_internet",
    )
