"""Where the gaps are and how sure we are: cells, schools, groups, the city, and its trend."""

from __future__ import annotations

import polars as pl

from models.gaps import (
    adjusted_gaps,
    band_cells,
    band_limits,
    city_gaps,
    class_variance,
    excellence,
    exclusion_bounds,
    fit_components,
    gap_tier,
    general_or_subject,
    group_contrasts,
    interval,
    peer_schools,
    planned_missing_gaps,
    rank_summary,
    school_gaps,
    school_years,
    shrunken_gaps,
    similar_gaps,
    trends,
    variance_shares,
    whole_or_part,
)
from models.keys import WHOLE
from models.privacy import mean_step, rounded
from pipelines.diagnose.gates import GATES
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import CITY
from pipelines.warehouse.tables import Step, Tables, nothing

_LEVEL = 0.90  # of the intervals of gaps
CELL = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]


def classes(city: CityFolder, tables: Tables) -> Tables:
    """Return how much classes differ, by scale and subject: part of every mean's error."""
    return {"core_class_variance": class_variance(tables["core_class_cell"])}


def gaps(city: CityFolder, tables: Tables) -> Tables:
    """Return partially pooled gaps by cell and by school, and their variance components."""
    scored, schools = _whole(tables["core_gap_cell"]), tables["core_school"]
    first, last = window_years(tables)
    # How much schools differ is told by scores alone: of a band only what it rules out is known.
    components = fit_components(scored)
    cells = _with_bands(city, tables, scored, components)
    by_school = school_gaps(cells, components, first, last)
    names = schools.filter("is_in_plan").select("semel_mosad", "school_name_he", "stream")
    subjects = pl.concat([by_school.select("subject"), pl.DataFrame({"subject": [WHOLE]})]).unique()
    window = cells.filter("is_measured", pl.col("school_year").is_between(first, last))
    bands = [pl.col("is_band").all()]
    by_subject = [
        window.group_by("semel_mosad", "subject").agg(bands),
        window.group_by("semel_mosad", pl.lit(WHOLE).alias("subject")).agg(bands),
    ]
    tested = pl.concat(by_subject).join(_sizes(window), on=["semel_mosad", "subject"])
    grid = (
        names.join(subjects, how="cross")
        .join(by_school, on=["semel_mosad", "subject"], how="left")
        .join(tested, on=["semel_mosad", "subject"], how="left")
        .with_columns(
            pl.col("is_measured", "is_band").fill_null(False),
            pl.col("cells").fill_null(0),
            pl.col("gap_tier").fill_null("not_measured"),
            pl.lit(first).alias("window_first_year"),
            pl.lit(last).alias("window_last_year"),
        )
    )
    grid = _as_told(grid, "distinct_pupils")
    last_year = cells.filter("is_measured")["school_year"].max()
    return {
        "mart_gap_school_subject": (
            shrunken_gaps(cells, components)
            .with_columns(pl.when(~pl.col("is_band")).then(pl.col("gap_raw_sd", "gap_sampling_sd")))
            .join(names, on="semel_mosad")
        ),
        "mart_gap_school": _among_others(city, tables, grid, window),
        "mart_gap_carried": planned_missing_gaps(
            _linked(cells, tables),
            components,
            last_year,  # type: ignore[arg-type]
        ).filter("is_carried"),
        "mart_gap_component": variance_shares(scored, components),
    }


