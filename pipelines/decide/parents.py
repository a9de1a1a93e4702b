"""What parents pay: no more per pupil than last year, and told by school and need quarter (R18).

What parents paid is known by school and response where a file says it. A service of the whole city
is not told by school, here neither: a school has what schools have.
"""

from __future__ import annotations

import polars as pl

from models.allocation.rules.money import ParentsPayments
from models.quarters import with_quartile
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import CITY, PARENTS
from pipelines.warehouse.tables import Tables, table_of

READS = ("mart_parents_payment",)
_TOLD = ["payment_scope", "division_id", "school_year", "small_pupils"]
_PAID = ["last_year_paid_agorot", "last_year_pupils", "parents_agorot", "pupils"]


def rules(city: CityFolder, tables: Tables) -> tuple[ParentsPayments, ...]:
    """Return the rule that parents of a school pay no more per pupil than last year.

    The limit is last year's payment per pupil × this year's pupils, rounded towards allowing more.
    A school whose payments of last year are not known is not held back; a city without any has no
    rule (`unchecked`).
    """
    stated = city.policy.rules.parents_payments
    if not (stated and stated.value):
        return ()
    caps = tuple(
        (school, -(-paid * pupils // before))
        for school, pupils, paid, before in _by_school(tables)
        .drop_nulls("last_year_paid_agorot")
        .filter(pl.col("last_year_pupils") > 0)
        .select("semel_mosad", "pupils", "last_year_paid_agorot", "last_year_pupils")
        .iter_rows()
    )
    return (ParentsPayments(PARENTS, caps),) if caps and PARENTS in city.policy.channels else ()


def unchecked(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the rule's row where it holds and nobody reported what parents paid (re-check)."""
    stated = city.policy.rules.parents_payments
    is_open = stated and stated.value and not rules(city, tables)
    he = "ההורים אינם משלמים לתלמיד יותר מאשתקד: לא ניתן לבדיקה, כי אין נתוני תשלומי הורים."
    en = (
        "Parents pay no more per pupil than last year: this cannot be checked, as no payments of"
        " parents are reported."
    )
    rows = [(ParentsPayments.id_template, he, en, ParentsPayments.unit, 100.0, None, None, False)]
    return table_of("mart_allocation_rule", rows if is_open else ())


def told(tables: Tables, lines: pl.DataFrame, services: pl.DataFrame) -> pl.DataFrame:
    """Return what parents pay beside last year, by school, need quarter and city.

    Args:
        tables: as `READS`, and the need index.
        lines: the plan's lines: semel_mosad, parents_agorot.
        services: what services of the whole city take of each channel.

    Returns:
        payment_scope ("school", "need_quartile", "city"), division_id, school_year (the last with
        payments), last_year_paid_agorot, last_year_pupils, last_year_per_pupil_agorot,
        parents_agorot, pupils, parents_per_pupil_agorot, small_pupils. Last year is null where a
        part of it is not known. Only the city's row counts services of the whole city.
        small_pupils are the fewest payers that last year's figures could tell of; quarters are
        their schools, and what is hidden of them suppression chooses (`quarter_payers`).
    """
    now = lines.group_by("semel_mosad").agg(pl.col("parents_agorot").sum())
    schools = (
        _by_school(tables)
        .join(now, on="semel_mosad", how="left")
        .with_columns(pl.col("parents_agorot").fill_null(0))
    )
    by_school = schools.with_columns(payment_scope=pl.lit("school"), division_id="semel_mosad")
    is_known = pl.col("last_year_paid_agorot").is_not_null().all()
    by_quarter = (
        schools.group_by(division_id=pl.col("need_quartile").cast(pl.String))
        .agg(
            *(pl.col(name).sum() for name in _PAID[2:]),
            *(pl.when(is_known).then(pl.col(name).sum()) for name in _PAID[:2]),
            school_year=pl.col("school_year").max(),
        )
        .with_columns(small_pupils=pl.lit(None, pl.Int32), payment_scope=pl.lit("need_quartile"))
    )
    paid = services.filter(funding_channel=PARENTS)["amount_agorot"].sum()
    whole = _last_year(tables).filter(place=CITY)
    of_city = schools.select(
        pl.lit(CITY).alias("payment_scope"),
        pl.lit(CITY).alias("division_id"),
        pl.col("school_year").max(),
        pl.lit(whole["paid_agorot"].first(), pl.Int64).alias("last_year_paid_agorot"),
        pl.lit(whole["pupils"].first(), pl.Int64).alias("last_year_pupils"),
        pl.col("parents_agorot").sum() + paid,
        pl.col("pupils").sum(),
        pl.lit(whole["small_pupils"].first(), pl.Int32).alias("small_pupils"),
    ).head(1)
    return (
        pl.concat(
            [
                frame.select(*_TOLD, *(pl.col(name).cast(pl.Int64) for name in _PAID))
                for frame in (by_school, by_quarter, of_city)
            ]
        )
        .with_columns(
            _per_pupil("last_year_paid_agorot", "last_year_pupils").alias(
                "last_year_per_pupil_agorot"
            ),
            _per_pupil("parents_agorot", "pupils").alias("parents_per_pupil_agorot"),
        )
        .sort(_TOLD[:2])
    )


def _per_pupil(agorot: str, pupils: str) -> pl.Expr:
    return (
        pl.when(pl.col(pupils) > 0).then((pl.col(agorot) / pl.col(pupils)).round()).cast(pl.Int64)
    )


def _last_year(tables: Tables) -> pl.DataFrame:
    """The payments of the last year reported, for all responses together, by place."""
    paid = tables["mart_parents_payment"].filter(response_id="all")
    return paid.filter(pl.col("school_year") == pl.col("school_year").max())


def _by_school(tables: Tables) -> pl.DataFrame:
    """The schools of the plan with what their parents paid last year; null where not known."""
    last = _last_year(tables).select(
        semel_mosad="place",
        last_year_paid_agorot="paid_agorot",
        last_year_pupils="pupils",
        school_year="school_year",
        small_pupils="small_pupils",
    )
    return (
        with_quartile(tables["mart_need_index"])
        .select("semel_mosad", "pupils", "need_quartile")
        .join(last, on="semel_mosad", how="left")
        .sort("semel_mosad")
    )
