"""What goes with the gaps: causes, recurring patterns, what people say; associations only."""

from __future__ import annotations

import polars as pl

from models.causes import (
    between_within,
    borda_order,
    cause_contributions,
    data_agreement,
    data_disagreements,
    group_gap,
    kemeny_order,
    ladder_agreement,
    oaxaca_blinder,
    phenomena,
    theil,
    triangulate,
)
from models.keys import WHOLE
from pipelines.diagnose.gates import GATES
from pipelines.settings.city import CityFolder
from pipelines.warehouse.tables import Step, Tables, nothing

LEAST_SCHOOLS = 6
# Deciles 1-3 are the strong end of the nurture index, 8-10 the weak one.
STRONG, WEAK = 3, 8
_BACKGROUND = ("absence_pct", "is_new_immigrant", "is_sen_integration", "has_home_internet")


def causes(city: CityFolder, tables: Tables) -> Tables:
    """Return each school's gap shared out to causes, and the catalogue with what people say."""
    catalogue = tables["core_cause"]
    gaps = tables["mart_gap_school"].filter(pl.col("subject") == WHOLE, "is_measured")
    measured = catalogue.drop_nulls("cause_measure").join(
        tables["core_cause_measure"], on="cause_measure"
    )
    contributions = nothing("mart_cause_contribution")
    if gaps.height >= LEAST_SCHOOLS and measured.height:
        contributions = cause_contributions(
            gaps.select("semel_mosad", "gap_sd", "gap_se_sd"),
            measured.select(
                "cause_id",
                "semel_mosad",
                pl.col("measure_value").alias("measure"),
                pl.lit(True).alias("is_measured"),
            ),
            catalogue.drop_nulls("cause_measure").select(
                "cause_id",
                pl.col("cause_id").alias("cause_group"),
                pl.col("expected_sd_per_unit").alias("prior_sd_per_unit"),
                pl.col("expected_spread").alias("prior_spread"),
                "source",
            ),
        ).rename({"cause_group": "cause_id"})
    strength = (
        contributions.filter(pl.col("contribution_sd").is_not_null())
        .group_by("cause_id")
        .agg(
            pl.col("contribution_sd").abs().mean().alias("mean_contribution_sd"),
            (pl.col("contribution_lo_sd") > 0).sum().cast(pl.Int32).alias("schools_widened"),
            pl.col("is_measured").sum().cast(pl.Int32).alias("schools_measured"),
        )
        .sort("cause_id")
    )
    people, agreement = _people(city, tables["stg_voice__ladders"], strength)
    described = (
        catalogue.select(
            "cause_id",
            "cause_name_he",
            "cause_name_en",
            "cause_measure",
            "is_in_power",
            "action_channel",
            "source",
            "reason",
        )
        .join(strength, on="cause_id", how="left")
        .join(people, on="cause_id", how="left")
        .with_columns(
            pl.when(pl.col("mean_contribution_sd").is_null())
            .then(pl.lit("judgement"))
            .otherwise(pl.lit("association"))
            .alias("evidence"),
            pl.col("schools_measured", "schools_widened").fill_null(0),
        )
    )
    return {
        "mart_cause": described,
        "mart_cause_contribution": contributions,
        "mart_ladder_agreement": agreement,
    }


