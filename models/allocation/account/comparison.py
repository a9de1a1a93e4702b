"""Plans side by side: money, pupils reached, progress by group, indices, schools moved (R98).

**Progress and its error.** What a plan is expected to bring is Σ participants × share of the full
benefit × effect. The effects are estimates; their errors are taken as independent between responses
and as one within a response (a response that is overrated is so in every school and subject, which
is the cautious reading). Where responses overlap, what a line counts is taken as the plan has it,
whatever the effects turn out to be. The interval of a plan is ± 1.645 standard errors of that sum.
Of a difference between two plans only what differs is uncertain: the same effects hold in both.

**Pupils reached.** Participants count places. A pupil may be in several responses, so how many
pupils a plan reaches is known between two bounds only: as if the participants of a school were as
far as possible the same pupils, and as if they were as far as possible others.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from models.allocation.account.concentration import indices_or_none
from models.allocation.problem.choices import require

_Z90 = 1.6448536269514722
_LINE = ["scenario_id", "semel_mosad", "response_id"]
_MONEY = ["cost_agorot", "municipal_agorot", "parents_agorot"]


_NO_SERVICES = pl.DataFrame(
    schema=dict.fromkeys(("scenario_id", "response_id"), pl.String)
    | dict.fromkeys(("participants", *_MONEY), pl.Int64)
)
_WHOLE = ["cost_agorot", "parents_agorot", "reached_lo_pupils", "reached_hi_pupils"]


@dataclass(frozen=True)
class Comparison:
    """Several plans beside the base plan; every difference is the plan less the base.

    Attributes:
        plans: scenario_id, cost_agorot, municipal_agorot, parents_agorot (services of the whole
            city too), their changes, city_services_agorot, lines_count,
            pairs_changed, participants, bounds of the pupils reached, benefit_sd_pupils with its
            interval, its change with its interval, the indices with intervals (null where nothing
            is spent), schools, schools_without, schools_moved, schools_gaining, schools_losing,
            gained_agorot.
        groups: the same sums by scenario_id, scenario_dimension and division_id, with schools,
            pupils and benefit_share_pct; money and bounds only where whole schools are grouped.
        schools: by scenario_id and semel_mosad: responses_count, participants, benefit_sd_pupils,
            money and its changes, money_direction.
        responses: by scenario_id and response_id: schools_served, schools_change, participants,
            benefit_sd_pupils, money and its changes; a response is there if any plan buys it.
    """

    plans: pl.DataFrame
    groups: pl.DataFrame
    schools: pl.DataFrame
    responses: pl.DataFrame


def compare_plans(
    lines: pl.DataFrame,
    schools: pl.DataFrame,
    members: pl.DataFrame,
    spread: pl.DataFrame,
    *,
    plans: list[str],
    base: str,
    seed: int,
    services: pl.DataFrame = _NO_SERVICES,
) -> Comparison:
    """Compare plans.

    Args:
        lines: scenario_id, semel_mosad, response_id, dose_level, participants, benefit_share (of
            the full dose, 0..1, less what overlaps with the school's other lines),
            benefit_sd_pupils (as counted beside them), cost_agorot, municipal_agorot,
            parents_agorot.
        schools: semel_mosad, pupils, need: every school of the plan.
        members: scenario_dimension, division_id, semel_mosad, member_share (0..1 of the school's
            pupils), member_pupils.
        spread: response_id, effect_se_sd: standard error of the effect on a participant at full
            dose.
        plans: ids to compare; a plan without a line buys nothing.
        base: the plan that the others are compared with.
        seed: of the intervals of the indices.
        services: scenario_id, response_id, participants and the money of the services of the whole
            city, which are of no school and of no benefit that is compared.

    Raises:
        ValueError: a key is there twice or a value is missing; the base is not among the plans.
    """
    require(
        lines,
        "lines",
        [*_LINE, "dose_level", "participants", "benefit_share", "benefit_sd_pupils", *_MONEY],
        key=_LINE,
    )
    paid = ["scenario_id", "response_id"]
    require(services, "services", [*paid, "participants", *_MONEY], key=paid)
    require(schools, "schools", ["semel_mosad", "pupils", "need"], key=["semel_mosad"])
    require(
        members,
        "members",
        ["scenario_dimension", "division_id", "semel_mosad", "member_share", "member_pupils"],
        key=["scenario_dimension", "division_id", "semel_mosad"],
    )
    require(spread, "spread", ["response_id", "effect_se_sd"], key=["response_id"])
    if base not in plans:
        raise ValueError(f"plans: the base plan '{base}' is not among them.")
    lines = lines.sort(_LINE).with_columns(
        exposure=pl.col("participants") * pl.col("benefit_share")
    )
    every = pl.DataFrame({"scenario_id": plans}, schema={"scenario_id": pl.String})
    by_school = _by_school(lines, every, schools.sort("semel_mosad"), base)
    return Comparison(
        _plans(lines, services, every, by_school, spread, base, seed),
        _groups(lines, every, by_school, members, spread, base),
        by_school.drop("need", "pupils", "reached_lo_pupils", "reached_hi_pupils"),
        _responses(lines, services, every, base),
    )


def _by_school(
    lines: pl.DataFrame, every: pl.DataFrame, schools: pl.DataFrame, base: str
) -> pl.DataFrame:
    summed = lines.group_by("scenario_id", "semel_mosad", maintain_order=True).agg(
        pl.col("benefit_sd_pupils", *_MONEY).sum(),
        responses_count=pl.len().cast(pl.Int32),
        most=pl.col("participants").max(),
        participants=pl.col("participants").sum(),
    )
    found = (
        every.join(schools.select("semel_mosad", "pupils", "need"), how="cross")
        .join(summed, on=["scenario_id", "semel_mosad"], how="left", maintain_order="left")
        .with_columns(
            pl.col(
                "responses_count", "most", "participants", "benefit_sd_pupils", *_MONEY
            ).fill_null(0)
        )
        .with_columns(
            reached_lo_pupils=pl.min_horizontal("most", "pupils"),
            reached_hi_pupils=pl.min_horizontal("participants", "pupils"),
        )
        .drop("most")
    )
    return _with_changes(found, ["semel_mosad"], base, _MONEY).with_columns(
        money_direction=pl.when(pl.col("cost_change_agorot") > 0)
        .then(pl.lit("gains"))
        .when(pl.col("cost_change_agorot") < 0)
        .then(pl.lit("loses"))
        .otherwise(pl.lit("same"))
    )


def _plans(
    lines: pl.DataFrame,
    services: pl.DataFrame,
    every: pl.DataFrame,
    by_school: pl.DataFrame,
    spread: pl.DataFrame,
    base: str,
    seed: int,
) -> pl.DataFrame:
    change = pl.col("cost_change_agorot")
    totals = by_school.group_by("scenario_id", maintain_order=True).agg(
        lines_count=pl.col("responses_count").sum(),
        participants=pl.col("participants").sum(),
        reached_lo_pupils=pl.col("reached_lo_pupils").sum(),
        reached_hi_pupils=pl.col("reached_hi_pupils").sum(),
        schools=pl.len(),
        schools_without=(pl.col("responses_count") == 0).sum(),
        schools_moved=(change != 0).sum(),
        schools_gaining=(change > 0).sum(),
        schools_losing=(change < 0).sum(),
        gained_agorot=change.filter(change > 0).sum(),
    )
    paid = pl.concat(
        [by_school.select("scenario_id", *_MONEY), services.select("scenario_id", *_MONEY)]
    )
    money = paid.group_by("scenario_id").agg(pl.col(_MONEY).sum())
    of_base = money.filter(scenario_id=base).row(0, named=True)
    of_services = services.group_by("scenario_id").agg(
        city_services_agorot=pl.col("cost_agorot").sum()
    )
    whole = (
        by_school.select("semel_mosad").unique().sort("semel_mosad").with_columns(member_share=1.0)
    )
    progress = _progress(lines, every, whole, [], spread, base)
    indices = pl.concat(
        [
            _indices(own, plan, seed)
            for (plan,), own in by_school.group_by("scenario_id", maintain_order=True)
        ]
    )
    return (
        totals.join(money, on="scenario_id", maintain_order="left")
        .with_columns((pl.col(n) - of_base[n]).alias(_change_of(n)) for n in _MONEY)
        .join(of_services, on="scenario_id", how="left", maintain_order="left")
        .with_columns(pl.col("city_services_agorot").fill_null(0))
        .join(progress.drop("participants"), on="scenario_id", maintain_order="left")
        .join(_pairs_changed(lines, every, base), on="scenario_id", maintain_order="left")
        .join(indices, on="scenario_id", maintain_order="left")
    )


def _groups(
    lines: pl.DataFrame,
    every: pl.DataFrame,
    by_school: pl.DataFrame,
    members: pl.DataFrame,
    spread: pl.DataFrame,
    base: str,
) -> pl.DataFrame:
    by = ["scenario_dimension", "division_id"]
    members = members.sort(*by, "semel_mosad")
    size = members.group_by(by, maintain_order=True).agg(
        schools=(pl.col("member_pupils") > 0).sum(),
        pupils=pl.col("member_pupils").sum(),
        is_whole=(pl.col("member_share") == 1).all(),
    )
    summed = (
        by_school.join(members, on="semel_mosad", maintain_order="left")
        .group_by("scenario_id", *by, maintain_order=True)
        .agg(pl.col(_WHOLE).sum())
    )
    whole = pl.col("is_whole")
    all_benefit = by_school.group_by("scenario_id", maintain_order=True).agg(
        of_all=pl.col("benefit_sd_pupils").sum()
    )
    return (
        _progress(lines, every, members, by, spread, base)
        .join(size, on=by, maintain_order="left")
        .join(summed, on=["scenario_id", *by], maintain_order="left")
        .join(all_benefit, on="scenario_id", maintain_order="left")
        .with_columns(
            *[pl.when(whole).then(n).alias(n) for n in _WHOLE],
            benefit_share_pct=pl.when(pl.col("of_all") > 0).then(
                100 * pl.col("benefit_sd_pupils") / pl.col("of_all")
            ),
            participants=pl.col("participants").round().cast(pl.Int64),
        )
        .drop("of_all", "is_whole")
    )


def _progress(
    lines: pl.DataFrame,
    every: pl.DataFrame,
    members: pl.DataFrame,
    by: list[str],
    spread: pl.DataFrame,
    base: str,
) -> pl.DataFrame:
    """Participants, benefit and its change with intervals, by scenario and group of schools."""
    cells = every.join(members.select(by).unique(), how="cross") if by else every
    cells = cells.sort("scenario_id", *by)
    share = pl.col("member_share")
    parts = (
        lines.join(members, on="semel_mosad", maintain_order="left")
        .group_by("scenario_id", *by, "response_id", maintain_order=True)
        .agg(
            participants=(share * pl.col("participants")).sum(),
            benefit=(share * pl.col("benefit_sd_pupils")).sum(),
            exposure=(share * pl.col("exposure")).sum(),
        )
    )
    of_base = parts.filter(scenario_id=base).select(
        *by, "response_id", base_benefit="benefit", base_exposure="exposure"
    )
    se = pl.col("effect_se_sd").fill_null(0)
    held = (
        cells.join(lines.select("response_id").unique().sort("response_id"), how="cross")
        .join(parts, on=["scenario_id", *by, "response_id"], how="left", maintain_order="left")
        .join(of_base, on=[*by, "response_id"], how="left", maintain_order="left")
        .join(spread, on="response_id", how="left", maintain_order="left")
        .with_columns(
            pl.col(
                "participants", "benefit", "exposure", "base_benefit", "base_exposure"
            ).fill_null(0)
        )
        .group_by("scenario_id", *by, maintain_order=True)
        .agg(
            participants=pl.col("participants").sum(),
            benefit_sd_pupils=pl.col("benefit").sum(),
            benefit_change_sd_pupils=(pl.col("benefit") - pl.col("base_benefit")).sum(),
            benefit_se=((pl.col("exposure") * se) ** 2).sum().sqrt(),
            change_se=(((pl.col("exposure") - pl.col("base_exposure")) * se) ** 2).sum().sqrt(),
        )
    )
    found = cells.join(held, on=["scenario_id", *by], how="left", maintain_order="left")
    value, change = pl.col("benefit_sd_pupils"), pl.col("benefit_change_sd_pupils")
    return (
        found.with_columns(pl.exclude("scenario_id", *by).fill_null(0))
        .with_columns(
            benefit_lo_sd_pupils=value - _Z90 * pl.col("benefit_se"),
            benefit_hi_sd_pupils=value + _Z90 * pl.col("benefit_se"),
            benefit_change_lo_sd_pupils=change - _Z90 * pl.col("change_se"),
            benefit_change_hi_sd_pupils=change + _Z90 * pl.col("change_se"),
        )
        .drop("benefit_se", "change_se")
    )


def _responses(
    lines: pl.DataFrame, services: pl.DataFrame, every: pl.DataFrame, base: str
) -> pl.DataFrame:
    of_schools = lines.group_by("scenario_id", "response_id", maintain_order=True).agg(
        pl.col("participants", "benefit_sd_pupils", *_MONEY).sum(),
        schools_served=pl.len().cast(pl.Int64),
    )
    summed = pl.concat([of_schools, services], how="diagonal_relaxed")
    found = (
        every.join(summed.select("response_id").unique().sort("response_id"), how="cross")
        .join(summed, on=["scenario_id", "response_id"], how="left", maintain_order="left")
        .with_columns(pl.exclude("scenario_id", "response_id").fill_null(0))
    )
    return _with_changes(found, ["response_id"], base, [*_MONEY, "schools_served"])


def _with_changes(frame: pl.DataFrame, by: list[str], base: str, names: list[str]) -> pl.DataFrame:
    """Add each column less the base plan's: `cost_agorot` gives `cost_change_agorot`."""
    of_base = frame.filter(scenario_id=base).select(
        *by, *[pl.col(n).alias(f"base_{n}") for n in names]
    )
    return (
        frame.join(of_base, on=by, how="left", maintain_order="left")
        .with_columns((pl.col(n) - pl.col(f"base_{n}")).alias(_change_of(n)) for n in names)
        .drop(f"base_{n}" for n in names)
    )


def _change_of(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    return "schools_change" if name == "schools_served" else f"{stem}_change_{unit}"


def _pairs_changed(lines: pl.DataFrame, every: pl.DataFrame, base: str) -> pl.DataFrame:
    """Schools × responses bought in only one of the two plans, or at another dose."""
    pair = ["semel_mosad", "response_id"]
    of_base = set(lines.filter(scenario_id=base).select(*pair, "dose_level").iter_rows())
    changed = []
    for plan in every["scenario_id"]:
        own = set(lines.filter(scenario_id=plan).select(*pair, "dose_level").iter_rows())
        changed.append(len({line[:2] for line in own ^ of_base}))
    return every.with_columns(pairs_changed=pl.Series(changed, dtype=pl.Int64))


def _indices(schools: pl.DataFrame, plan: str, seed: int) -> pl.DataFrame:
    """Concentration, Kakwani and Suits of the plan's money; null where they are not defined."""
    money = schools.select("semel_mosad", "pupils", "need", amount_agorot="cost_agorot")
    rows = indices_or_none(money, seed=seed)
    cells: dict[str, float | None] = {
        f"{column}{end}": rows[name][f"index_{which}"] if rows else None
        for name, column in (
            ("concentration", "concentration"),
            ("kakwani", "kakwani_index"),
            ("suits", "suits_index"),
        )
        for end, which in (("", "value"), ("_lo", "lo"), ("_hi", "hi"))
    }
    return pl.DataFrame(
        [{"scenario_id": plan} | cells],
        schema={"scenario_id": pl.String} | dict.fromkeys(cells, pl.Float64),
    )
