"""The diagnosis page: whole or part, groups, what goes with the gaps, what cannot be said.

Hebrew, right to left, without scripts. Every number carries the address of its mart cell; every
chart stands beside a table of the same numbers. What is shown are associations, never effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from models.cells import LEAST_SCHOOLS
from models.keys import WHOLE
from pipelines.publish import charts
from pipelines.publish.pages.base import ReportContext, Rows, counts, first_row, page
from pipelines.publish.words import label
from pipelines.settings.fields import dictionary

MOST_PHENOMENA, MOST_SCHOOLS = 12, 12


def render_diagnosis(tables: Mapping[str, pl.DataFrame], context: ReportContext) -> str:
    """Return the page as one HTML text.

    Args:
        tables: the marts, as the audience may see them.
        context: what the page says about itself.
    """
    return page(
        "diagnosis",
        tables,
        context,
        choice=lambda name: _choice(name, tables["mart_need_indicator"]),
        city=tables["mart_gap_city"].sort("subject").to_dicts(),
        areas=_areas(tables["mart_gap_area"]),
        city_pattern=first_row(tables["mart_subject_pattern"].filter(place="city")),
        components=tables["mart_gap_component"].to_dicts(),
        least_schools=LEAST_SCHOOLS,
        domains=tables["mart_domain"].sort("domain_status", "domain_id").to_dicts(),
        groups=_groups(tables),
        standing=_standing(tables),
        peers=tables["mart_peer_school"]
        .filter(subject=WHOLE)
        .sort("semel_mosad", "peer_place")
        .to_dicts(),
        trends=_trends(tables["mart_gap_trend"]),
        segments=tables["mart_gap_trend"]
        .filter(pl.col("place") == "city", pl.col("segments") > 1)
        .height,
        absence=_absence(tables["mart_expected_absence"]),
        metrics=tables["mart_early_warning"]
        .filter(pl.col("metric").is_in(["auc", "log_loss_gain_over_base_rate"]))
        .to_dicts(),
        bins=tables["mart_early_warning_bin"].sort("risk_bin").to_dicts(),
        causes=tables["mart_cause"]
        .sort("mean_contribution_sd", "cause_id", descending=[True, False], nulls_last=True)
        .to_dicts(),
        causes_schools=int(tables["mart_cause"]["schools_measured"].max() or 0),  # type: ignore[arg-type]
        margin_sd=_margin(tables["mart_parameter"]),
        parts=_parts(tables),
        agreement=first_row(tables["mart_ladder_agreement"].filter(about_role=WHOLE)),
        phenomena=_phenomena(tables["mart_phenomenon"]),
        phenomena_total=int(tables["mart_phenomenon"]["is_phenomenon"].sum()),
        false_alarms=_false_alarms(tables["mart_phenomenon"]),
        decomposition=_decomposition(tables["mart_gap_decomposition"]),
        money=(
            tables["mart_money_inequality"]
            .filter(pl.col("school_year") == pl.col("school_year").max())
            .sort(pl.col("part") == "total", "part")
            .to_dicts()
        ),
        triangulation=counts(tables["mart_triangulation"], "triangulation_label"),
        contradictions=tables["mart_triangulation"]
        .filter(pl.col("triangulation_label") == "contradict")
        .to_dicts(),
        chains=counts(tables["mart_chain"], "chain_link"),
        broken=tables["mart_chain"].filter("has_gap", pl.col("chain_link") != "whole").to_dicts(),
        choices=tables["mart_need_choice"]
        .sort("tier_changed_pct", "choice", descending=[True, False])
        .to_dicts(),
        indicators=tables["mart_indicator"].sort("indicator_id").to_dicts(),
        off_weight=_off_weight(tables["mart_indicator"]),
        fragile=(
            tables["mart_need_index"]
            .filter(pl.col("tier_acceptability_pct") < 60)
            .sort("school_name_he", "semel_mosad")
            .to_dicts()
        ),
        silent=_cannot_say(tables),
        charts=_charts(tables),
    )


def _margin(parameters: pl.DataFrame) -> float:
    """Return the smallest gap that matters, pupil SD, as the policy registers it."""
    own = parameters.filter(parameter_id="policy.diagnose.margin_sd")
    return float(own["parameter_value"][0])


def _choice(name: str, indicators: pl.DataFrame) -> str:
    """Return in words what was chosen otherwise (`choice` of `mart_need_choice`)."""
    kind, _, what = name.partition("_")
    if kind == "without":
        return f"בלי המחוון: {indicators.filter(indicator_id=what)['indicator_name_he'][0]}"
    if kind == "order":
        return f"סדר אחר של הממוצע המוכלל: {what}"
    return {"near": "משקלות קרובים לרשומים", "any": "משקלות כלשהם"}[what]


def _areas(areas: pl.DataFrame) -> dict[str, Rows]:
    """Return the areas of each kind over all subjects, by name, then those that are not known."""
    whole = areas.filter(subject=WHOLE).sort(pl.col("area") == "none", "area")
    kinds = map(str, dictionary().fields["area_kind"].allowed)
    return {kind: whole.filter(area_kind=kind).to_dicts() for kind in kinds}


def _groups(tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return the groups over all subjects, the widest contrast first."""
    named = tables["mart_group"].select("group_id", "group_name_he", "group_dimension")
    rows = tables["mart_gap_group"].filter(pl.col("subject") == WHOLE).join(named, on="group_id")
    return rows.sort("group_dimension", "group_id").to_dicts()


