"""Services of the whole city: one committee line each, paid before schools compete (R79, R83)."""

from __future__ import annotations

import polars as pl

from models.allocation.problem.choices import NO_SERVICES
from models.apportionment import split_by_share
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT, MUNICIPAL, PARENTS
from pipelines.warehouse.tables import Tables

READS = ("core_city_service",)


def places(city: CityFolder, tables: Tables) -> dict[str, int | None]:
    """Return the places that the plan pays in each service of the city; None = nobody knows.

    Those decided (`rules.city_places`), none where people decided to drop the service, and else
    what the children placed now keep.
    """
    rules = city.policy.rules
    decided = {item.response: item.places for item in rules.city_places}
    binds = bool(rules.decisions and rules.decisions.value)
    kept = {
        response_id: 0 if binds and decision == "drop" else places_kept
        for response_id, decision, places_kept in tables["core_city_service"]
        .select("response_id", "decision", "places_kept")
        .iter_rows()
    }
    return {name: decided.get(name, kept.get(name)) for name in city.policy.city_services}


def paid(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return what services of the city take of each channel: as `Choices.services`.

    Price = fixed cost, once, + cost per participant × places; a service without places, or of
    which nobody knows how many it has, takes nothing.
    """
    rows = []
    for name, count in places(city, tables).items():
        item = city.policy.responses[name]
        if count:
            price = round(AGOROT * item.fixed_cost.value) + round(
                AGOROT * item.unit_cost.value * count
            )
            shares = dict[str, float](item.funding.items())
            for channel, amount in split_by_share(price, shares).items():
                rows.append((name, channel, amount, item.is_excellence))
    return pl.DataFrame(rows, schema=NO_SERVICES.schema, orient="row")


def as_lines(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the services with places, as lines are compared: participants and who pays."""
    count = pl.DataFrame(
        [(name, number) for name, number in places(city, tables).items() if number],
        schema={"response_id": pl.String, "participants": pl.Int32},
        orient="row",
    )
    amount = pl.col("amount_agorot")
    money = (
        paid(city, tables)
        .group_by("response_id")
        .agg(
            cost_agorot=amount.sum(),
            municipal_agorot=amount.filter(pl.col("funding_channel") == MUNICIPAL).sum(),
            parents_agorot=amount.filter(pl.col("funding_channel") == PARENTS).sum(),
        )
    )
    return count.join(money, on="response_id").sort("response_id")


def told(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the committee's line of every service of the city (mart_city_service)."""
    planned = pl.DataFrame(
        list(places(city, tables).items()),
        schema={"response_id": pl.String, "places": pl.Int64},
        orient="row",
    )
    money = as_lines(city, tables).drop("participants")
    return (
        tables["core_city_service"]
        .join(planned, on="response_id", how="left")
        .join(money, on="response_id", how="left")
        .with_columns(
            # Nothing is paid for no places; of unknown places the price is not known.
            pl.when(pl.col("places") == 0).then(0).otherwise(pl.col(name)).alias(name)
            for name in money.columns
            if name != "response_id"
        )
        .sort("response_id")
    )
