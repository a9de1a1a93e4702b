"""What a participant and a month of progress cost, Gefen and separate money apart (R64, R65)."""

from __future__ import annotations

import polars as pl

from models.checks import every_row, one_row_each

# A year of progress is 12 months and about one pupil SD. The EEF's table of months (Teaching and
# Learning Toolkit, "additional months' progress") runs from 1 month at .02–.09 to 12 at .96–1.00;
# this line stays within half a month of the middle of each of its steps.
MONTHS_PER_SD = 12.0
MUNICIPAL = "municipal_own"
BASES = ("plan", "actual")
# Of which each amount is told; total = gefen + separate, and municipal is what the city's plan
# moves.
KINDS = ("municipal", "total", "gefen", "separate")
_NO_EFFECT_SD = 1e-6  # progress below a millionth of an SD is none: money over it has no meaning
_KEY = ["response_id", "school_year"]
_PLACE = [*_KEY, "semel_mosad"]
_LINE = [*_PLACE, "funding_channel"]


def response_money(lines: pl.DataFrame, participation: pl.DataFrame) -> pl.DataFrame:
    """Return the money of each response and year, by kind, and what a participant costs.

    Amounts of a school year add over schools and channels. An actual amount is empty when any of
    its lines is not yet reported: half a sum is no sum. Cost per participant = amount /
    participants, rounded to the nearest agora, halves up; it counts only schools with both money
    and participants reported, so that a school that reported only one of them does not distort it.

    Args:
        lines: rows of `core_budget_line`: semel_mosad, school_year, response_id, funding_channel,
            plan_agorot (≥ 0), actual_agorot (null = not reported).
        participation: rows of `core_participation`: semel_mosad, school_year, response_id,
            participants, dose (share of the full programme, 0 to 1).

    Returns:
        response_id, school_year, schools (with money), schools_unmatched (with money or
        participants, but not both), participants, mean_dose (of the participants with money; 1 =
        the full programme), {total,gefen,separate,municipal}_plan_agorot and …_actual_agorot,
        municipal_share_pct (of the plan), cost_per_participant_plan_agorot,
        cost_per_participant_actual_agorot (null where there is none); sorted by response and year.
        A response without money has null amounts.

    Raises:
        ValueError: if a key repeats, or an amount or count is missing or negative.

    Source: R16, R64, R65.
    """
    _check(lines, participation)
    is_gefen = pl.col("funding_channel").str.starts_with("gefen")
    of_kind = {
        "total": pl.lit(True),
        "gefen": is_gefen,
        "separate": ~is_gefen,
        "municipal": pl.col("funding_channel") == MUNICIPAL,
    }
    amounts = [f"{kind}_{basis}_agorot" for basis in BASES for kind in KINDS]
    schools = lines.group_by(_PLACE).agg(
        *(
            _whole(pl.col(f"{basis}_agorot").filter(of_kind[kind])).alias(f"{kind}_{basis}_agorot")
            for basis in BASES
            for kind in KINDS
        ),
        pl.lit(True).alias("has_money"),
    )
    met = schools.join(
        participation.select(*_PLACE, pl.col("participants").cast(pl.Int64), "dose"),
        on=_PLACE,
        how="full",
        coalesce=True,
    ).sort(_PLACE)
    has_money = pl.col("has_money").fill_null(False)
    has_people = (pl.col("participants") > 0).fill_null(False)
    both = has_money & has_people
    served = pl.col("participants").filter(both)
    return (
        met.group_by(_KEY, maintain_order=True)
        .agg(
            has_money.sum().cast(pl.Int32).alias("schools"),
            (has_money != has_people).sum().cast(pl.Int32).alias("schools_unmatched"),
            pl.when(pl.col("participants").count() > 0)
            .then(pl.col("participants").sum())
            .alias("participants"),
            pl.when(served.sum() > 0)
            .then((pl.col("participants") * pl.col("dose")).filter(both).sum() / served.sum())
            .alias("mean_dose"),
            *(
                pl.when(has_money.any()).then(_whole(pl.col(name).filter(has_money))).alias(name)
                for name in amounts
            ),
            *(
                _per(_whole(pl.col(f"total_{basis}_agorot").filter(both)), served.sum()).alias(
                    f"cost_per_participant_{basis}_agorot"
                )
                for basis in BASES
            ),
        )
        .with_columns(
            pl.when(pl.col("total_plan_agorot") > 0)
            .then(100 * pl.col("municipal_plan_agorot") / pl.col("total_plan_agorot"))
            .alias("municipal_share_pct")
        )
        .select(
            *_KEY,
            "schools",
            "schools_unmatched",
            "participants",
            "mean_dose",
            *amounts,
            "municipal_share_pct",
            *(f"cost_per_participant_{basis}_agorot" for basis in BASES),
        )
    )


