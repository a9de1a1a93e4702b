"""Responses that lean on what the city has beyond its budget, as further options (R20, R79)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from models.allocation.rules.assets import AssetHours
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.policy import AssetUse
from pipelines.warehouse.tables import Tables

READS = ("mart_asset",)
_PLAIN = ["semel_mosad", "response_id", "dose"]


def with_assets(city: CityFolder, tables: Tables, choices: pl.DataFrame) -> pl.DataFrame:
    """Return the options, and those in which an asset of the city does part of the work.

    Such an option is the same response at the same dose for the same participants; the asset spares
    a share of the cost per participant, and gives its free hours. Its dose levels come after all
    others. An asset that stands in a school serves that school; any other serves the whole city.

    Args:
        city: the policy.
        tables: the inventory (mart_asset).
        choices: the options so far, with host_semel_mosad and unit_agorot.

    Returns:
        choices with asset_id and asset_hours (pupil-hours a week that the option takes, rounded
        up); null = no asset.

    Raises:
        CityError: the policy builds on an asset that the inventory does not have, or whose places
            it does not state.
    """
    found = [
        choices.with_columns(asset_id=pl.lit(None, pl.String), asset_hours=pl.lit(None, pl.Int64))
    ]
    alone = choices.filter("is_eligible", pl.col("host_semel_mosad").is_null())
    levels = choices["dose_level"].n_unique()
    inventory = {row["asset_id"]: row for row in tables["mart_asset"].to_dicts()}
    leaning: Counter[str] = Counter()
    for asset_id, response_id, use in _uses(city):
        asset = _known(inventory, asset_id)
        leaning[response_id] += 1
        own = (
            pl.lit(True)
            if asset["semel_mosad"] is None
            else pl.col("semel_mosad") == asset["semel_mosad"]
        )
        found.append(
            alone.filter(own & (pl.col("response_id") == response_id)).with_columns(
                dose_level=pl.col("dose_level") + leaning[response_id] * levels,
                unit_agorot=(pl.col("unit_agorot") * (1 - use.saves.value / 100))
                .round()
                .cast(pl.Int64),
                asset_id=pl.lit(asset_id),
                asset_hours=(pl.col("participants") * pl.col("dose") * use.hours.value)
                .ceil()
                .cast(pl.Int64),
            )
        )
    return pl.concat(found).sort("semel_mosad", "response_id", "dose_level")


def asset_rules(tables: Tables, choices: pl.DataFrame) -> tuple[AssetHours, ...]:
    """Return, per asset that options stand on, that it gives no more than its free hours."""
    used = choices.drop_nulls("asset_id").sort(
        "asset_id", "semel_mosad", "response_id", "dose_level"
    )
    inventory = offered(tables)
    return tuple(
        AssetHours(
            asset_id,
            hours,
            tuple(
                used.filter(pl.col("asset_id") == asset_id)
                .select("semel_mosad", "response_id", "dose_level", "asset_hours")
                .iter_rows()
            ),
            name,
        )
        for asset_id, name, hours in inventory.join(used, on="asset_id", how="semi").iter_rows()
    )


def offered(tables: Tables) -> pl.DataFrame:
    """Return asset_id, asset_name_he and the pupil-hours a week that an asset could give."""
    return (
        tables["mart_asset"]
        .drop_nulls("capacity_pupils")
        .sort("asset_id")
        .select(
            "asset_id",
            "asset_name_he",
            asset_hours_free=(pl.col("capacity_pupils") * pl.col("hours_free_per_week"))
            .floor()
            .cast(pl.Int64),
        )
    )


def uses(
    tables: Tables, choices: pl.DataFrame, priced: pl.DataFrame, lines: pl.DataFrame
) -> pl.DataFrame:
    """Return what the plan makes of every asset it could lean on (mart_allocation_asset).

    Args:
        tables: the inventory.
        choices: the options, with asset_id and asset_hours.
        priced: cost_agorot of every option.
        lines: the plan's lines.

    Returns:
        One row per asset and response that options stand on: schools and participants of the plan,
        hours it takes and has free, and what the same lines would cost more without the asset.
    """
    options = choices.join(priced, on=["semel_mosad", "response_id", "dose_level"])
    plain = options.filter(pl.col("asset_id").is_null(), pl.col("host_semel_mosad").is_null())
    taken = (
        options.drop_nulls("asset_id")
        .join(lines, on=["semel_mosad", "response_id", "dose_level"], how="semi")
        .join(plain.select(*_PLAIN, plain_agorot="cost_agorot"), on=_PLAIN)
        .group_by("asset_id", "response_id")
        .agg(
            schools=pl.col("semel_mosad").n_unique().cast(pl.Int32),
            participants=pl.col("participants").sum(),
            asset_hours=pl.col("asset_hours").sum(),
            asset_saving_agorot=(pl.col("plain_agorot") - pl.col("cost_agorot")).sum(),
        )
    )
    return (
        options.drop_nulls("asset_id")
        .select("asset_id", "response_id")
        .unique()
        .join(taken, on=["asset_id", "response_id"], how="left")
        .join(offered(tables), on="asset_id")
        .with_columns(
            pl.col("schools", "participants", "asset_hours", "asset_saving_agorot").fill_null(0)
        )
        .sort("asset_id", "response_id")
    )


def _uses(city: CityFolder) -> Iterator[tuple[str, str, AssetUse]]:
    """The policy's uses of assets, in a fixed order."""
    for asset_id, responses in sorted(city.policy.assets.items()):
        for response_id, use in sorted(responses.items()):
            yield asset_id, response_id, use


def _known(inventory: dict[str, dict[str, object]], asset_id: str) -> dict[str, object]:
    """The inventory's row of an asset."""
    where = f"policy.yaml: assets.{asset_id}"
    if asset_id not in inventory:
        known = ", ".join(sorted(inventory)) or "none"
        raise CityError(
            f"{where}: the inventory of assets has no '{asset_id}'; it has: {known}. Add it to the"
            " file of assets or take it off the policy.",
            f"{where}: אין נכס כזה ברשימת הנכסים; רשומים: {known}. יש להוסיפו לקובץ הנכסים או"
            " להסירו מהמדיניות.",
        )
    if inventory[asset_id]["capacity_pupils"] is None:
        raise CityError(
            f"{where}: the inventory does not state how many pupils it takes at a time"
            " (capacity_pupils); fill it in.",
            f"{where}: ברשימת הנכסים חסר מספר התלמידים שהוא מכיל בו־זמנית (capacity_pupils); יש"
            " להשלים.",
        )
    return inventory[asset_id]
