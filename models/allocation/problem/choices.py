"""What can be bought and what it is worth: schools, options, costs and channels, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from models.allocation.problem.objective import Maximin, Objective, Total
from models.allocation.problem.overlap import Overlap, check_overlaps
from models.keys import OPTION

NO_SERVICES = pl.DataFrame(
    schema={
        "response_id": pl.String,
        "funding_channel": pl.String,
        "amount_agorot": pl.Int64,
        "is_excellence": pl.Boolean,
    }
)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What can be bought (R79): which response, at which dose, in which school, for what.

    Attributes:
        schools: semel_mosad, school_name_he, pupils, need (0..1).
        options: semel_mosad, response_id, dose_level, dose, participants, benefit_sd_pupils (≥ 0),
            is_eligible, eligibility_reason_en, eligibility_reason_he, is_excellence. One row is
            one thing that could be bought; a school × response takes at most one dose.
        costs: semel_mosad, response_id, dose_level, funding_channel, amount_agorot (Int64 ≥ 0).
            An option costs the sum of its rows; one that is free says so with a row of 0.
        channels: funding_channel, budget_agorot (null = no cap of its own).
        school_channels: funding_channel, semel_mosad, budget_agorot: a cap of a channel inside
            one school, such as its Gefen basket; a school without a row has no such cap.
        services: response_id, funding_channel, amount_agorot (Int64 ≥ 0), is_excellence: what
            services of the whole city take of the channels before schools compete. It is in every
            budget and every share of the money, and of no school.
        equity_gamma: corrective preference γ in W(n) = (a + n)^γ; 0 = need-blind (R80).
        need_offset: a in W(n); above 0, so that a school of no need still counts for something.
        overlaps: groups of responses whose benefits in one school are not counted twice (R92).
        objective: what a plan is worth.
        response_names: response_id → name in Hebrew and in English, for sentences; the id
            elsewhere.
        relax_order: kinds of rules that give way first in a conflict (`relaxation.RELAX_ORDER`).
    """

    schools: pl.DataFrame
    options: pl.DataFrame
    costs: pl.DataFrame
    channels: pl.DataFrame
    school_channels: pl.DataFrame
    services: pl.DataFrame = field(default_factory=NO_SERVICES.clone)
    equity_gamma: float = 1.0
    need_offset: float = 0.1
    overlaps: tuple[Overlap, ...] = ()
    objective: Objective | Maximin = Total()  # noqa: RUF009 - frozen
    response_names: dict[str, tuple[str, str]] = field(default_factory=dict)
    relax_order: tuple[str, ...] = ()

    @property
    def services_agorot(self) -> int:
        """What services of the whole city cost over all channels."""
        return int(self.services["amount_agorot"].sum())


def require(
    frame: pl.DataFrame,
    name: str,
    columns: Sequence[str],
    *,
    key: Sequence[str],
    nullable: Sequence[str] = (),
) -> None:
    """Raise ValueError unless the frame has the columns, no nulls in them and a unique key."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: column(s) {', '.join(missing)} are missing.")
    required = [column for column in columns if column not in nullable]
    refuse(name, "empty values", frame.filter(pl.any_horizontal(pl.col(required).is_null())))
    refuse(name, f"rows twice (key {', '.join(key)})", frame.filter(pl.struct(key).is_duplicated()))


def refuse(name: str, what: str, bad: pl.DataFrame) -> None:
    """Raise ValueError that shows the first offending rows, where there are any."""
    if bad.height:
        shown = "\n".join(str(row) for row in bad.head(5).iter_rows(named=True))
        raise ValueError(f"{name}: {bad.height} row(s) with {what}:\n{shown}")


def check_tables(choices: Choices) -> None:
    """Raise ValueError at the first contradiction inside or between the tables."""
    schools, options, costs = choices.schools, choices.options, choices.costs
    channels, caps = choices.channels, choices.school_channels
    cost_key = [*OPTION, "funding_channel"]
    require(
        schools,
        "schools",
        ["semel_mosad", "school_name_he", "pupils", "need"],
        key=["semel_mosad"],
        nullable=["school_name_he"],
    )
    reasons = ["eligibility_reason_en", "eligibility_reason_he"]
    flags = ["is_eligible", "is_excellence"]
    numbers = ["dose", "participants", "benefit_sd_pupils"]
    require(options, "options", [*OPTION, *numbers, *flags, *reasons], key=OPTION, nullable=reasons)
    require(costs, "costs", [*cost_key, "amount_agorot"], key=cost_key)
    require(
        channels,
        "channels",
        ["funding_channel", "budget_agorot"],
        key=["funding_channel"],
        nullable=["budget_agorot"],
    )
    require(
        choices.services,
        "services",
        NO_SERVICES.columns,
        key=["response_id", "funding_channel"],
    )
    cap_key = ["funding_channel", "semel_mosad"]
    require(caps, "school_channels", [*cap_key, "budget_agorot"], key=cap_key)
    if options.is_empty():
        raise ValueError("options: there is nothing to choose from.")

    for name, frame, column in [
        ("schools", schools, "pupils"),
        ("options", options, "participants"),
        ("options", options, "dose_level"),
        ("costs", costs, "amount_agorot"),
        ("channels", channels.drop_nulls("budget_agorot"), "budget_agorot"),
        ("school_channels", caps, "budget_agorot"),
        ("services", choices.services, "amount_agorot"),
    ]:
        if frame.height and not frame.schema[column].is_integer():
            raise ValueError(f"{name}: {column} must be whole numbers, not {frame.schema[column]}.")
        refuse(name, f"negative {column}", frame.filter(pl.col(column) < 0))
    refuse("schools", "need outside 0..1", schools.filter(~pl.col("need").is_between(0, 1)))
    refuse(
        "options",
        "benefit_sd_pupils that is negative or not a number",
        options.filter(
            ~pl.col("benefit_sd_pupils").is_finite() | (pl.col("benefit_sd_pupils") < 0)
        ),
    )
    refuse("options", "an unknown school", options.join(schools, on="semel_mosad", how="anti"))
    refuse("costs", "no such option", costs.join(options, on=OPTION, how="anti"))
    refuse("costs", "an unknown channel", costs.join(channels, on="funding_channel", how="anti"))
    refuse(
        "services",
        "an unknown channel",
        choices.services.join(channels, on="funding_channel", how="anti"),
    )
    refuse(
        "options",
        "no cost (give a row of 0 agorot to a free one)",
        options.filter("is_eligible").select(OPTION).join(costs, on=OPTION, how="anti"),
    )
    if caps.height:
        refuse(
            "school_channels", "an unknown school", caps.join(schools, on="semel_mosad", how="anti")
        )
        refuse(
            "school_channels",
            "an unknown channel",
            caps.join(channels, on="funding_channel", how="anti"),
        )
    if not (0 <= choices.equity_gamma < float("inf")) or not (0 <= choices.need_offset < 1e6):
        raise ValueError("equity_gamma and need_offset must be zero or more.")
    check_overlaps(choices.overlaps)
