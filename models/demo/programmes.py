"""Responses: where they run, whom they serve, what they truly do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.coefficients import Coefficients
from models.demo.streams import Streams

RESPONSE_IDS = tuple(response.response_id for response in spec.RESPONSES)
_TARGETED = np.array([response.is_targeted for response in spec.RESPONSES])
PARTICIPATION_SCHEMA = {
    "school_year": pl.Int64,
    "pupil": pl.Int64,
    "response_id": pl.String,
    "dose": pl.Float64,
    "assignment_mechanism": pl.String,
    "selection_score": pl.Float64,
    "is_invited": pl.Boolean,
}


def running(schools: pl.DataFrame, years: Sequence[int], streams: Streams) -> np.ndarray:
    """Return where each response runs: boolean response × school × year.

    Whether a school has enrolment in a year is not looked at here.
    """
    n = len(schools)
    listed = schools["programmes"]
    nurture = schools["nurture"].to_numpy()
    weakness_rank = np.argsort(np.argsort(-nurture, kind="stable"), kind="stable")
    back = years[-1] - np.array(years)
    result = np.zeros((len(spec.RESPONSES), n, len(years)), dtype=bool)
    for index, response in enumerate(spec.RESPONSES):
        served = {
            "listed": listed.list.contains(response.response_id).to_numpy(),
            "weakest": weakness_rank < round(n * response.reach_share),
            "immigrants": schools["immigrant_pct"].to_numpy() >= spec.IMMIGRANT_SCHOOL_PCT,
            "all": np.ones(n, dtype=bool),
        }[response.reach]
        since = np.full(n, np.iinfo(int).max)
        if response.response_id in spec.STARTS:
            low, high = spec.STARTS[response.response_id]
            since = streams(f"start_{response.response_id}").integers(low, high + 1, n)
        result[index] = served[:, None] & (back[None, :] <= since[:, None])
    return result


def true_effects(mean: np.ndarray, n_schools: int, streams: Streams) -> np.ndarray:
    """Return the effect on participants in SD per year: response × school × subject.

    Args:
        mean: the responses' means, response × subject.
        n_schools: number of schools.
        streams: random streams.

    Effects differ between schools around the response's mean; a response without an effect on a
    subject has none anywhere.
    """
    spread = streams("effects").normal(
        0, spec.EFFECT_SCHOOL_SD, (len(spec.RESPONSES), n_schools, len(spec.SUBJECTS))
    )
    return np.where(mean[:, None] == 0, 0.0, mean[:, None] + spread)


def lowest_in_school(school: np.ndarray, score: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mark in each school the pupils with the lowest scores, as many as there are places.

    Args:
        school: school index of each pupil.
        score: what is ranked; pupils with an infinite score are never chosen.
        places: places per school index.
    """
    order = np.lexsort((score, school))
    start = np.searchsorted(school[order], school[order])
    chosen = np.zeros(len(school), dtype=bool)
    chosen[order] = (np.arange(len(school)) - start < places[school[order]]) & np.isfinite(
        score[order]
    )
    return chosen


@dataclass(frozen=True)
class Cutoff:
    """The score at or below which pupils of a threshold school were admitted."""

    response_id: str
    semel_mosad: str
    school_year: int
    cutoff: float


