"""The effects of a school panel by first served year and school year, one row each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.effects.group_time import compare
from models.effects.school_panel import read_panel


def group_time(
    cells: pl.DataFrame,
    *,
    seed: int,
    draws: int = 499,
    outcome: str = "outcome_sd",
    covariates: Sequence[str] = (),
    strata: str | None = None,
    year_noise_sd: float = 0.085,
    anticipation_years: int = 0,
) -> pl.DataFrame:
    """Return the effect of the offer by first served year and school year.

    Arguments as in `panel`. Rows before the start are placebos: their year against the other base
    years.

    Returns:
        started_year, school_year, event_year (0 = first served year), is_placebo, itt_sd,
        itt_se_sd, p_value, served_share, treated_schools, treated_pupils (tested pupils of these
        schools); sorted by both years.

    Source: Callaway & Sant'Anna (2021), J. Econometrics 225(2); R61.
    """
    panel = read_panel(
        cells,
        outcomes=(outcome,),
        covariates=covariates,
        strata=strata,
        year_noise_sd=year_noise_sd,
        anticipation_years=anticipation_years,
    )
    found = compare(panel, outcome, anticipation_years=anticipation_years, draws=draws, seed=seed)
    rows = []
    if found is not None:
        main = found.average(found.served_years)
        per_share = main.value / main.share if main is not None and main.share > 0 else 0.0
        starts = panel.start[found.slots]
        for start in np.unique(starts):
            for position, year in enumerate(panel.years):
                cell = (starts == start)[:, None] & (np.arange(len(panel.years)) == position)
                cell = cell & (found.served_years | (found.event_years < 0))
                one = found.average(cell, per_share)
                if one is not None:
                    weight = found.weight[0] * cell
                    rows.append(
                        (
                            int(start),
                            int(year),
                            int(year - start),
                            bool(year < start),
                            one.value,
                            one.se,
                            one.p_value,
                            one.share,
                            int((weight.sum(axis=1) > 0).sum()),
                            round(float(weight.sum())),
                        )
                    )
    return pl.DataFrame(
        rows,
        schema={
            "started_year": pl.Int32,
            "school_year": pl.Int32,
            "event_year": pl.Int32,
            "is_placebo": pl.Boolean,
            "itt_sd": pl.Float64,
            "itt_se_sd": pl.Float64,
            "p_value": pl.Float64,
            "served_share": pl.Float64,
            "treated_schools": pl.Int64,
            "treated_pupils": pl.Int64,
        },
        orient="row",
    )
