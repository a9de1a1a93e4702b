"""The audit of an allocation: by need, stream, between equals, against last year (R85, R86, R95).

Every table stands once per *view* of the money. Which money is looked at decides the picture: a
stream that has less from the city may have more from the Ministry. A view is whatever the caller
sums up, for example "plan", "municipal_own" and "total" (with Ministry and Gefen money).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import polars as pl

from models.allocation.account.concentration import concentration, concentration_curve
from models.allocation.account.horizontal import (
    horizontal_summary,
    residuals,
    stream_differences,
    unequal_pairs,
)
from models.allocation.problem.choices import refuse, require
from models.quarters import with_quartile


@dataclass(frozen=True)
class AuditSettings:
    """What counts as equal.

    Attributes:
        seed: of the bootstrap.
        draws: of the bootstrap.
        stream_tolerance_pct: most a stream may have above or below the average at equal need.
        need_within: schools whose need differs by no more are equals.
        pair_tolerance_pct: most that equals may differ in money per pupil, in percent of the
            average of all pupils.
    """

    seed: int
    draws: int = 1000
    stream_tolerance_pct: float = 5.0
    need_within: float = 0.02
    pair_tolerance_pct: float = 25.0


@dataclass(frozen=True)
class Audit:
    """The tables of the audit, each with a first column `view`.

    Attributes:
        indices: as `concentration`.
        curve: as `concentration_curve`.
        groups: as `by_group`, for dimension "need_quartile", "stream" and,
            where the schools have one, "need_tier" and "nurture_band".
        residuals: as `residuals`.
        horizontal: as `horizontal_summary`, with unequal_pairs and equal_pairs_tolerance_agorot.
        pairs: as `unequal_pairs`.
        streams: as `stream_differences`; a row with status "WARN" is beyond the tolerance.
        without: as `without_money`.
    """

    indices: pl.DataFrame
    curve: pl.DataFrame
    groups: pl.DataFrame
    residuals: pl.DataFrame
    horizontal: pl.DataFrame
    pairs: pl.DataFrame
    streams: pl.DataFrame
    without: pl.DataFrame


def audit(schools: pl.DataFrame, money: pl.DataFrame, settings: AuditSettings) -> Audit:
    """Audit an allocation under one or more views of the money.

    Args:
        schools: semel_mosad, stream, pupils (≥ 0), need (0..1); need_tier and nurture_band where
            there are.
        money: view, semel_mosad, amount_agorot (Int64 ≥ 0; null = not known, which is not zero);
            a school without a row has nothing in that view.
        settings: what counts as equal.

    Raises:
        ValueError: bad rows; a view without money, whose concentration is undefined.
    """
    require(schools, "schools", ["semel_mosad", "stream", "pupils", "need"], key=["semel_mosad"])
    others = ("need_tier", "stream", "nurture_band")
    dimensions = ["need_quartile", *(d for d in others if d in schools.columns)]
    require(
        money,
        "money",
        ["view", "semel_mosad", "amount_agorot"],
        key=["view", "semel_mosad"],
        nullable=["amount_agorot"],
    )
    refuse("money", "negative amount_agorot", money.filter(pl.col("amount_agorot") < 0))
    refuse("money", "an unknown school", money.join(schools, on="semel_mosad", how="anti"))
    views = {
        view: (
            schools.join(
                money.filter(view=view).select("semel_mosad", "amount_agorot", is_listed=True),
                on="semel_mosad",
                how="left",
                maintain_order="left",
            )
            .with_columns(
                amount_agorot=pl.when(pl.col("is_listed").fill_null(False))
                .then("amount_agorot")
                .otherwise(0)
            )
            .drop("is_listed")
            .sort("semel_mosad")
        )
        for view in money["view"].unique().sort()
    }

    def each(table: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        """One table of all views."""
        return pl.concat(
            [
                table(held).select(pl.lit(view).alias("view"), pl.all())
                for view, held in views.items()
            ]
        )

    def pairs(held: pl.DataFrame) -> pl.DataFrame:
        return unequal_pairs(
            held, need_within=settings.need_within, tolerance_agorot=_tolerance(held, settings)
        )

    def horizontal(held: pl.DataFrame) -> pl.DataFrame:
        return horizontal_summary(held).with_columns(
            unequal_pairs=pl.lit(pairs(held).height, dtype=pl.Int64),
            equal_pairs_tolerance_agorot=pl.lit(_tolerance(held, settings)),
        )

    return Audit(
        indices=each(lambda held: concentration(held, seed=settings.seed, draws=settings.draws)),
        curve=each(concentration_curve),
        groups=pl.concat(
            [each(partial(by_group, dimension=dimension)) for dimension in dimensions]
        ),
        residuals=each(residuals),
        horizontal=each(horizontal),
        pairs=each(pairs),
        streams=each(
            lambda held: stream_differences(held, tolerance_pct=settings.stream_tolerance_pct)
        ),
        without=each(without_money),
    )


def by_group(schools: pl.DataFrame, dimension: str) -> pl.DataFrame:
    """Money per pupil by need quartile, need tier, stream or band of the nurture index (R85).

    Quartiles hold a quarter of the pupils each, as nearly as whole schools allow: a school belongs
    where its middle pupil is, schools of one need together; 1 is the neediest.

    Args:
        schools: semel_mosad, stream, pupils, need, amount_agorot (null = unknown).
        dimension: "need_quartile", "need_tier", "stream" or "nurture_band".

    Returns:
        dimension, group, schools, schools_unknown (money not known; in none of the sums), pupils,
        amount_agorot, per_pupil_agorot, money_share_pct, pupils_share_pct, need_share_pct, by
        group.
    """
    grouped = with_quartile(schools) if dimension == "need_quartile" else schools
    is_known = pl.col("amount_agorot").is_not_null()
    known = pl.col("pupils").filter(is_known)
    return (
        grouped.sort("semel_mosad")
        .group_by(pl.col(dimension).cast(pl.String).alias("group"), maintain_order=True)
        .agg(
            schools=is_known.sum().cast(pl.Int64),
            schools_unknown=(~is_known).sum().cast(pl.Int64),
            pupils=known.sum().cast(pl.Int64),
            amount_agorot=pl.col("amount_agorot").sum(),
            weighted=(known * pl.col("need").filter(is_known)).sum(),
        )
        .sort("group")
        .select(
            pl.lit(dimension).alias("dimension"),
            "group",
            "schools",
            "schools_unknown",
            "pupils",
            "amount_agorot",
            per_pupil_agorot=pl.when(pl.col("pupils") > 0).then(
                pl.col("amount_agorot") / pl.col("pupils")
            ),
            money_share_pct=_share("amount_agorot"),
            pupils_share_pct=_share("pupils"),
            need_share_pct=_share("weighted"),
        )
    )


def without_money(schools: pl.DataFrame) -> pl.DataFrame:
    """Schools with nothing, neediest first: semel_mosad, stream, pupils, need, need_quartile."""
    return (
        with_quartile(schools)
        .filter(pl.col("amount_agorot") == 0)
        .select("semel_mosad", "stream", "pupils", "need", "need_quartile")
        .sort("need", "semel_mosad", descending=[True, False])
    )


def changes(schools: pl.DataFrame, last_year: pl.DataFrame) -> pl.DataFrame:
    """Who gains and who loses against last year (R90).

    Args:
        schools: semel_mosad, pupils, need, amount_agorot.
        last_year: semel_mosad, amount_agorot; a school without a row was not in last year's plan,
            one that is no longer in `schools` is not shown.

    Returns:
        semel_mosad, need_quartile, amount_agorot, last_year_agorot, change_agorot, change_pct,
        change_per_pupil_agorot, direction ("gains", "loses", "same", "new"; null = not known); the
        greatest loss first, new schools last.
    """
    change = pl.col("amount_agorot") - pl.col("last_year_agorot")
    was_there = pl.col("is_listed").fill_null(False)
    return (
        with_quartile(schools)
        .join(
            last_year.select("semel_mosad", last_year_agorot="amount_agorot", is_listed=True),
            on="semel_mosad",
            how="left",
        )
        .select(
            "semel_mosad",
            "need_quartile",
            "amount_agorot",
            "last_year_agorot",
            change_agorot=change,
            change_pct=pl.when(pl.col("last_year_agorot") > 0).then(
                100 * change / pl.col("last_year_agorot")
            ),
            change_per_pupil_agorot=pl.when(pl.col("pupils") > 0).then(change / pl.col("pupils")),
            direction=pl.when(~was_there)
            .then(pl.lit("new"))
            .when(change > 0)
            .then(pl.lit("gains"))
            .when(change < 0)
            .then(pl.lit("loses"))
            .when(change == 0)
            .then(pl.lit("same")),
        )
        .sort("change_agorot", "semel_mosad", nulls_last=True)
    )


def _tolerance(held: pl.DataFrame, settings: AuditSettings) -> float:
    """The tolerance between equals in agorot per pupil."""
    known = held.drop_nulls("amount_agorot")
    pupils = int(known["pupils"].sum())
    return (
        settings.pair_tolerance_pct / 100 * int(known["amount_agorot"].sum()) / pupils
        if pupils
        else 0.0
    )


def _share(column: str) -> pl.Expr:
    """Percent of the column's sum; null where that is zero."""
    total = pl.col(column).sum()
    # Divided first: of one school the share is 100, not a last digit more.
    return pl.when(total > 0).then(100 * (pl.col(column) / total))