def _with_bands(
    city: CityFolder, tables: Tables, cells: pl.DataFrame, components: pl.DataFrame
) -> pl.DataFrame:
    """Add the cells known only as a band, each as the measurement that says what its band says."""
    policy, bands = city.policy.diagnose.bands, tables["core_band_cell"]
    usable = bands.drop_nulls(["scale_id", "gap_sampling_sd"])
    known = pl.DataFrame(schema=usable.select(*CELL, "band").schema)
    if policy is not None and usable.height:
        background = _background(tables).rename({"nurture_index": "background"})
        similar = similar_gaps(cells, usable, background, components)
        limits = band_limits(usable, similar, policy.reference_se_sd.value)
        known = band_cells(cells, limits, components).join(
            usable.select(*CELL, "band", "desired_value", "tested_pupils"), on=CELL
        )
    return pl.concat(
        [
            cells.join(known, on=CELL, how="anti").with_columns(pl.lit(False).alias("is_band")),
            known.with_columns(
                pl.lit(True).alias(name)
                for name in ("is_band", "is_measured", "tested_pupils_is_imputed")
            ),
        ],
        how="diagonal",
    )


def _among_others(
    city: CityFolder, tables: Tables, grid: pl.DataFrame, window: pl.DataFrame
) -> pl.DataFrame:
    """Add to each school × subject its standing, its gap adjusted for background, its untested."""
    policy = city.policy.diagnose
    listed = window.filter(pl.col("listed_pupils").is_not_null())
    sizes = [pl.col("tested_pupils", "listed_pupils").sum()]
    known = pl.concat(
        [
            listed.group_by("semel_mosad", "subject").agg(sizes),
            listed.group_by("semel_mosad").agg(pl.lit(WHOLE).alias("subject"), *sizes),
        ]
    ).rename({"tested_pupils": "tested_of_listed"})
    bounded = exclusion_bounds(
        grid.join(known, on=["semel_mosad", "subject"], how="left").with_columns(
            pl.col("tested_pupils").alias("all_tested"),
            pl.col("tested_of_listed").alias("tested_pupils"),
        ),
        policy.untested_lower_by_sd.value,
    ).with_columns(pl.col("all_tested").alias("tested_pupils"))
    measured = grid.filter("is_measured")
    ranks = pl.concat(
        [
            rank_summary(
                measured.filter(pl.col("subject") == subject), policy.worst_k.value
            ).with_columns(pl.lit(subject).alias("subject"))
            for subject in sorted({WHOLE, *measured["subject"]})
        ]
    )
    adjusted = adjusted_gaps(measured, _background(tables), ["nurture_index"])
    return excellence(
        bounded.join(ranks, on=["semel_mosad", "subject"], how="left").join(
            adjusted, on=["semel_mosad", "subject"], how="left"
        ),
        policy.excellence_sd.value,
    )


def _background(tables: Tables) -> pl.DataFrame:
    """Return the last known nurture index of each school."""
    known = tables["core_school_year"].drop_nulls("nurture_index").sort("school_year")
    return known.group_by("semel_mosad").agg(pl.col("nurture_index").last())


def peers(city: CityFolder, tables: Tables) -> Tables:
    """Return whom each school can learn from: alike in background, surely doing better (R57)."""
    adjusted = tables["mart_gap_school"].drop_nulls("gap_adjusted_sd")
    return {"mart_peer_school": peer_schools(adjusted, _background(tables), ["nurture_index"])}


