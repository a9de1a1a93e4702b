"""One city from a seed: all files as they would arrive, and the truth behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from models.demo import (
    coefficients,
    committee,
    decisions,
    money,
    programmes,
    registry,
    scores,
    spec,
    voice,
    wellbeing,
)
from models.demo import pupils as pupil_tables
from models.demo import schools as school_tables
from models.demo import truth as truth_tables
from models.demo.forecast import FORECAST, forecast_file
from models.demo.layout import Layout
from models.demo.profiles import profile_named
from models.demo.streams import Streams

DEFAULT_YEARS = (2022, 2023, 2024, 2025, 2026)


@dataclass(frozen=True)
class SyntheticCity:
    """A generated city.

    Attributes:
        files: file name → rows, as a municipality would send them.
        truth: name → true answers; the pipeline never reads them.
        profile: name of the profile.
        seed: seed of all random streams.
        years: school years, the last being the reference year.
        expected: counts that the city declares for the last year, to be found again in the data:
            `schools.<stream>`, `pupils.<stream>`, `pupils.official`, `pupils.all`,
            `served.<response>` (schools).
        layouts: file name → how it is laid out, where that is not a plain table.
        absent: names of yearly files that did not come.
    """

    files: dict[str, pl.DataFrame]
    truth: dict[str, pl.DataFrame]
    profile: str
    seed: int
    years: tuple[int, ...]
    expected: dict[str, int]
    layouts: dict[str, Layout] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def generate(
    seed: int = 1,
    profile: str = "clean",
    years: Sequence[int] | None = None,
    *,
    with_forecast: bool = False,
) -> SyntheticCity:
    """Generate a city. The same arguments always give the same city.

    Args:
        seed: not negative.
        profile: one of `PROFILES`.
        years: consecutive school years in ascending order (2026 = 2025/26); 2022 to 2026 if not
            given. The counts of the source documents hold in the last one.
        with_forecast: whether a registration forecast of the next year came; all else is the same.

    Raises:
        ValueError: if the profile is unknown, the seed negative, or the years not consecutive.

    Source: the generator specification, sections 1–7 (R118).
    """
    chosen = profile_named(profile)
    years = tuple(DEFAULT_YEARS if years is None else years)
    if not years or list(years) != list(range(years[0], years[0] + len(years))):
        raise ValueError(
            f"years must be consecutive and ascending, such as 2022..2026; got {years}"
        )
    if seed < 0:
        raise ValueError(f"the seed must not be negative; got {seed}")
    streams, last = Streams(seed), years[-1]

    areas = school_tables.stat_areas(chosen, streams)
    schools = school_tables.school_table(chosen, areas, streams)
    people, roster, exits = pupil_tables.build(schools, areas, years, streams)
    people = people.with_columns(
        pupil_id=pl.Series(pupil_tables.pupil_ids(people["pupil"].to_numpy()))
    )
    planted = coefficients.drawn(streams)
    parts = scores.components(schools, years, chosen, planted, streams)
    theta = scores.persistence(people, years, streams)
    runs = programmes.running(schools, years, streams)
    factor = chosen.effect_factor
    effects = factor * programmes.true_effects(planted.effects, len(schools), streams)
    gains = programmes.Gains(len(people), effects, planted)
    # What a response leaves of absence, where it has an effect at all.
    leaves = {key: 1 + (left - 1) * factor for key, left in planted.absence_factor.items()}

    files: dict[str, pl.DataFrame] = {}
    true_scores, true_rates, participations, deliveries = [], [], [], []
    cutoffs: list[programmes.Cutoff] = []
    last_scores = np.full(len(people), np.nan)
    before_year: pl.DataFrame | None = None
    for position, year in enumerate(years):
        described = pupil_tables.describe(roster.filter(pl.col("school_year") == year), people)
        # The first year has no year before it: nobody is known to have joined.
        if before_year is None:
            before_year = described
        pupil = described["pupil"].to_numpy()
        now, before = runs[:, :, position], runs[:, :, max(position - 1, 0)]
        participation, passed_over, admitted = programmes.choose(
            described, theta[pupil, position], last_scores[pupil], schools, now, year, streams
        )
        gained = gains.advance(described, participation, now, before)
        score = scores.true_scores(
            described,
            schools,
            parts,
            position,
            theta[pupil, position + 1],
            gained,
            streams(f"classes_{year}"),
        )
        rows = scores.tests(described, score, schools, year, last, streams)
        last_scores = np.full(len(people), np.nan)
        means = scores.mean_internal(rows)
        last_scores[means["pupil"].to_numpy()] = means["score"].to_numpy()
        delivery = programmes.delivery_file(described, participation, now)
        absent = wellbeing.expected_absence(described, participation, schools, leaves, streams)
        climate = wellbeing.expected_climate(described, participation, schools, factor, streams)
        files |= {
            f"schools_{year}.xlsx": school_tables.register_file(schools, described, last),
            f"pupils_{year}.csv": pupil_tables.pupils_file(described),
            f"pupil_scores_{year}.csv": rows.drop("pupil"),
            f"school_bands_{year}.csv": scores.bands_file(rows, schools),
            f"attendance_{year}.csv": wellbeing.attendance_file(described, absent, year, streams),
            f"exits_{year}.csv": wellbeing.exits_file(described, exits),
            f"entries_{year}.csv": wellbeing.entries_file(described, before_year, year, streams),
            f"climate_{year}.csv": wellbeing.climate_file(
                described, climate, schools, year, streams
            ),
            f"informal_{year}.csv": wellbeing.informal_file(
                described, participation, areas, now, factor, year, streams
            ),
            f"delivery_{year}.csv": delivery,
            f"participation_{year}.csv": programmes.participation_file(
                described, participation, passed_over, year, streams
            ),
            f"parents_payments_{year}.csv": money.parents_payments_file(delivery, year, streams),
            f"budget_{year}.csv": money.budget_file(delivery, year, streams),
            f"school_money_{year}.csv": money.school_money_file(described, schools, year, streams),
        }
        before_year = described
        true_scores.append(truth_tables.pupil_truth(described, score))
        true_rates.append(truth_tables.rate_frame(described, schools, absent, climate))
        participations.append(participation)
        deliveries.append(delivery)
        cutoffs += admitted

    in_truth = pl.concat(true_scores)
    gaps = truth_tables.gap_frame(in_truth, schools, by_grade=False)
    need = truth_tables.need_frame(gaps, schools, last)
    signs = voice.hard_signs(
        described, need, files[f"attendance_{last}.csv"], files[f"climate_{last}.csv"]
    )
    said, stances = voice.excerpts(signs, last, streams)
    codes = described["semel_mosad"].unique().sort().to_list()
    people_said, planted_voices = voices(codes, last, streams)
    files |= people_said
    files |= {
        "merges.csv": school_tables.merges_file(schools, last),
        "stat_areas.csv": areas,
        "ratings.csv": voice.ratings_file(last, streams),
        "excerpts.csv": said,
        "ladders.csv": committee.ladders_file(streams),
        "registry.xlsx": registry.registry_file(),
        "assets.csv": registry.assets_file(codes),
        "criteria.csv": registry.criteria_file(codes),
        "decisions.csv": committee.decisions_file(last + 1),
        "meetings.csv": decisions.meetings_file(last + 1),
        "decision_log.csv": decisions.log_file(last + 1),
        "confirmations.csv": decisions.confirmations_file(last + 1, codes, streams),
    }
    truth = {
        "true_gap": gaps,
        "true_gap_grade": truth_tables.gap_frame(in_truth, schools, by_grade=True),
        "true_component": truth_tables.component_frame(parts, schools, years),
        "true_rate": pl.concat(true_rates).sort("semel_mosad", "measure", "school_year"),
        "true_need": need,
        "true_effect": truth_tables.effect_frame(effects, schools, runs[:, :, -1], planted),
        "true_coefficient": planted.frame(),
        "true_assignment": truth_tables.assignment_frame(pl.concat(deliveries), cutoffs),
        "true_cause": truth_tables.cause_frame(schools, chosen, planted),
        "true_unmet_need": truth_tables.unmet_need_frame(need, schools, runs[:, :, -1]),
        "true_overlap": truth_tables.overlap_frame(pl.concat(participations), runs[:, :, -1], last),
        "true_voice": stances,
        **planted_voices,
        "true_letter": decisions.letters_truth(files["confirmations.csv"]),
        "true_silent": schools.filter(pl.col("label") == spec.SILENT_SCHOOL).select("semel_mosad"),
    }
    if with_forecast:
        files[FORECAST], truth["true_forecast"] = forecast_file(described, last + 1, streams)
    return SyntheticCity(files, truth, profile, seed, years, _expected(schools, delivery))


def voices(
    codes: list[str], last_year: int, streams: Streams
) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Return what people say in and beside the meetings, as files, and what is planted of it.

    Args:
        codes: schools of the city.
        last_year: the school year of the meetings; the cycle plans for the next.
        streams: random streams.
    """
    planned, table = last_year + 1, committee.the_table(streams)
    forms, first_need = voice.forms_file(table.members, codes, planned, streams)
    files = {
        "cards.csv": committee.cards_file(table, planned, streams),
        "considerations.csv": committee.considerations_file(table, planned),
        "consideration_scores.csv": committee.consideration_scores_file(planned, streams),
        "forms.csv": forms,
        "wheel.csv": committee.wheel_file(planned, streams),
        "practices.csv": voice.practices_file(codes, last_year, streams),
    }
    return files, table.truth() | {"true_first_need": first_need}


def _expected(schools: pl.DataFrame, delivery: pl.DataFrame) -> dict[str, int]:
    """Counts of the last year, by the school table and the delivery of responses."""
    streams = schools.group_by("stream", maintain_order=True).agg(
        pl.len().alias("schools"), pl.col("pupils").sum()
    )
    served = delivery.group_by("response_id").len().sort("response_id")
    official = schools.filter(pl.col("stream") != spec.UNOFFICIAL)["pupils"].sum()
    return {
        **{f"schools.{stream}": n for stream, n, _ in streams.iter_rows()},
        **{f"pupils.{stream}": n for stream, _, n in streams.iter_rows()},
        "pupils.official": official,
        "pupils.all": schools["pupils"].sum(),
        **{f"served.{response}": n for response, n in served.iter_rows()},
    }
