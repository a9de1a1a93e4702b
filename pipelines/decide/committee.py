"""What nothing counts for is the committee's to decide: its amount, shared by need (R122).

The amount is what the committee decided in its log, else the policy's (`committee_amount`), else
last year's budget line. The formula engine shares it by participants × W(registered need), between
what the least and the full dose cost in a school; a school whose share buys not even the least dose
gives way, the least need first. Whole doses are bought; eligibility, capacity, decisions and
budgets hold. A response of which no amount is known is given nothing by formula, and the page says
so.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl

from models.allocation import Problem
from models.allocation.problem.columns import Columns
from models.allocation.rules.alone import Alone
from models.allocation.rules.decided import CommitteeAmount, Source
from models.allocation.solve.model import all_rules
from models.formula import Bound, Formula, Term, share
from models.keys import OPTION
from pipelines.aim.decided import decisions_of
from pipelines.decide.goals import uncounted
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT
from pipelines.warehouse.tables import Tables, schema_of

READS = ("mart_need_indicator", "mart_last_line", "core_decision")
_BY_NEED = Formula(
    terms=(Term((("participants", 1.0),), times=("weight",)),),
    floors=(Bound(1.0, "floor_agorot"),),
    caps=(Bound(1.0, "cap_agorot"),),
)
_ROUNDED_AGOROT = 2
"""An exact share, rounded, is no further than this from one of floating point."""
_HALVINGS, _TINY = 100, 1e-300


def settled(
    city: CityFolder, tables: Tables, posed: Problem
) -> tuple[tuple[CommitteeAmount, ...], pl.DataFrame]:
    """Return the rules that hold the committee's amounts in a problem, and what they rest on.

    Args:
        city: the policy.
        tables: need and last year's money.
        posed: the problem without these rules; its options have host_semel_mosad and asset_id.

    Returns:
        A rule for each response with an amount, and the rows of `mart_committee_amount` but for
        what the plan then spends.
    """
    tidy = posed.canonical()
    columns = Columns.of(tidy)
    alone = Alone.of(columns, all_rules(tidy))
    by_itself = posed.options.filter(
        pl.all_horizontal(pl.col("host_semel_mosad", "asset_id").is_null())
    )
    offered = columns.options.with_columns(
        is_possible=pl.Series(alone.is_possible), is_kept=pl.Series(alone.is_kept)
    ).join(by_itself.select(OPTION), on=OPTION, how="semi", maintain_order="left")
    reasons = uncounted(city, tables)
    x = np.zeros(columns.options.height)
    kept = offered.filter("is_possible", "is_kept", ~pl.col("response_id").is_in(list(reasons)))
    x[
        kept.sort("cost_agorot", "column")
        .unique(["semel_mosad", "response_id"], keep="first")["column"]
        .to_numpy()
    ] = 1
    rules, rows = [], []
    for response_id, reason in sorted(reasons.items()):
        amount, source = _amount(city, tables, response_id)
        need, basis = registered_need(city, tables, response_id)
        rows.append((response_id, reason, source or "none", basis, amount))
        if amount is None or source is None:
            continue
        own = offered.filter("is_possible", pl.col("response_id") == response_id)
        bought = _bought(city, own, need, amount, x, alone)
        x[bought["column"].to_numpy()] = 1
        item = city.policy.responses[response_id]
        doses = tuple(bought.sort("semel_mosad").select("semel_mosad", "dose").iter_rows())
        rules.append(
            CommitteeAmount(
                response_id,
                doses,
                amount,
                source=source,
                response_he=item.name_he,
                response_en=item.name_en,
            )
        )
    named = ("response_id", "uncounted_reason", "amount_source", "need_basis", "amount_agorot")
    return tuple(rules), pl.DataFrame(rows, schema=schema_of(*named), orient="row")


def _amount(city: CityFolder, tables: Tables, response_id: str) -> tuple[int | None, Source | None]:
    """The committee's amount in agorot, and whose it is."""
    decided = decisions_of(city, tables, "response").filter(
        pl.col("response_id") == response_id, pl.col("decision_value").str.starts_with("keep:")
    )
    if decided.height:
        nis = decided["decision_value"].str.strip_prefix("keep:").cast(pl.Int64)
        return AGOROT * nis.item(), "decision"
    stated = city.policy.responses[response_id].committee_amount
    if stated is not None:
        return round(AGOROT * stated.value), "policy"
    # Who does not pay by the policy, as where money is not confirmed, gives no part of it.
    last = tables["mart_last_line"].filter(
        pl.col("funding_channel").is_in(list(city.policy.responses[response_id].funding)),
        response_id=response_id,
    )["last_year_agorot"]
    return (int(last.sum()), "last_year") if len(last) else (None, None)


def registered_need(city: CityFolder, tables: Tables, response_id: str) -> tuple[pl.DataFrame, str]:
    """Return how much each school needs what a response is for: semel_mosad, need (0..1).

    The mean of the indicators that measure the needs registered for its goals: those that name the
    response, if any do. Where a school has none of them measured, or no such need is registered,
    the need index. Beside it the indicators, comma-separated ("need_index" = no indicator).
    """
    policy = city.policy
    goals = policy.goal_measures(response_id)
    of_goal = [need for need in policy.response_map.needs.values() if need.goal in goals]
    named = [need for need in of_goal if response_id in need.responses] or of_goal
    wanted = sorted(
        key
        for key, item in policy.need.indicators.items()
        if any(
            need.measure == item.measure and need.subject in (None, "all", item.subject)
            for need in named
        )
    )
    measured = (
        tables["mart_need_indicator"]
        .filter("is_measured", pl.col("indicator_id").is_in(wanted))
        .sort("semel_mosad", "indicator_id")
        .group_by("semel_mosad", maintain_order=True)
        .agg(own=pl.col("indicator_need").mean())
    )
    need = (
        tables["mart_need_index"]
        .select("semel_mosad", "need")
        .join(measured, on="semel_mosad", how="left")
        .select("semel_mosad", need=pl.coalesce("own", "need"))
    )
    return need, ",".join(wanted) or "need_index"