def patterns(city: CityFolder, tables: Tables) -> Tables:
    """Return the answers for the city: whole or part, all subjects or one, groups, trends."""
    every, components = tables["core_gap_cell"], tables["mart_gap_component"]
    margin = city.policy.diagnose.margin_sd.value
    cells = _whole(every)
    first, last = window_years(tables)
    inside = pl.col("school_year").is_between(first, last)
    by_school = tables["mart_gap_school"]
    schools = by_school["semel_mosad"].n_unique()
    components = components.select("component", "component_sd")
    now = city_gaps(cells.filter(inside), components, schools=schools)
    spread = whole_or_part(by_school.filter("is_measured"), now, components, margin_sd=margin)
    breaks = _breaks(tables)
    linked = _linked(cells, tables).rename({"ruler": "segment"})
    yearly = city_gaps(linked, components, schools=schools, by=["segment", "school_year"])
    places = pl.concat(
        [
            yearly.select(
                pl.lit(CITY).alias("place"),
                "subject",
                "school_year",
                "segment",
                "gap_sd",
                "gap_lasting_se_sd",
            ).filter(pl.col("subject") != WHOLE),
            school_years(cells, components),
        ]
    )
    subject_rows = pl.concat(
        [
            now.select(pl.lit(CITY).alias("place"), "subject", "gap_sd", "gap_se_sd"),
            by_school.select(
                pl.col("semel_mosad").alias("place"), "subject", "gap_sd", "gap_se_sd"
            ),
        ]
    ).filter(pl.col("subject") != WHOLE)
    answers = {
        # Of how many schools so many are below: those known only as a band are among them.
        "mart_gap_city": (
            now.drop("schools_measured").join(spread.drop("city_gap_sd"), on="subject")
        ),
        "mart_gap_trend": trends(_apart(places, breaks), city.planning_year).join(
            breaks.group_by("place").agg(
                breaks=pl.format("{} {}", "school_year", "break_kind").str.join(", ")
            ),
            on="place",
            how="left",
        ),
        "mart_subject_pattern": general_or_subject(subject_rows, margin_sd=margin),
    }
    return {**answers, **_groups(every.filter(inside), components, first, last)}


def _groups(cells: pl.DataFrame, components: pl.DataFrame, first: int, last: int) -> Tables:
    """Return gaps by group: in the city against target and other pupils, and in each school."""
    city, by_school = [], []
    for (group_id,), rows in cells.sort("group_id").group_by("group_id", maintain_order=True):
        if group_id == WHOLE or not rows["is_measured"].any():
            continue
        named = pl.lit(group_id).alias("group_id")
        size = _sizes(rows.filter("is_measured"))
        own = rows["semel_mosad"].n_unique()
        listed = rows.filter(pl.col("listed_pupils").is_not_null())
        # Whole percent: how many were not tested is not to be read off it.
        share = (
            (100 * pl.col("tested_pupils").sum() / pl.col("listed_pupils").sum())
            .round()
            .alias("tested_share_pct")
        )
        shares = pl.concat(
            [
                listed.group_by("subject").agg(share),
                listed.select(pl.lit(WHOLE).alias("subject"), share),
            ]
        )
        city.append(
            city_gaps(rows, components, schools=own)
            .join(shares.fill_nan(None), on="subject", how="left")
            .select(named, pl.all())
        )
        by_school.append(
            school_gaps(rows, components, first, last)
            .filter("is_measured")
            .join(size, on=["semel_mosad", "subject"])
            .select(named, pl.all())
        )
    contrasts = group_contrasts(cells)
    if not city:
        return {name: nothing(name) for name in ("mart_gap_group", "mart_gap_group_school")}
    return {
        "mart_gap_group": (
            pl.concat(city).join(
                contrasts.drop("schools_measured", "tested_pupils"),
                on=["group_id", "subject"],
                how="left",
            )
        ),
        "mart_gap_group_school": _as_told(pl.concat(by_school), "tested_pupils"),
    }


def _as_told(gaps: pl.DataFrame, children: str) -> pl.DataFrame:
    """Round gaps and their errors to what the children behind them allow, and all that follows.

    What is made of them – needs, sizes of unmet needs, peers – is told to all digits, and would
    give back the gap as it was (R111).
    """
    step = mean_step(pl.col(children))
    is_known = pl.all_horizontal(pl.col("gap_sd", "gap_se_sd", children).is_not_null())
    near = gaps.with_row_index("row").filter(is_known)
    gap, error = near.select(
        rounded(pl.col("gap_sd"), step).alias("gap_sd"),
        pl.max_horizontal(rounded(pl.col("gap_se_sd"), step), step).alias("gap_se_sd"),
    )
    ends = interval(gap.to_numpy(), error.to_numpy(), _LEVEL)
    told = near.select("row", *ends).with_columns(gap_tier=gap_tier(pl.col("p_below_target")))
    return gaps.with_row_index("row").update(told, on="row").drop("row")


