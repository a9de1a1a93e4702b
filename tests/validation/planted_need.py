"""The need index of a generated city as a run makes it, beside the index that truth would give.

The same weights, order and anchors go over true values without error: a school's own state against
the target (`planted_plans.true_gaps`), and the rates that its pupils' files are one draw of
(`true_rate`), meaned over the years of the window. The nurture index is exact in the files.
"""

from types import SimpleNamespace

import polars as pl

from models.need import need_from_anchors, need_index

KEY = ["semel_mosad", "indicator_id"]


def weights_of(policy):
    """Return indicator_id and weight_pct of a policy's need."""
    return pl.DataFrame(
        [(key, float(item.weight_pct.value)) for key, item in policy.indicators.items()],
        schema=["indicator_id", "weight_pct"],
        orient="row",
    )


def true_need(city, tables, made, gaps):
    """Return the true indicators and the true index.

    Args:
        city: its settings and policy.
        tables: core_city, and mart_need_indicator of the run (for what is exact, and who is there).
        made: the generated city.
        gaps: true gaps of the window (`planted_plans.true_gaps`).

    Returns:
        a namespace of indicators (semel_mosad, indicator_id, indicator_value, indicator_need) and
        index (semel_mosad, need).
    """
    policy = city.policy.need
    first, last = tables["core_city"].select("window_first_year", "window_last_year").row(0)
    rates = (
        made.truth["true_rate"]
        .filter(pl.col("school_year").is_between(first, last))
        .group_by("semel_mosad", "measure")
        .agg(pl.col("rate_pct").mean().alias("value"))
        .sort("semel_mosad")
    )
    known = tables["mart_need_indicator"]
    parts = []
    for key, item in policy.indicators.items():
        low = 0.0 if item.target is None else item.target.value
        if item.measure == "gap":
            values = gaps.filter(pl.col("subject") == item.subject).rename({"gap_sd": "value"})
        elif item.target is not None:
            values = rates.filter(pl.col("measure") == item.measure)
        else:
            exact = known.filter(pl.col("indicator_id") == key)
            parts.append(exact.select(*KEY, "indicator_value", "indicator_need"))
            continue
        exact = values.select("semel_mosad", "value", pl.lit(0.0).alias("se"), pl.lit(1).alias("n"))
        need = need_from_anchors(exact, low, getattr(policy.greatest, item.measure).value)
        parts.append(need.select("semel_mosad", pl.lit(key).alias(KEY[1]), *need.columns[1:3]))
    indicators = pl.concat(parts)
    kinds = known.select(*KEY, "indicator_kind")
    index = need_index(
        indicators.join(kinds, on=KEY).with_columns(
            pl.lit(True).alias("is_measured"), pl.lit(0.0).alias("indicator_need_se")
        ),
        weights_of(policy),
        order_p=policy.order_p.value,
        draws=2,
    )
    return SimpleNamespace(indicators=indicators, index=index.select("semel_mosad", "need"))