def _standing(tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return each school's raw and adjusted gap over all subjects, by stream and name."""
    pattern = tables["mart_subject_pattern"].rename({"place": "semel_mosad"})
    rows = (
        tables["mart_gap_school"]
        .filter(pl.col("subject") == WHOLE)
        .join(pattern, on="semel_mosad", how="left")
    )
    return rows.sort("stream", "school_name_he", "semel_mosad").to_dicts()


def _trends(trends: pl.DataFrame) -> Rows:
    """Return the city's subjects, and the schools whose trend is sure."""
    city = trends.filter(pl.col("place") == "city").sort("subject")
    sure = trends.filter(
        pl.col("place") != "city", pl.col("trend").is_in(["worsening", "improving"])
    )
    return [*city.to_dicts(), *sure.sort("trend", "place", "subject").head(MOST_SCHOOLS).to_dicts()]


def _absence(expected: pl.DataFrame) -> Rows:
    """Return the school × grade cells with the most pupils expected."""
    shown = expected.drop_nulls("absent_expected_pupils")
    return (
        shown.sort(
            "absent_expected_pupils", "semel_mosad", "grade", descending=[True, False, False]
        )
        .head(MOST_SCHOOLS)
        .to_dicts()
    )


def _widest(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the schools among the widest gaps, by name: those a committee will ask about."""
    gaps = tables["mart_gap_school"].filter(
        pl.col("subject") == WHOLE, pl.col("gap_sd").is_not_null()
    )
    return (
        gaps.sort("p_worst_k", "gap_sd", descending=True, nulls_last=True)
        .head(MOST_SCHOOLS)
        .sort("school_name_he", "semel_mosad")
        .select("semel_mosad", "school_name_he")
    )


def _parts(tables: Mapping[str, pl.DataFrame]) -> Rows:
    """Return the parts of the gap of the schools with the widest gaps, each with its causes."""
    causes = tables["mart_cause"].select("cause_id").with_row_index("place")
    parts = (
        tables["mart_cause_contribution"]
        .drop_nulls("contribution_sd")
        .join(_widest(tables), on="semel_mosad")
        .join(causes, on="cause_id", how="left")
        .sort("school_name_he", "semel_mosad", "place", nulls_last=True, maintain_order=True)
    )
    return [
        {"school_name_he": own["school_name_he"][0], "parts": own.to_dicts()}
        for own in parts.partition_by("semel_mosad", maintain_order=True)
    ]


def _phenomena(found: pl.DataFrame) -> Rows:
    listed = found.filter("is_phenomenon")
    return [
        row
        for direction in ("below", "above")
        for row in (
            listed.filter(pl.col("direction") == direction)
            .sort(pl.col("gap_mean_sd").abs(), "phenomenon_id", descending=[True, False])
            .head(MOST_PHENOMENA)
            .to_dicts()
        )
    ]


def _false_alarms(found: pl.DataFrame) -> float:
    listed = found.filter("is_phenomenon")
    return float(listed["false_alarms_expected"].max() or 0.0) if listed.height else 0.0  # type: ignore[arg-type]


def _decomposition(rows: pl.DataFrame) -> Rows:
    whole = rows.filter(
        pl.col("decomposition").is_in(["variance", "sorting"])
        | ((pl.col("decomposition") == "twofold") & (pl.col("regressor") == "all"))
    )
    return whole.sort("decomposition", pl.col("part") == "total", "part").to_dicts()


def _cannot_say(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return the counts behind "what cannot be said"."""
    pairs = tables["mart_gap_school"].filter(pl.col("subject") != WHOLE)
    whole = tables["mart_gap_school"].filter(
        pl.col("subject") == WHOLE, pl.col("gap_sd").is_not_null()
    )
    width = (whole["gap_rank_hi"] - whole["gap_rank_lo"] + 1).median()
    unexplained = tables["mart_cause_contribution"].filter(pl.col("cause_id") == "unexplained")
    return {
        "cannot_tell": pairs.filter(pl.col("gap_tier") == "cannot_tell").height,
        "not_measured": pairs.filter(pl.col("gap_tier") == "not_measured").height,
        "pairs": pairs.height,
        "bands": pairs.filter("is_band").height,
        "schools": whole.height,
        "rank_width": width,
        "unexplained": (
            unexplained.filter(
                (pl.col("contribution_lo_sd") > 0) | (pl.col("contribution_hi_sd") < 0)
            ).height
        ),
        "explained_schools": unexplained.height,
        "carried": tables["mart_gap_carried"].height,
        "not_measured_domains": (
            tables["mart_domain"].filter(pl.col("domain_status") == "not_measured").height
        ),
        "untested": (
            whole.filter(pl.col("untested_share_pct") > 10).sort("school_name_he").to_dicts()
        ),
    }


def _charts(tables: Mapping[str, pl.DataFrame]) -> dict[str, Markup | str]:
    contrasts = tables["mart_gap_group"].filter(
        pl.col("subject") == WHOLE, pl.col("contrast_sd").is_not_null()
    )
    contrasts = contrasts.join(
        tables["mart_group"].select("group_id", "group_name_he"), on="group_id"
    )
    parts = (
        tables["mart_cause_contribution"]
        .drop_nulls("contribution_sd")
        .join(_widest(tables), on="semel_mosad")
    )
    names = dict(tables["mart_cause"].select("cause_id", "cause_name_he").iter_rows())
    standing = tables["mart_gap_school"].filter(
        pl.col("subject") == WHOLE, pl.col("gap_adjusted_sd").is_not_null()
    )
    return {
        "groups": Markup(charts.contrast_chart(contrasts)) if contrasts.height else "",
        "causes": Markup(charts.cause_chart(parts, names, label("cause_id", "unexplained")))
        if parts.height
        else "",
        "adjusted": Markup(charts.adjusted_chart(standing)) if standing.height else "",
    }


def _off_weight(indicators: pl.DataFrame) -> dict[str, Rows]:
    """Return the indicators that decide far less or far more than their weight says."""
    told, says = pl.col("importance_pct"), pl.col("weight_pct")
    rows = indicators.sort("indicator_id")
    return {
        "less": rows.filter(told < says / 2).to_dicts(),
        "more": rows.filter(told > says * 1.5).to_dicts(),
    }
