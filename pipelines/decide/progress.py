"""What the plan is expected to bring pupils, and on which evidence it stands (R81, R122)."""

from __future__ import annotations

from collections import Counter

import polars as pl

from models.allocation.account.progress import progress
from models.allocation.problem.persistence import lasting_share
from models.apportionment import split_by_share
from pipelines.decide import goals
from pipelines.decide.goals import mean_effects
from pipelines.decide.scenarios import with_benefit_share
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import COMMITTEE
from pipelines.warehouse.tables import Step, Tables, schema_of

_PAID = ("cost_agorot", "municipal_agorot")


def expected(city: CityFolder, tables: Tables) -> Tables:
    """Return the expected progress of weak, middle and strong pupils, of what is counted."""
    effects = city.policy.effects
    lasting = {
        name: lasting_share(item.lag_years, effects.decision_years.value, effects.kept_share.value)
        for name, item in city.policy.responses.items()
    }
    lines = (
        with_benefit_share(city, tables["mart_allocation"].drop_nulls("benefit_sd_pupils"))
        .sort("response_id", "semel_mosad")
        .group_by("response_id", maintain_order=True)
        .agg(
            pl.col("participants").sum(),
            exposure=(pl.col("participants") * pl.col("benefit_share")).sum(),
        )
        .with_columns(
            pl.col("exposure")
            * pl.col("response_id").replace_strict(lasting, return_dtype=pl.Float64)
        )
    )
    return {
        "mart_plan_progress": progress(
            lines,
            mean_effects(city, tables),
            tables["core_level_reach"],
            pupils=int(tables["mart_need_index"]["pupils"].sum()),
        )
    }


def by_evidence(_: CityFolder, tables: Tables) -> Tables:
    """Return the plan's worth and money by kind of evidence, or as the committee's."""
    shares: dict[str, dict[str, float]] = {}
    for response_id, kind, share in (
        tables["mart_response_evidence"]
        .select("response_id", "evidence_kind", "evidence_share_pct")
        .iter_rows()
    ):
        shares.setdefault(response_id, {})[kind] = share
    of_response = (
        tables["mart_allocation"]
        .sort("response_id", "semel_mosad")
        .group_by("response_id", maintain_order=True)
        .agg(
            pl.col("weighted_benefit").null_count() == 0,
            worth=pl.col("weighted_benefit").sum(),
            cost=pl.col("cost_agorot").sum(),
            municipal=pl.col("municipal_agorot").sum(),
        )
    )
    worth: Counter[str] = Counter()
    money: dict[str, Counter[str]] = {"cost": Counter(), "municipal": Counter()}
    for response_id, is_counted, value, *amounts in of_response.iter_rows():
        own = shares[response_id] if is_counted else {COMMITTEE: 100.0}
        for kind, share in own.items():
            worth[kind] += value * share / 100
        for name, amount in zip(money, amounts, strict=True):
            money[name].update(split_by_share(amount, own))
    # A service of the whole city is the committee's line.
    services = tables["mart_city_service"].select(*_PAID).sum()
    for name, amount in zip(money, services.row(0), strict=True):
        if amount:
            money[name][COMMITTEE] += amount
    total = sum(worth.values()) or 1.0
    paid = {name: max(sum(parts.values()), 1) for name, parts in money.items()}
    return {
        "mart_plan_evidence": pl.DataFrame(
            [
                (
                    kind,
                    None if kind == COMMITTEE else worth[kind],  # not known is not zero
                    None if kind == COMMITTEE else 100 * worth[kind] / total,
                    money["cost"][kind],
                    100 * money["cost"][kind] / paid["cost"],
                    money["municipal"][kind],
                    100 * money["municipal"][kind] / paid["municipal"],
                )
                for kind in sorted(money["cost"])
            ],
            schema=schema_of(
                "evidence_kind",
                "weighted_benefit",
                "worth_share_pct",
                "cost_agorot",
                "money_share_pct",
                "municipal_agorot",
                "municipal_money_pct",
            ),
            orient="row",
        )
    }


STEPS = (
    Step(
        "plan_progress",
        "decide",
        makes=("mart_plan_progress",),
        reads=(
            "mart_allocation",
            "core_level_reach",
            "mart_need_index",
            "mart_gap_school",
            *goals.READS,
        ),
        compute=expected,
    ),
    Step(
        "plan_evidence",
        "decide",
        makes=("mart_plan_evidence",),
        reads=("mart_allocation", "mart_city_service", "mart_response_evidence"),
        compute=by_evidence,
    ),
)
