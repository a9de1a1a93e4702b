"""Who got which release, by list: sent, acknowledged, silent (R105)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.settings.fields import dictionary
from pipelines.settings.sent import OK

_LIST = ("audience", "role_family")


def distribution(
    tables: Mapping[str, pl.DataFrame], sent: pl.DataFrame, left_out: str | None = None
) -> pl.DataFrame:
    """Return `mart_distribution`: a row for each list and each release that reached somebody in it.

    A list is the recipients of one version in one family of roles. Whoever acknowledged a release
    has it, also where no log says that it was sent. Recipients that are on the list no more do not
    count.

    Args:
        tables: recipients, receipts and roles, as staged.
        sent: the log of what was sent (`settings/sent.py`).
        left_out: a release of which nothing is told.
    """
    members = (
        tables["stg_act__recipients"]
        .join(tables["core_role"], on="role")
        .select("recipient_id", *_LIST)
    )
    went = sent.filter(pl.col("result") == OK).select(
        "recipient_id", "shown_release", day=pl.col("sent_at").str.head(10).str.to_date()
    )
    receipts = tables["stg_act__receipts"].select(
        "recipient_id", "shown_release", is_known=pl.lit(value=True)
    )
    reached = (
        pl.concat([went, receipts.select("recipient_id", "shown_release")], how="diagonal")
        .filter(pl.col("shown_release") != (left_out or ""))
        .group_by("recipient_id", "shown_release")
        .agg(pl.col("day").max())
        .join(receipts, on=["recipient_id", "shown_release"], how="left")
        .join(members, on="recipient_id")
    )
    lists = members.group_by(_LIST).agg(recipients=pl.len())
    schema = {
        name: _TYPES[dictionary().fields[name].type]
        for name in dictionary().tables["mart_distribution"].columns
    }
    return (
        reached.group_by("shown_release", *_LIST)
        .agg(
            sent_on=pl.col("day").max(),
            sent_to=pl.len(),
            acknowledged=pl.col("is_known").count(),
        )
        .join(lists, on=_LIST)
        .with_columns(silent=pl.col("sent_to") - pl.col("acknowledged").cast(pl.Int64))
        .select(pl.col(name).cast(kind) for name, kind in schema.items())
        .sort("shown_release", *_LIST)
    )


_TYPES = {"VARCHAR": pl.String, "DATE": pl.Date, "INTEGER": pl.Int32}
