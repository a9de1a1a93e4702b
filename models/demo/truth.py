"""The true answers: what estimators, checks and allocations are scored against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import polars as pl
import polars.selectors as cs
from scipy.stats import nbinom

from models.demo import spec
from models.demo.coefficients import Coefficients
from models.demo.profiles import Profile
from models.demo.programmes import RESPONSE_IDS, Cutoff
from models.demo.pupils import dropout_rate
from models.demo.scores import Components

TARGET_INTERNAL_SD = (spec.TARGET_INTERNAL - spec.INTERNAL_MEAN) / spec.INTERNAL_SD
FAR_BELOW_SD = 0.5
_DECIMALS = 9  # beyond it, sums depend on the order in which threads add
_GROUPS = {
    "all": pl.lit(True),
    "decile_1_3": pl.col("decile") <= 3,
    "decile_8_10": pl.col("decile") >= 8,
    "immigrant": pl.col("is_immigrant"),
    "sen_integration": pl.col("is_sen"),
}


def pupil_truth(described: pl.DataFrame, truth: np.ndarray) -> pl.DataFrame:
    """Return true scores of one year in long form, in the grades where the subject is tested."""
    background = described.select(
        "school", "school_year", "grade", "decile", "is_immigrant", "is_sen"
    )
    return pl.concat(
        background.with_columns(
            subject=pl.lit(subject), true_score_sd=pl.Series(truth[:, column])
        ).filter(pl.col("grade") >= spec.FIRST_TESTED_GRADE[column])
        for column, subject in enumerate(spec.SUBJECTS)
    )


def gap_frame(pupils: pl.DataFrame, schools: pl.DataFrame, by_grade: bool) -> pl.DataFrame:
    """Return true gaps, in units of the scales' SD (14 points of INT, 100 of L1 and L2).

    Args:
        pupils: rows of `pupil_truth`.
        schools: the school table.
        by_grade: per grade, or over the tested grades.

    Returns:
        per school (current code) × subject (× grade) × year × group: `pupils`, `true_mean_sd`,
        `far_below_pupils` (half an SD or more below 72 % correct), and the gaps (positive = below
        target) against the mean of the city's pupils up to decile 5 in the same grade
        (`gap_reference_sd`), 72 % correct (`gap_internal_sd`), and 500 on L1 = 510 on L2
        (`gap_external_sd`). Only pupils of the register, tested or not; no test error.
    """
    stage = ["school_year", "subject", "grade"]
    reference = (
        pupils.filter(pl.col("decile") <= spec.REFERENCE_MAX_DECILE)
        .group_by(stage)
        .agg(reference=pl.col("true_score_sd").mean())
    )
    cell = ["semel_mosad", "subject", *(["grade"] if by_grade else []), "school_year"]
    rows = pupils.join(reference, on=stage, how="left", maintain_order="left").join(
        schools.select("school", "semel_mosad"), on="school", how="left", maintain_order="left"
    )
    mean = pl.col("true_score_sd").mean()
    return (
        pl.concat(
            rows.filter(rule)
            .group_by(cell)
            .agg(
                group_id=pl.lit(group),
                pupils=pl.len().cast(pl.Int64),
                true_mean_sd=mean,
                far_below_pupils=(TARGET_INTERNAL_SD - pl.col("true_score_sd") >= FAR_BELOW_SD)
                .sum()
                .cast(pl.Int64),
                gap_reference_sd=(pl.col("reference") - pl.col("true_score_sd")).mean(),
                gap_internal_sd=TARGET_INTERNAL_SD - mean,
                gap_external_sd=-mean,
            )
            for group, rule in _GROUPS.items()
        )
        .select(*cell, pl.exclude(cell))
        .with_columns(cs.float().round(_DECIMALS))
        .sort(*cell, "group_id")
    )


def component_frame(parts: Components, schools: pl.DataFrame, years: Sequence[int]) -> pl.DataFrame:
    """Return every school component (u, v, w, x) and planted shift; "all" = all subjects."""
    codes, subjects = schools["semel_mosad"].to_list(), spec.SUBJECTS
    frames = []
    for name, values, has_subject, has_year in (
        ("school", parts.school, False, False),
        ("school_subject", parts.school_subject, True, False),
        ("school_year", parts.school_year, False, True),
        ("school_subject_year", parts.school_subject_year, True, True),
        ("planted", parts.planted[:, :, 1:].mean(2), True, False),  # mean of grades 2–6
    ):
        shape = (len(codes), len(subjects) if has_subject else 1, len(years) if has_year else 1)
        school, subject, year = (index.ravel() for index in np.indices(shape))
        frames.append(
            pl.DataFrame(
                {
                    "component": [name] * values.size,
                    "semel_mosad": np.array(codes)[school],
                    "subject": np.array(subjects if has_subject else ["all"])[subject],
                    "school_year": pl.Series(
                        np.array(years)[year] if has_year else [None] * values.size, dtype=pl.Int64
                    ),
                    "value_sd": values.ravel(),
                }
            )
        )
    return pl.concat(frames).sort("component", "semel_mosad", "subject", "school_year")


def rate_frame(
    described: pl.DataFrame, schools: pl.DataFrame, absent: np.ndarray, climate: np.ndarray
) -> pl.DataFrame:
    """Return what to expect of each school in one year, where files show one draw of it.

    Args:
        described: the year's pupils with their properties.
        schools: the school table.
        absent: expected days of absence, per row.
        climate: percent expected to agree, school × facet.

    Returns:
        semel_mosad (current code), school_year, measure, rate_pct: chronic absence (a tenth of the
        days or more), leaving unseen, and feeling safe, each of 100 pupils.
    """
    k, tenth = spec.ABSENCE_K, -(-spec.SCHOOL_DAYS // 10)
    safe = climate[:, list(spec.CLIMATE_MEAN).index("safety")]
    rates = {
        "chronic_absence": 100 * nbinom.sf(tenth - 1, k, k / (k + absent)),
        "overt_dropout": 100 * dropout_rate(described["decile"].to_numpy()),
        "climate_safety": safe[described["school"].to_numpy()],
    }
    return (
        described.select("school", "school_year")
        .with_columns(pl.Series(name, rate) for name, rate in rates.items())
        .group_by("school", "school_year")
        .agg(pl.col(*rates).mean().round(_DECIMALS))
        .join(schools.select("school", "semel_mosad"), on="school")
        .unpivot(
            list(rates),
            index=["semel_mosad", "school_year"],
            variable_name="measure",
            value_name="rate_pct",
        )
    )


def need_frame(gaps: pl.DataFrame, schools: pl.DataFrame, last_year: int) -> pl.DataFrame:
    """Return schools by true need: the mean gap of the subjects in the last year; 1 = greatest."""
    quarter = ((pl.col("rank") - 1) * 4 // pl.len()).cast(pl.Int64)
    return (
        gaps.filter((pl.col("group_id") == "all") & (pl.col("school_year") == last_year))
        .group_by("semel_mosad")
        .agg(need_sd=pl.col("gap_reference_sd").mean().round(_DECIMALS))
        .join(schools.select("semel_mosad", "label", "stream"), on="semel_mosad")
        .sort("need_sd", "semel_mosad", descending=[True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1))
        .with_columns(tier=quarter.replace_strict(dict(enumerate("ABCD")), return_dtype=pl.String))
        .select("semel_mosad", "label", "stream", "need_sd", "rank", "tier")
    )


def effect_frame(
    effects: np.ndarray, schools: pl.DataFrame, runs: np.ndarray, planted: Coefficients
) -> pl.DataFrame:
    """Return the true effect of each response on its participants in each school, served or not.

    `effect_sd` is per year at full dose; `effect_weak_sd` for pupils of decile 8 and above.
    """
    response, school, subject = (index.ravel() for index in np.indices(effects.shape))
    factor = np.array([planted.weak_factor.get(name, 1.0) for name in RESPONSE_IDS])
    return pl.DataFrame(
        {
            "response_id": np.array(RESPONSE_IDS)[response],
            "subject": np.array(spec.SUBJECTS)[subject],
            "semel_mosad": schools["semel_mosad"].to_numpy()[school],
            "is_served": runs[response, school],
            "effect_sd": effects.ravel(),
            "effect_weak_sd": effects.ravel() * factor[response],
        }
    ).sort("response_id", "subject", "semel_mosad")


def assignment_frame(delivery: pl.DataFrame, cutoffs: Sequence[Cutoff]) -> pl.DataFrame:
    """Return how participants were chosen, per response, school and year; the cut-off if any.

    In a lottery the pool is every pupil of the school; a cut-off is last year's mean internal
    score in Hebrew and mathematics at or below which a pupil was admitted.
    """
    key = ["response_id", "semel_mosad", "school_year"]
    cuts = pl.DataFrame(
        [asdict(cut) for cut in cutoffs],
        schema={
            "response_id": pl.String,
            "semel_mosad": pl.String,
            "school_year": pl.Int64,
            "cutoff": pl.Float64,
        },
    )
    return (
        delivery.join(cuts, on=key, how="left")
        .select(*key, "assignment_mechanism", "participants", "eligible_pupils", "cutoff")
        .sort(key)
    )


def cause_frame(schools: pl.DataFrame, profile: Profile, planted: Coefficients) -> pl.DataFrame:
    """Return the planted causes; the citywide cause (background) has no school."""
    rows: list[dict[str, object]] = []
    if profile.slope_factor:
        slope = profile.slope_factor * planted.slope * (spec.PUPIL_SLOPE + spec.SCHOOL_SLOPE)
        rows.append(
            {
                "cause_id": "socio_economic",
                "subjects": ",".join(spec.SUBJECTS),
                "shift_sd": slope,
                "signal": "per unit of the school's nurture index",
            }
        )
    for cause in spec.CAUSES if profile.has_causes else ():
        for code in schools.filter(pl.col("label") == cause.label)["semel_mosad"]:
            rows.append(
                {
                    "semel_mosad": code,
                    "cause_id": cause.cause_id,
                    "subjects": ",".join(cause.subjects),
                    "shift_sd": planted.cause_shift[cause.cause_id],
                    "signal": cause.signal,
                }
            )
    return pl.DataFrame(
        rows,
        schema={
            "semel_mosad": pl.String,
            "cause_id": pl.String,
            "subjects": pl.String,
            "shift_sd": pl.Float64,
            "signal": pl.String,
        },
    )


def unmet_need_frame(need: pl.DataFrame, schools: pl.DataFrame, runs: np.ndarray) -> pl.DataFrame:
    """Return the schools that a response admits but does not serve, by need × pupils (R54)."""
    frames = []
    for response_id, lowest in spec.ELIGIBLE_NURTURE.items():
        served = pl.Series(runs[RESPONSE_IDS.index(response_id)])
        unserved = schools.filter(~served & (schools["nurture"] >= lowest))
        frames.append(
            need.join(unserved.select("semel_mosad", "pupils"), on="semel_mosad")
            .with_columns(unmet=pl.col("need_sd").clip(lower_bound=0) * pl.col("pupils"))
            .sort("unmet", "semel_mosad", descending=[True, False])
            .select(
                pl.lit(response_id).alias("response_id"),
                "semel_mosad",
                "need_sd",
                "pupils",
                pl.int_range(1, pl.len() + 1).alias("rank"),
            )
        )
    return pl.concat(frames)


def overlap_frame(participation: pl.DataFrame, runs: np.ndarray, last_year: int) -> pl.DataFrame:
    """Return how many schools and pupils two targeted responses share in the last year."""
    targeted = [r.response_id for r in spec.RESPONSES if r.is_targeted]
    chosen = participation.filter(pl.col("school_year") == last_year).select("pupil", "response_id")
    shared = (
        chosen.join(chosen, on="pupil", suffix="_b")
        .group_by("response_id", "response_id_b")
        .agg(shared_pupils=pl.len().cast(pl.Int64))
    )
    pairs = [(a, b) for i, a in enumerate(targeted) for b in targeted[i + 1 :]]
    both = [
        int((runs[RESPONSE_IDS.index(a)] & runs[RESPONSE_IDS.index(b)]).sum()) for a, b in pairs
    ]
    return (
        pl.DataFrame(
            {
                "response_id": [a for a, _ in pairs],
                "response_id_b": [b for _, b in pairs],
                "shared_schools": both,
            }
        )
        .join(shared, on=["response_id", "response_id_b"], how="left")
        .with_columns(pl.col("shared_pupils").fill_null(0))
        .sort("response_id", "response_id_b")
    )
