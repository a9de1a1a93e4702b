"""Explore the published gaps of a city: a marimo notebook over the release, never the warehouse.

Run as an app:  .venv/bin/marimo run notebooks/explore_gaps.py
Another city:   TIKKUN_CITY=ashkelon_public .venv/bin/marimo run notebooks/explore_gaps.py
"""

import marimo

app = marimo.App(width="medium", app_title="Tikkun – פערים")


@app.cell
def _():
    import os
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import polars as pl

    return Path, alt, mo, os, pl


@app.cell
def _(Path, os, pl):
    marts = Path(
        os.environ.get("TIKKUN_DATA_MARTS") or Path(__file__).resolve().parent.parent / "data_marts"
    )
    city = os.environ.get("TIKKUN_CITY") or "demo_city"
    release = marts / city / "current" / "analyst"
    if not release.is_dir():
        raise SystemExit(
            f"{release}: nothing is published there yet; run `make run CITY={city}` first"
        )
    gaps = pl.read_parquet(release / "mart_gap_school.parquet")
    cells = pl.read_parquet(release / "mart_gap_school_subject.parquet")
    parameters = pl.read_parquet(release / "mart_parameter.parquet")
    return cells, city, gaps, parameters, release


@app.cell
def _(city, mo, pl, release):
    synthetic = pl.read_parquet(release / "mart_city.parquet")["is_synthetic"].item()
    mark = "**נתונים סינתטיים – אינם מתארים בית ספר או תלמיד כלשהם.**" if synthetic else ""
    mo.md(f"""
        <div dir="rtl">

        # פערים – {city}

        {mark}

        פער = רצוי פחות מצוי, בסטיות תקן של תלמידים; חיובי = מתחת ליעד. הטווח הוא 90%.
        </div>
        """)
    return


@app.cell
def _(gaps, mo):
    subject = mo.ui.dropdown(sorted(gaps["subject"].unique()), value="all", label="Subject")
    tier = mo.ui.multiselect(sorted(gaps["gap_tier"].unique()), label="Tiers (none = all)")
    mo.hstack([subject, tier], justify="start")
    return subject, tier


@app.cell
def _(gaps, pl, subject, tier):
    chosen = gaps.filter(pl.col("subject") == subject.value)
    if tier.value:
        chosen = chosen.filter(pl.col("gap_tier").is_in(tier.value))
    chosen = chosen.sort("gap_tier", "school_name_he")
    return (chosen,)


@app.cell
def _(alt, chosen, mo, pl):
    measured = chosen.filter(pl.col("gap_sd").is_not_null())
    base = alt.Chart(measured).encode(y=alt.Y("school_name_he:N", sort=None, title=None))
    intervals = base.mark_rule().encode(
        x=alt.X("gap_lo_sd:Q", title="gap (pupil SD), 90 % interval"), x2="gap_hi_sd:Q"
    )
    points = base.mark_circle(size=60).encode(
        x="gap_sd:Q", color=alt.Color("gap_tier:N", title="tier")
    )
    (
        mo.ui.altair_chart(intervals + points)
        if measured.height
        else mo.md("Nothing measured in this choice.")
    )
    return (measured,)


@app.cell
def _(chosen, mo):
    mo.ui.table(chosen.drop("window_first_year", "window_last_year").to_dicts(), selection=None)
    return


@app.cell
def _(alt, cells, mo, pl, subject):
    trend = (
        cells.filter("is_measured", (pl.col("subject") == subject.value) | (subject.value == "all"))
        .group_by("scale_id", "school_year", "subject")
        .agg(pl.col("gap_sd").mean(), pl.len().alias("cells"))
        .sort("scale_id", "subject", "school_year")
    )
    # A line never crosses from one scale to another: they are not comparable.
    lines = (
        alt.Chart(trend)
        .mark_line(point=True)
        .encode(
            x="school_year:O",
            y=alt.Y("gap_sd:Q", title="mean gap (pupil SD)"),
            color="subject:N",
            strokeDash="scale_id:N",
            detail="scale_id:N",
            tooltip=["scale_id", "subject", "school_year", "gap_sd", "cells"],
        )
    )
    mo.ui.altair_chart(lines)
    return (trend,)


if __name__ == "__main__":
    app.run()