def _bought(
    city: CityFolder,
    own: pl.DataFrame,
    need: pl.DataFrame,
    amount: int,
    x: np.ndarray,
    alone: Alone,
) -> pl.DataFrame:
    """The options that an amount buys: for the most schools, in order of need, that it serves."""
    policy = city.policy
    weight = (policy.need_offset.value + pl.col("need")) ** policy.equity_gamma.value
    schools = (
        own.drop("need")
        .group_by("semel_mosad")
        .agg(
            pl.col("participants").first(),
            pl.col("is_kept").any(),
            least_agorot=pl.col("cost_agorot").min(),
            cap_agorot=pl.col("cost_agorot").max(),
        )
        .join(need, on="semel_mosad")
        .with_columns(
            weight=weight,
            floor_agorot=pl.when("is_kept").then("least_agorot").otherwise(0),
        )
        .sort("is_kept", "weight", "semel_mosad", descending=[True, True, False])
    )
    kept = int(schools["is_kept"].sum())
    most = max(_most_served(own, schools, amount, x, alone), kept)
    for count in range(most, kept - 1, -1):
        bought = _whole_doses(own, schools.head(count), amount)
        if bought is not None and (count == kept or _fits(bought, x, alone)):
            return bought
    return own.clear()


def _most_served(
    own: pl.DataFrame, schools: pl.DataFrame, amount: int, x: np.ndarray, alone: Alone
) -> int:
    """How many of the first schools could be served: no more than this, and mostly so many.

    Each needs its least dose, in money and in what schools share; and its share of the amount must
    pay for it, to within the rounding. The fewer there are the more each gets, so that the last is
    found by halving: a country's schools are not tried one by one.
    """
    least, cap, floor = (
        schools[name].to_numpy() for name in ("least_agorot", "cap_agorot", "floor_agorot")
    )
    pot = max(amount, int(floor.sum()))
    most = int(np.searchsorted(least.cumsum(), pot, side="right"))
    for row in alone.shared:
        taken = np.zeros(len(x))
        taken[row.columns] = row.coefficients
        needed = (
            own.select("semel_mosad", taken=pl.Series(taken[own["column"].to_numpy()]))
            .group_by("semel_mosad")
            .agg(pl.col("taken").min())
        )
        each = schools.join(needed, on="semel_mosad", maintain_order="left")["taken"].to_numpy()
        left = row.upper - row.coefficients @ x[row.columns]
        most = min(most, int(np.searchsorted(each.cumsum(), left, side="right")))
    points = (schools["participants"] * schools["weight"]).to_numpy()

    def pays(count: int) -> bool:
        part = slice(count)
        shares = _leveled(points[part], floor[part], cap[part], min(pot, int(cap[part].sum())))
        return bool((shares >= least[part] - _ROUNDED_AGOROT).all())

    fewest = 0
    while fewest < most:
        middle = (fewest + most + 1) // 2
        fewest, most = (middle, most) if pays(middle) else (fewest, middle - 1)
    return most


def _leveled(points: np.ndarray, floor: np.ndarray, cap: np.ndarray, pot: float) -> np.ndarray:
    """What each gets of a pot at one level of agorot per point, within floors and caps."""
    low, high = 0.0, float((cap / np.maximum(points, _TINY)).max(initial=0.0))
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        is_below = np.clip(level * points, floor, cap).sum() < pot
        low, high = (level, high) if is_below else (low, level)
    return np.clip(high * points, floor, cap)


def _whole_doses(own: pl.DataFrame, schools: pl.DataFrame, amount: int) -> pl.DataFrame | None:
    """The option of each school that its share of the amount buys; None where one cannot.

    What is left over by whole doses goes on to the neediest whose next dose it buys.
    """
    floors, caps = int(schools["floor_agorot"].sum()), int(schools["cap_agorot"].sum())
    pot = min(max(amount, floors), caps)
    if int(schools["least_agorot"].sum()) > pot:  # some share buys nothing, however it is shared
        return None
    shares = share(_BY_NEED, schools, pot).amounts.select("semel_mosad", "amount_agorot")
    steps = own.join(shares, on="semel_mosad").sort("semel_mosad", "cost_agorot", "column")
    bought = steps.filter(pl.col("cost_agorot") <= pl.col("amount_agorot")).unique(
        "semel_mosad", keep="last", maintain_order=True
    )
    if bought.height < schools.height:
        return None
    left = pot - int(bought["cost_agorot"].sum())
    step = ("semel_mosad", "cost_agorot", "column")
    now = {school: (cost, column) for school, cost, column in bought.select(step).iter_rows()}
    offered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for school, cost, column in steps.select(step).iter_rows():
        offered[school].append((cost, column))
    for school in schools["semel_mosad"]:
        for cost, column in offered[school]:
            extra = cost - now[school][0]
            if 0 < extra <= left:
                left, now[school] = left - extra, (cost, column)
    chosen = [column for _, column in now.values()]
    return own.filter(pl.col("column").is_in(chosen))


def _fits(bought: pl.DataFrame, x: np.ndarray, alone: Alone) -> bool:
    """Whether the options keep every limit that schools share, beside what is settled already."""
    both = x.copy()
    both[bought["column"].to_numpy()] = 1
    return all(row.coefficients @ both[row.columns] <= row.upper for row in alone.shared)