def cost_per_month(
    money: pl.DataFrame, effects: pl.DataFrame, *, months_per_sd: float = MONTHS_PER_SD
) -> pl.DataFrame:
    """Return what one month of progress of one participant costs, with its interval.

    The effect is that of a year at full dose and is taken to grow with the dose, so with c the cost
    of a participant, d the mean dose and m = months_per_sd, cost per month = c / (d · m · effect).
    The cost is a fact of the books and only the effect is uncertain; the ratio falls with the
    effect, so its interval is exactly that of the effect turned over: Fieller's interval of a ratio
    whose numerator has no error. Where effect_lo ≤ 0 no amount bounds it: the upper end is empty
    and `is_cost_per_month_bounded` is false. There is never a negative cost per month: an effect ≤
    0 has none. Amounts are rounded to the nearest agora.

    Args:
        money: result of `response_money`, one row per response (one year).
        effects: response_id, effect_sd, effect_lo_sd, effect_hi_sd (pupil SD per year), for example
            the rows "all" of `verdicts`.
        months_per_sd: months of progress in one pupil SD.

    Returns:
        `money` with progress_months, progress_months_lo, progress_months_hi (per participant and
        year at full dose), is_cost_per_month_bounded, and cost_per_month_plan_agorot,
        cost_per_month_plan_agorot_lo, cost_per_month_plan_agorot_hi, and the same of `actual`;
        sorted by response. A response without an effect keeps its money.

    Raises:
        ValueError: if a response repeats, or months_per_sd is not positive.

    Source: R64; EEF, Teaching and Learning Toolkit (months); Fieller (1954).
    """
    if not months_per_sd > 0:
        raise ValueError(f"months_per_sd must be positive; got {months_per_sd}")
    for what, frame in (("money", money), ("effects", effects)):
        one_row_each(
            frame,
            "response_id",
            f"{what} has several rows of one response; pass one year, and one effect",
        )
    months = {
        f"progress_months{end}": pl.col(f"effect{end}_sd") * months_per_sd
        for end in ("", "_lo", "_hi")
    }
    joined = money.join(effects.select("response_id", **months), on="response_id", how="left").sort(
        "response_id"
    )
    least = _NO_EFFECT_SD * months_per_sd
    priced = joined.with_columns(
        (pl.col("progress_months_lo") > least).alias("is_cost_per_month_bounded")
    )
    for basis in BASES:
        cost = pl.when(pl.col("mean_dose") > 0).then(
            pl.col(f"cost_per_participant_{basis}_agorot") / pl.col("mean_dose")
        )
        priced = priced.with_columns(
            pl.when(pl.col(f"progress_months{end}") > least)
            .then(cost / pl.col(f"progress_months{end}"))
            .round()
            .cast(pl.Int64)
            .alias(f"cost_per_month_{basis}_agorot{name}")
            for name, end in (("", ""), ("_lo", "_hi"), ("_hi", "_lo"))
        )
    return priced


def _whole(amounts: pl.Expr) -> pl.Expr:
    """Return the sum (0 of nothing); null if one of the amounts is not known."""
    return pl.when(amounts.null_count() == 0).then(amounts.sum())


def _per(amount: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Return amount / number to the nearest integer, halves up, in integers throughout."""
    return pl.when(number > 0).then((2 * amount + number) // (2 * number)).cast(pl.Int64)


def _check(lines: pl.DataFrame, participation: pl.DataFrame) -> None:
    for what, frame, key in (
        ("budget lines", lines, _LINE),
        ("participation", participation, _PLACE),
    ):
        one_row_each(frame, key, f"{what} repeat by {', '.join(key)}")
    every_row(
        lines,
        (pl.col("plan_agorot") >= 0) & (pl.col("actual_agorot").fill_null(0) >= 0),
        "budget lines without an amount of 0 or more",
        key=_LINE,
    )
    every_row(
        participation,
        (pl.col("participants") >= 0) & pl.col("dose").is_between(0, 1),
        "participation without participants of 0 or more and a dose from 0 to 1",
        key=_PLACE,
    )