def choose(
    described: pl.DataFrame,
    theta_before: np.ndarray,
    last_scores: np.ndarray,
    schools: pl.DataFrame,
    runs: np.ndarray,
    year: int,
    streams: Streams,
) -> tuple[pl.DataFrame, pl.DataFrame, list[Cutoff]]:
    """Choose this year's participants of all targeted responses.

    Args:
        described: the year's pupils with their properties.
        theta_before: persistent ability before the year, per row.
        last_scores: last year's mean internal score of each row, NaN where there is none.
        schools: the school table.
        runs: response × school, where the response runs this year.
        year: the school year.
        streams: random streams.

    Returns:
        participants as rows of `PARTICIPATION_SCHEMA` sorted by response and pupil; in the same
        form, with dose 0, whom a lottery or threshold passed over or who declined the place it
        offered; and the threshold cut-offs.
    """
    school = described["school"].to_numpy()
    size = np.bincount(school, minlength=len(schools))
    labels = schools["label"].to_numpy()
    parts, passed_over, cutoffs = [], [], []
    for index, response in enumerate(spec.RESPONSES):
        if not response.is_targeted:
            continue
        rng = streams(f"participation_{response.response_id}_{year}")
        places = np.rint(response.served_share * size).astype(int) * runs[index]
        score = _selection_score(response.response_id, described, theta_before, rng)
        mechanism = np.full(len(school), response.mechanism, dtype=object)
        compared = np.zeros(len(school), dtype=bool)
        draw = rng.random(len(school))
        for label in (lab for rid, lab in spec.LOTTERIES if rid == response.response_id):
            # Every pupil of the school may enter; the places are drawn by lot.
            in_lottery = (labels == label)[school]
            score = np.where(in_lottery, draw, score)
            mechanism[in_lottery] = "lottery"
            compared |= in_lottery & (places > 0)[school]
        chosen = lowest_in_school(school, score, places)
        for label in (lab for rid, lab in spec.THRESHOLDS if rid == response.response_id):
            for number in np.flatnonzero(labels == label):
                inside = (school == number) & np.isfinite(last_scores)
                if not places[number] or inside.sum() <= places[number]:
                    continue
                cutoff = np.sort(last_scores[inside])[places[number] - 1]
                chosen[school == number] = (last_scores <= cutoff)[school == number]
                mechanism[school == number] = "threshold"
                compared |= inside
                code = schools["semel_mosad"][int(number)]
                cutoffs.append(Cutoff(response.response_id, code, year, float(cutoff)))
        # Who declines an offered place leaves it empty: offered and taking part are two things
        # (R63).
        declines = (
            streams(f"declined_{response.response_id}_{year}").random(len(school)) < spec.DECLINED
        )
        invited, chosen = chosen, chosen & ~(compared & declines)
        half = rng.random(len(school)) < spec.HALF_DOSE.get(response.response_id, 0.0)
        whole = pl.DataFrame(
            {
                "school_year": np.full(len(school), year),
                "pupil": described["pupil"].to_numpy(),
                "response_id": [response.response_id] * len(school),
                "dose": np.where(chosen, np.where(half, 0.5, 1.0), 0.0),
                "assignment_mechanism": mechanism.astype(str),
                "selection_score": last_scores,
                "is_invited": invited,
            },
            schema=PARTICIPATION_SCHEMA,
        ).with_columns(
            pl.when(pl.col("assignment_mechanism") == "threshold")
            .then("selection_score")
            .fill_nan(None)
        )
        parts.append(whole.filter(chosen).sort("pupil"))
        passed_over.append(whole.filter(compared & ~chosen).sort("pupil"))
    return pl.concat(parts), pl.concat(passed_over), cutoffs


