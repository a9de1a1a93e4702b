"""Money: budget lines of the responses, and what schools get from outside the municipality."""

from __future__ import annotations

import polars as pl

from models.demo import spec
from models.demo.streams import Streams

_PHYSICAL = ("tikshuv",)
_INFORMAL = ("informal_clubs",)
_SMALL_NETWORKS = ("U05", "U06", "U07")


def _in_nis(agorot: str) -> pl.Expr:
    return (pl.col(agorot).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))


def budget_file(delivery: pl.DataFrame, year: int, streams: Streams) -> pl.DataFrame:
    """Return one year's budget lines per school, response and channel.

    Contract of `finance__budget_lines`. The plan is the cost of the participants served; the
    channels' shares are whole percents, so that the lines sum to the cost to the agora.
    """
    costs = pl.DataFrame(
        [
            {
                "response_id": response.response_id,
                "fixed_nis": response.fixed_nis,
                "unit_nis": response.unit_nis,
                "funding_channel": channel,
                "percent": percent,
            }
            for response in spec.RESPONSES
            for channel, percent in response.funding
        ]
    )
    cost_nis = pl.col("fixed_nis") + pl.col("unit_nis") * pl.col("participants")
    lines = (
        delivery.join(costs, on="response_id")
        .sort("semel_mosad", "response_id", "funding_channel")
        .with_columns(plan_agorot=cost_nis * pl.col("percent"))  # NIS × percent = agorot
    )
    spent = streams(f"budget_{year}").normal(spec.ACTUAL_MEAN, spec.ACTUAL_SD, len(lines))
    return lines.with_columns(
        actual_agorot=(pl.col("plan_agorot") * pl.Series(spent)).round().cast(pl.Int64)
    ).select(
        "semel_mosad",
        "school_year",
        "response_id",
        "funding_channel",
        year_type=pl.lit("school_year"),
        is_formal=~pl.col("response_id").is_in(_INFORMAL),
        is_pedagogical=~pl.col("response_id").is_in(_PHYSICAL),
        plan_nis=_in_nis("plan_agorot"),
        actual_nis=_in_nis("actual_agorot"),
    )


def parents_payments_file(delivery: pl.DataFrame, year: int, streams: Streams) -> pl.DataFrame:
    """Return what parents paid per school and response (contract of `finance__parents_payments`).

    Parents pay the share of the cost that the response puts on them, less some who are exempt.
    """
    shares = pl.DataFrame(
        [
            (response.response_id, response.unit_nis * percent)
            for response in spec.RESPONSES
            for channel, percent in response.funding
            if channel == spec.PARENTS
        ],
        schema={"response_id": pl.String, "agorot_each": pl.Int64},
        orient="row",
    )
    paid = delivery.join(shares, on="response_id").sort("semel_mosad", "response_id")
    exempt = streams(f"parents_payments_{year}").uniform(0.05, 0.15, len(paid))
    payers = (pl.col("participants") * (1 - pl.Series(exempt))).round().cast(pl.Int64)
    return paid.with_columns(payers=payers, paid_agorot=payers * pl.col("agorot_each")).select(
        "semel_mosad", "school_year", "response_id", "payers", paid_nis=_in_nis("paid_agorot")
    )


def school_money_file(
    described: pl.DataFrame, schools: pl.DataFrame, year: int, streams: Streams
) -> pl.DataFrame:
    """Return ministry, Gefen and parents' money per school (`finance__school_money`)."""
    sizes = (
        described.group_by("school", "semel_mosad", "school_year")
        .agg(pupils=pl.len().cast(pl.Int64))
        .join(schools.select("school", "label", "stream", "nurture"), on="school")
        .sort("semel_mosad")
    )
    noise = streams(f"school_money_{year}").normal(0, spec.PARENTS_SD, len(sizes))
    ministry = (
        pl.when(pl.col("label").is_in(_SMALL_NETWORKS))
        .then(spec.MINISTRY_SMALL_NETWORKS)
        .otherwise(pl.col("stream").replace_strict(spec.MINISTRY_PER_PUPIL))
    )
    gefen = spec.GEFEN_PER_PUPIL + spec.GEFEN_PER_NURTURE * (pl.col("nurture") - 5)
    parents = spec.PARENTS_PER_PUPIL + spec.PARENTS_PER_NURTURE * (
        pl.col("nurture") - spec.CENTRE_DECILE
    )
    per_pupil = {"ministry": ministry, "gefen": gefen, "parents": parents + pl.Series(noise)}
    agorot = {
        name: (amount * pl.col("pupils") * 100).round().cast(pl.Int64)
        for name, amount in per_pupil.items()
    }
    return sizes.with_columns(**agorot).select(
        "semel_mosad",
        "school_year",
        ministry_nis=_in_nis("ministry"),
        gefen_nis=_in_nis("gefen"),
        parents_nis=_in_nis("parents"),
    )