def _sizes(cells: pl.DataFrame) -> pl.DataFrame:
    """Return semel_mosad, subject ("all" too), tests sat, and how many children there are at least.

    A child sits one test of a subject in a year, so that the grades of one year and subject are
    children apart; of other years and subjects it is not known whether they are the same.
    """
    yearly = cells.group_by("semel_mosad", "subject", "school_year").agg(
        pl.col("tested_pupils").sum()
    )
    sizes = (pl.col("tested_pupils").sum(), pl.col("tested_pupils").max().alias("distinct_pupils"))
    return pl.concat(
        [
            yearly.group_by("semel_mosad", "subject").agg(*sizes),
            yearly.group_by("semel_mosad", pl.lit(WHOLE).alias("subject")).agg(*sizes),
        ]
    )


def _breaks(tables: Tables) -> pl.DataFrame:
    """Return the breaks of every place: place, school_year, break_kind; the city's emergencies."""
    breaks = tables["core_trend_break"].rename({"semel_mosad": "place"})
    whole = breaks.filter(break_kind="emergency").with_columns(place=pl.lit(CITY)).unique()
    return pl.concat([breaks, whole]).sort("place", "school_year", "break_kind")


def _apart(places: pl.DataFrame, breaks: pl.DataFrame) -> pl.DataFrame:
    """Give the years of an emergency, and those since a merger, segments of their own."""
    emergency = breaks.filter(break_kind="emergency").select(
        "place", "school_year", emergency=pl.format(" emergency {}", "school_year")
    )
    merger = breaks.filter(break_kind="merged").sort("place", "school_year")
    return (
        places.join(emergency, on=["place", "school_year"], how="left")
        .sort("place", "school_year")
        .join_asof(
            merger.select("place", "school_year", merger=pl.format(" since {}", "school_year")),
            on="school_year",
            by="place",
            check_sortedness=False,
        )
        .with_columns(pl.concat_str("segment", pl.col("emergency", "merger").fill_null("")))
        .drop("emergency", "merger")
    )


def _whole(cells: pl.DataFrame) -> pl.DataFrame:
    return cells.filter(pl.col("group_id") == WHOLE).drop("group_id")


def _linked(cells: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    return cells.join(tables["core_scale_link"], on=["scale_id", "school_year"])


def window_years(tables: Tables) -> tuple[int, int]:
    """Return the first and the last school year of the window that gaps are measured over."""
    row = tables["core_city"].row(0, named=True)
    return row["window_first_year"], row["window_last_year"]


STEPS = (
    Step(
        "classes",
        "diagnose",
        makes=("core_class_variance",),
        reads=("core_class_cell",),
        compute=classes,
    ),
    Step(
        "gaps",
        "diagnose",
        makes=(
            "mart_gap_school_subject",
            "mart_gap_school",
            "mart_gap_component",
            "mart_gap_carried",
        ),
        reads=(
            "core_gap_cell",
            "core_band_cell",
            "core_school",
            "core_school_year",
            "core_scale_link",
            "core_city",
        ),
        after=GATES,
        compute=gaps,
    ),
    Step(
        "peers",
        "diagnose",
        makes=("mart_peer_school",),
        reads=("mart_gap_school", "core_school_year"),
        after=GATES,
        compute=peers,
    ),
    Step(
        "patterns",
        "diagnose",
        makes=(
            "mart_gap_city",
            "mart_gap_trend",
            "mart_subject_pattern",
            "mart_gap_group",
            "mart_gap_group_school",
        ),
        reads=(
            "core_gap_cell",
            "core_scale_link",
            "core_trend_break",
            "core_city",
            "mart_gap_school",
            "mart_gap_component",
        ),
        after=GATES,
        compute=patterns,
    ),
)
