"""Responses that several schools could open together, as further options of each of them (R87)."""

from __future__ import annotations

import polars as pl

from models.allocation.rules.pooling import Together
from models.apportionment import split_by_share
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT
from pipelines.warehouse.tables import Tables

READS = ("mart_pooling_set", "mart_pooling_school")
_NEAR = "near"


def with_pooled(city: CityFolder, tables: Tables, choices: pl.DataFrame) -> pl.DataFrame:
    """Return the options, with those of suggested sets of schools where the policy offers them.

    A shared option is the same response at the same dose for the same participants; its dose levels
    come after those of a school by itself. The fixed cost is paid once and split by participants,
    to the agora; those who travel to the host cost their way. A set needs all its schools eligible.

    Args:
        city: the policy.
        tables: the suggested sets (mart_pooling_set, mart_pooling_school).
        choices: the options of schools by themselves, with fixed_agorot and unit_agorot.

    Returns:
        choices with host_semel_mosad: the school that hosts the set; null = the school by itself.
    """
    alone = choices.with_columns(host_semel_mosad=pl.lit(None, pl.String))
    offered = city.policy.rules.pooling
    if not (offered and offered.value):
        return alone
    travel = round(AGOROT * city.policy.response_map.pooling.travel_cost.value)
    kinds = tables["mart_pooling_set"].select("response_id", "host_semel_mosad", "pooling_kind")
    place = ["response_id", "host_semel_mosad"]
    members = (
        tables["mart_pooling_school"]
        .select(*place, "semel_mosad", "is_host")
        .join(kinds, on=place)
        .join(choices.filter("is_eligible"), on=["response_id", "semel_mosad"], how="left")
        .filter(pl.col("dose_level").is_not_null().all().over(place))
        .sort(*place, "dose_level", "semel_mosad")
    )
    if members.is_empty():
        return alone
    levels = choices["dose_level"].max()
    shared = [
        own.with_columns(
            fixed_agorot=pl.Series(_split(own), dtype=pl.Int64),
            unit_agorot=pl.col("unit_agorot")
            + pl.when(~pl.col("is_host"), pl.col("pooling_kind") == _NEAR)
            .then(travel)
            .otherwise(0),
        )
        for own in members.partition_by([*place, "dose_level"], maintain_order=True)
    ]
    pooled = pl.concat(shared).with_columns(pl.col("dose_level") + levels).select(alone.columns)
    return pl.concat([alone, pooled]).sort("semel_mosad", "response_id", "dose_level")


def _split(own: pl.DataFrame) -> list[int]:
    """One fixed cost, split between the schools of a set by their participants."""
    people = dict(own.select("semel_mosad", "participants").iter_rows())
    shares = split_by_share(own["fixed_agorot"].max(), people)  # type: ignore[arg-type]
    return [shares[school] for school in own["semel_mosad"]]


def together(choices: pl.DataFrame) -> tuple[Together, ...]:
    """Return the rule that a shared option is taken by all schools of its set or by none."""
    pooled = choices.drop_nulls("host_semel_mosad").sort(
        "response_id", "host_semel_mosad", "dose_level", "semel_mosad"
    )
    if pooled.is_empty():
        return ()
    sets = pooled.group_by(
        "response_id", "host_semel_mosad", "dose_level", maintain_order=True
    ).agg("semel_mosad")
    return (
        Together(
            tuple(
                tuple((school, response, level) for school in schools)
                for response, _, level, schools in sets.iter_rows()
            )
        ),
    )