def _people(
    city: CityFolder, ladders: pl.DataFrame, strength: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the people's order of causes beside the data's, and how far they agree."""
    least = city.policy.diagnose.least_participants.value
    columns = (
        "cause_id",
        "people_rank",
        "people_rank_lo",
        "people_rank_hi",
        "consensus_place",
        "data_place",
        "is_disagreement",
    )
    empty = nothing("mart_cause").select(columns)
    if ladders["participant_hash"].n_unique() < least or ladders["cause_id"].n_unique() < 2:
        return empty, nothing("mart_ladder_agreement")
    known = strength.filter(pl.col("cause_id") != "unexplained").select(
        "cause_id", pl.col("mean_contribution_sd").alias("contribution")
    )
    orders = borda_order(ladders, least_participants=least).filter(pl.col("role") == WHOLE)
    named = orders.select("cause_id", "people_rank", "people_rank_lo", "people_rank_hi")
    named = named.join(
        kemeny_order(ladders, least_participants=least).select(
            "cause_id", pl.col("kemeny_rank").alias("consensus_place")
        ),
        on="cause_id",
    )
    apart = data_disagreements(ladders, known, least_participants=least).filter(
        pl.col("role") == WHOLE
    )
    both = named.join(
        apart.select("cause_id", pl.col("data_rank").alias("data_place"), "is_disagreement"),
        on="cause_id",
        how="left",
    )
    agreement = ladder_agreement(ladders, least_participants=least).join(
        data_agreement(ladders, known, least_participants=least).select(
            "role", "kendall_tau", "kendall_tau_lo", "kendall_tau_hi"
        ),
        on="role",
        how="left",
    )
    return both.select(columns), agreement.filter("is_publishable").rename(
        {"participants": "ladder_participants", "role": "about_role"}
    )


def patterns(city: CityFolder, tables: Tables) -> Tables:
    """Return gaps that recur, with the number of false alarms to expect among them (R44)."""
    policy = city.policy.diagnose
    cells = tables["core_gap_cell"].filter(pl.col("group_id") == WHOLE).drop("group_id")
    first = tables["core_city"]["window_last_year"].item() - 4
    found = phenomena(
        cells.filter(pl.col("school_year") >= first),
        tables["mart_gap_component"].select("component", "component_sd"),
        years=policy.phenomenon_years.value,
        margin_sd=policy.margin_sd.value,
        fdr=policy.false_discovery_rate.value,
    )
    parts = [
        pl.col("scope"),
        *(
            pl.col(name).cast(pl.String).fill_null("-")
            for name in ("semel_mosad", "subject", "grade")
        ),
    ]
    return {
        "mart_phenomenon": found.with_columns(
            pl.concat_str(parts, separator="|").alias("phenomenon_id"),
            pl.col("scope").alias("phenomenon_scope"),
        )
    }


def decomposition(city: CityFolder, tables: Tables) -> Tables:
    """Return what the gap by background is made of, and how money is spread (R41)."""
    last = tables["core_city"]["window_last_year"].item()
    pupils = tables["core_pupil_level"].filter(
        pl.col("school_year") == last, pl.col("pupil_level_sd").is_not_null()
    )
    return {
        "mart_gap_decomposition": _decomposed(pupils),
        "mart_money_inequality": _money(tables),
    }


def _decomposed(pupils: pl.DataFrame) -> pl.DataFrame:
    ends = pupils.filter((pl.col("nurture_decile") <= STRONG) | (pl.col("nurture_decile") >= WEAK))
    ends = ends.with_columns((pl.col("nurture_decile") <= STRONG).alias("is_ahead"))
    if ends["is_ahead"].n_unique() < 2 or ends["semel_mosad"].n_unique() < LEAST_SCHOOLS:
        return nothing("mart_gap_decomposition")
    spread = between_within(pupils.select("semel_mosad", pl.col("pupil_level_sd").alias("value")))
    apart = group_gap(
        ends.select("semel_mosad", "is_ahead", pl.col("pupil_level_sd").alias("value"))
    )
    usable = [name for name in _BACKGROUND if ends[name].drop_nulls().n_unique() > 1]
    full = ends.drop_nulls(usable).with_columns(pl.col(usable).cast(pl.Float64))
    without_interval = {
        "regressor": pl.lit(WHOLE),
        "contribution_lo": pl.lit(None, pl.Float64),
        "contribution_hi": pl.lit(None, pl.Float64),
    }
    rows = [
        spread.with_columns(
            decomposition=pl.lit("variance"), contribution="variance", **without_interval
        ),
        apart.with_columns(
            decomposition=pl.lit("sorting"),
            contribution="gap",
            n_pupils=pl.col("n_ahead") + pl.col("n_behind"),
            **without_interval,
        ),
    ]
    if usable and full["is_ahead"].n_unique() == 2:
        rows.append(
            oaxaca_blinder(full, "pupil_level_sd", "is_ahead", dict.fromkeys(usable), draws=200)
        )
    return pl.concat(
        frame.select(
            "decomposition",
            "part",
            "regressor",
            "contribution",
            "contribution_lo",
            "contribution_hi",
            pl.col("n_pupils").cast(pl.Int32).alias("decomposition_pupils"),
            pl.col("n_schools").cast(pl.Int32).alias("decomposition_schools"),
        )
        for frame in rows
    )


def _money(tables: Tables) -> pl.DataFrame:
    """Return Theil's T of the money per pupil over schools, within and between streams, by year."""
    sizes = tables["core_school_year"].select("semel_mosad", "school_year", "pupils")
    streams = tables["core_school"].select("semel_mosad", "stream")
    spent = (
        tables["core_budget_line"]
        .filter(pl.col("year_type") == "school_year")
        .group_by("semel_mosad", "school_year")
        .agg(pl.col("plan_agorot").sum())
        .join(sizes, on=["semel_mosad", "school_year"])
        .join(streams, on="semel_mosad")
        .filter(pl.col("pupils") > 0, pl.col("plan_agorot") > 0)
        .sort("school_year", "semel_mosad")
    )
    rows = [
        theil(
            part.select(
                pl.col("stream").alias("group_id"),
                (pl.col("plan_agorot") / pl.col("pupils")).alias("value"),
            )
        ).select(
            pl.lit(year).alias("school_year"),
            "part",
            "theil_t",
            pl.col("share_pct").alias("theil_share_pct"),
            pl.col("n_units").cast(pl.Int32).alias("schools_measured"),
        )
        for (year,), part in spent.group_by("school_year", maintain_order=True)
        if part.height >= LEAST_SCHOOLS
    ]
    return pl.concat(rows) if rows else nothing("mart_money_inequality")


# What the hard data say of a theme of the talks: the measure, and from where on a school is weak in
# it.
_HARD = {
    "absence": "absence_days",
    "climate": "poor_climate_pct",
    "home_internet": "no_home_internet_pct",
    "immigrant_language": "new_immigrants_pct",
}


def triangulation(city: CityFolder, tables: Tables) -> Tables:
    """Return, per school and theme, whether what people say and what is measured agree (R50)."""
    themes = tables["core_excerpt_theme"]
    if themes.is_empty():
        return {"mart_triangulation": nothing("mart_triangulation")}
    measured = tables["core_cause_measure"]
    frames = [
        measured.filter(pl.col("cause_measure") == measure).select(
            pl.col("semel_mosad").alias("place"),
            pl.lit(theme).alias("theme"),
            (pl.col("measure_value") > pl.col("measure_value").median()).alias("is_weak"),
            pl.lit(None, pl.Float64).alias("p_weak"),
        )
        for theme, measure in _HARD.items()
    ]
    gaps = tables["mart_gap_school"].filter(pl.col("subject") == WHOLE, "is_measured")
    frames.append(
        gaps.select(
            pl.col("semel_mosad").alias("place"),
            pl.lit("achievement").alias("theme"),
            (pl.col("gap_sd") > pl.col("gap_sd").median()).alias("is_weak"),
            pl.lit(None, pl.Float64).alias("p_weak"),
        )
    )
    negative = (pl.col("excerpts") * pl.col("negative_pct") / 100).round().cast(pl.Int64)
    said = pl.concat(
        [
            themes.select(
                pl.col("semel_mosad").alias("place"),
                "theme",
                pl.lit(sentiment).alias("sentiment"),
                n.alias("n"),
            )
            for sentiment, n in (
                ("negative", negative),
                ("positive", pl.col("excerpts").cast(pl.Int64) - negative),
            )
        ]
    )
    found = triangulate(
        pl.concat(frames), said, least_excerpts=city.policy.diagnose.least_excerpts.value
    )
    return {
        "mart_triangulation": (
            found.filter(pl.col("excerpts") > 0).rename(
                {"place": "semel_mosad", "label": "triangulation_label"}
            )
        )
    }


STEPS = (
    Step(
        "causes",
        "diagnose",
        makes=("mart_cause", "mart_cause_contribution", "mart_ladder_agreement"),
        reads=("core_cause", "core_cause_measure", "mart_gap_school", "stg_voice__ladders"),
        after=GATES,
        compute=causes,
    ),
    Step(
        "phenomena",
        "diagnose",
        makes=("mart_phenomenon",),
        reads=("core_gap_cell", "core_city", "mart_gap_component"),
        after=GATES,
        compute=patterns,
    ),
    Step(
        "decomposition",
        "diagnose",
        makes=("mart_gap_decomposition", "mart_money_inequality"),
        reads=(
            "core_pupil_level",
            "core_city",
            "core_school",
            "core_school_year",
            "core_budget_line",
        ),
        after=GATES,
        compute=decomposition,
    ),
    Step(
        "triangulation",
        "diagnose",
        makes=("mart_triangulation",),
        reads=("core_excerpt_theme", "core_cause_measure", "mart_gap_school"),
        after=GATES,
        compute=triangulation,
    ),
)