def _selection_score(
    response_id: str, described: pl.DataFrame, theta_before: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Rank of a pupil for a place, lowest first; infinite where the response does not admit."""
    weakness = -theta_before + spec.SELECTION_PER_DECILE * (described["decile"].to_numpy() - 5.5)
    noise = rng.normal(0, spec.SELECTION_NOISE, len(described))
    match response_id:
        case "hebrew_immigrants":
            years = described["years_in_israel"].fill_null(99).to_numpy()
            return np.where(years <= spec.IMMIGRANT_CLASS_YEARS, years + noise, np.inf)
        case "amirim":
            identified = 3.0 * described["is_amirim"].to_numpy()
            old_enough = described["grade"].to_numpy() >= spec.IDENTIFICATION_GRADE
            return np.where(old_enough, -identified - theta_before + noise, np.inf)
        case "gifted_center":
            return np.where(described["is_gifted"].to_numpy(), noise, np.inf)
        case "makom_balev" | "informal_clubs":
            return noise
        case _:
            return -weakness + noise


class Gains:
    """What pupils keep of responses, year after year: pupil × response × subject, in SD."""

    def __init__(self, n_pupils: int, effects: np.ndarray, planted: Coefficients) -> None:
        self._effects, self._planted = effects, planted
        self._stock = np.zeros((n_pupils, len(spec.RESPONSES), len(spec.SUBJECTS)))

    def advance(
        self,
        described: pl.DataFrame,
        participation: pl.DataFrame,
        runs: np.ndarray,
        ran: np.ndarray,
    ) -> np.ndarray:
        """Move one year on and return what each pupil of the year keeps: row × subject.

        Participants have the full effect (discounted where several responses meet in one pupil);
        whoever left keeps a part of it, then that part of the part, and so on.

        Args:
            described: the year's pupils.
            participation: the year's participants.
            runs: response × school this year.
            ran: the same for the year before, for responses that work a year later.
        """
        school, pupil = described["school"].to_numpy(), described["pupil"].to_numpy()
        dose = np.zeros((len(pupil), len(spec.RESPONSES)))
        row_of = np.full(len(self._stock), -1)
        row_of[pupil] = np.arange(len(pupil))
        column_of = {name: column for column, name in enumerate(RESPONSE_IDS)}
        columns = participation["response_id"].replace_strict(column_of, return_dtype=pl.Int64)
        dose[row_of[participation["pupil"].to_numpy()], columns.to_numpy()] = participation["dose"]
        for column, response in enumerate(spec.RESPONSES):
            if not response.is_targeted:
                active = ran if response.response_id in spec.LAGGED else runs
                dose[:, column] = active[column, school]
        now = dose[:, :, None] * self._effects.transpose(1, 0, 2)[school]
        weak = described["decile"].to_numpy() >= spec.WEAK_DECILE
        for name, factor in self._planted.weak_factor.items():
            now[weak, column_of[name]] *= factor
        several = ((dose > 0) & _TARGETED).sum(1) >= 2
        now[np.ix_(several, _TARGETED)] *= self._planted.overlap
        kept = np.where(dose[:, :, None] > 0, now, self._planted.kept * self._stock[pupil])
        self._stock *= self._planted.kept
        self._stock[pupil] = kept
        return kept.sum(1)


def delivery_file(
    described: pl.DataFrame, participation: pl.DataFrame, runs: np.ndarray
) -> pl.DataFrame:
    """Return one year's delivery per school and response (contract of `programmes__delivery`).

    Args:
        described: the year's pupils.
        participation: the year's participants in targeted responses.
        runs: response × school this year.
    """
    grid = pl.DataFrame(
        {
            "school": np.tile(np.arange(runs.shape[1]), len(RESPONSE_IDS)),
            "response_id": np.repeat(RESPONSE_IDS, runs.shape[1]),
            "is_running": runs.ravel(),
            "is_targeted": np.repeat(_TARGETED, runs.shape[1]),
        }
    ).filter("is_running")
    eligible = {
        "hebrew_immigrants": pl.col("years_in_israel") <= spec.IMMIGRANT_CLASS_YEARS,
        "amirim": pl.col("grade") >= spec.IDENTIFICATION_GRADE,
        "gifted_center": pl.col("is_gifted"),
    }
    cell = ["school", "semel_mosad", "school_year"]
    sizes = described.group_by(cell).agg(
        pl.len().alias("pupils"),
        *(rule.sum().alias(f"eligible_{name}") for name, rule in eligible.items()),
    )
    served = (
        participation.join(described.select("pupil", *cell), on=["pupil", "school_year"])
        .group_by("semel_mosad", "response_id")
        .agg(
            pl.len().alias("chosen"),
            pl.col("dose").mean().round(3),
            pl.col("assignment_mechanism").min(),
        )
    )
    eligible_pupils = pl.col("pupils")
    for name in eligible:
        eligible_pupils = (
            pl.when(pl.col("response_id") == name)
            .then(pl.col(f"eligible_{name}"))
            .otherwise(eligible_pupils)
        )
    return (
        grid.join(sizes, on="school")
        .join(served, on=["semel_mosad", "response_id"], how="left")
        # A response may run in a school where nobody is admitted this year: then it has no row.
        .filter(~pl.col("is_targeted") | pl.col("chosen").is_not_null())
        .select(
            "semel_mosad",
            pl.col("school_year"),
            "response_id",
            participants=pl.coalesce("chosen", "pupils").cast(pl.Int64),
            eligible_pupils=eligible_pupils.cast(pl.Int64),
            dose=pl.col("dose").fill_null(1.0),
            assignment_mechanism=pl.col("assignment_mechanism").fill_null("school_wide"),
        )
        .sort("semel_mosad", "response_id")
    )


def participation_file(
    described: pl.DataFrame,
    participation: pl.DataFrame,
    passed_over: pl.DataFrame,
    year: int,
    streams: Streams,
) -> pl.DataFrame:
    """Return one year's pupils of targeted responses (contract of `programmes__participation`).

    Whoever takes part was eligible and invited; the share of sessions attended is drawn around
    85 %. Whom a lottery or a threshold passed over, and who declined its offer, is listed with dose
    0 (R63): a pupil of a lottery was eligible, one beyond a threshold was not. Pupil ids are raw.
    """
    order = ["semel_mosad", "response_id", "pupil_id"]
    known = described.select("pupil", "pupil_id", "semel_mosad")
    rows = participation.join(known, on="pupil").sort(order)
    attended = streams(f"attended_{year}").beta(17, 3, len(rows))
    listed = pl.concat(
        [
            rows.with_columns(attended_pct=pl.Series(attended * 100).round(1)),
            passed_over.join(known, on="pupil"),
        ],
        how="diagonal",
    ).sort(order)
    return listed.select(
        "pupil_id",
        "school_year",
        "semel_mosad",
        "response_id",
        "dose",
        "assignment_mechanism",
        is_eligible_pupil=pl.col("is_invited") | (pl.col("assignment_mechanism") == "lottery"),
        is_invited="is_invited",
        attended_pct="attended_pct",
        selection_score=pl.col("selection_score").round(4),
    )
