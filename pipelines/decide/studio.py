"""What the scenario studio shows: a published plan solved again under other decisions (R98).

It reads a release, never the warehouse, and builds the problem by the function that the run itself
uses. What it shows is a draft, until somebody saves it as a scenario of the city.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from models.allocation import InfeasibleRules, NoPlanInTime, Problem, best_near
from models.allocation.account.comparison import Comparison, compare_plans
from models.allocation.account.known_worth import found_again, known_worth
from models.allocation.problem.rule import Rule
from models.allocation.rules.money import SchoolFloor
from models.allocation.rules.shares import EXCELLENCE, MoneyShare
from pipelines.decide import allocation, city_services
from pipelines.decide.goals import mean_effects
from pipelines.decide.scenarios import LINE, as_counted, with_benefit_share
from pipelines.settings.city import CityFolder, load_city
from pipelines.settings.keys import AGOROT, MUNICIPAL
from pipelines.settings.scenario_files import BASE

GAP_PCT = 0.1
SEARCH_S, EXPLAIN_S = 1.4, 0.4
DRAFT = "draft"
_UNNAMED = (
    "אין תוכנית שמקיימת את כל הכללים. אילו מהם סותרים לא התברר בזמן הקצר; קובץ תרחיש ינקוב בשמם."
)
_NOT_IN_TIME = "לא נמצאה תוכנית בזמן הקצר. ייתכן שיש תוכנית: קובץ תרחיש מחפש זמן רב יותר."


@dataclass(frozen=True)
class Settings:
    """The decisions that the studio moves.

    Attributes:
        municipal_nis: budget of the municipality.
        gamma: corrective preference.
        excellence_pct: least and most percent of municipal money for excellence.
        floor_nis: least money per pupil of every school, over all channels; 0 = none.
    """

    municipal_nis: int
    gamma: float
    excellence_pct: tuple[float, float]
    floor_nis: int


@dataclass(frozen=True)
class Draft:
    """A plan solved again, beside the published one, or why there is none.

    Attributes:
        totals: row of `Comparison.plans` of the draft.
        schools: `Comparison.schools` of the draft, with school_name_he, stream and pupils; by
            stream and name.
        gap_pct: how far the draft may be from the best.
        conflict_he: which rules cannot hold together; None where there is a plan.
        worth_change_pct: of the need-weighted benefit, against the plan's on one basis (as
            `known_worth`); None where there is no plan.
    """

    totals: dict[str, Any]
    schools: pl.DataFrame
    gap_pct: float | None
    conflict_he: str | None
    worth_change_pct: float | None


@dataclass(frozen=True)
class Studio:
    """A published plan, ready to be solved again."""

    city: CityFolder
    tables: dict[str, pl.DataFrame]
    problem: Problem
    base: pl.DataFrame

    @classmethod
    def open(cls, release: Path) -> Studio:
        """Read the release of the analysts.

        Raises:
            FileNotFoundError: nothing is published there.
        """
        city = load_city(release)
        reads = {*allocation.STEPS[0].reads, "mart_allocation", "mart_allocation_certificate"}
        tables = allocation.release_tables(release, reads)
        base = as_counted(tables["mart_allocation"]).select(LINE)
        return cls(city, tables, allocation.planned(city, tables).canonical(), base)

    @property
    def settings(self) -> Settings:
        """The decisions of the published plan."""
        budget = dict(self.problem.channels.iter_rows()).get(MUNICIPAL)
        least, most = self._excellence("at_least"), self._excellence("at_most")
        floor = self._floor()
        return Settings(
            municipal_nis=round(
                (budget if budget is not None else int(self.base["municipal_agorot"].sum()))
                / AGOROT
            ),
            gamma=self.problem.equity_gamma,
            excellence_pct=(
                least.share_pct if least else 0.0,
                most.share_pct if most else 100.0,
            ),
            floor_nis=round(floor.agorot_per_pupil / AGOROT) if floor else 0,
        )

    def _excellence(self, side: Literal["at_least", "at_most"]) -> MoneyShare | None:
        """The policy's own limit of the share of municipal money for excellence."""
        for rule in self.problem.rules:
            if isinstance(rule, MoneyShare) and rule.part == EXCELLENCE and rule.side == side:
                return rule
        return None

    def _floor(self) -> SchoolFloor | None:
        """The policy's own floor of each school's money: municipal, or of all channels."""
        for rule in self.problem.rules:
            if isinstance(rule, SchoolFloor) and rule.funding_channel in (None, MUNICIPAL):
                return rule
        return None

    def changed(self, settings: Settings) -> Problem:
        """The problem under other decisions; all other rules stay."""
        least, most = settings.excellence_pct
        moved = (
            self._excellence("at_least"),
            self._excellence("at_most"),
            self._floor(),
        )
        rules: list[Rule] = [rule for rule in self.problem.rules if rule not in moved]
        if least > 0:
            rules.append(MoneyShare("at_least", least, EXCELLENCE, MUNICIPAL))
        if most < 100:
            rules.append(MoneyShare("at_most", most, EXCELLENCE, MUNICIPAL))
        if settings.floor_nis > 0:
            rules.append(SchoolFloor(settings.floor_nis * AGOROT))
        own = pl.col("funding_channel") == MUNICIPAL
        return replace(
            self.problem,
            channels=self.problem.channels.with_columns(
                budget_agorot=pl.when(own)
                .then(pl.lit(settings.municipal_nis * AGOROT, pl.Int64))
                .otherwise("budget_agorot")
            ),
            rules=tuple(rules),
            equity_gamma=settings.gamma,
        )

    def changes(self, settings: Settings) -> dict[str, Any]:
        """What a scenario with these decisions sets otherwise, in the words of the policy."""
        base, found = self.settings, dict[str, Any]()
        if settings.gamma != base.gamma:
            found["equity_gamma"] = settings.gamma
        if settings.municipal_nis != base.municipal_nis:
            found["channels"] = {MUNICIPAL: {"budget": {"value": settings.municipal_nis}}}
        rules = dict[str, Any]()
        for place, name in enumerate(("excellence_min", "excellence_max")):
            if settings.excellence_pct[place] != base.excellence_pct[place]:
                rules[name] = self._parameter(name, settings.excellence_pct[place])
        if settings.floor_nis != base.floor_nis:
            name = "school_floor_per_pupil"
            rules[name] = self._parameter(name, settings.floor_nis) if settings.floor_nis else None
        return found | ({"rules": rules} if rules else {})

    def _parameter(self, name: str, value: float) -> dict[str, Any]:
        """A rule's value, with its unit where the policy has no such rule yet."""
        has_one = getattr(self.city.policy.rules, name) is not None
        unit = self.city.policy.rules.parameter_units()[name].unit
        return {"value": value} | ({} if has_one else {"unit": unit})

    def draft(self, settings: Settings) -> Draft:
        """Solve again, to within `GAP_PCT` and near the published plan."""
        gap, conflict, change, bought = None, None, None, self.base.clear()
        again = self._again  # found at first sight, before anybody waits for a slider
        if settings == self.settings:  # What is published is not searched for again.
            certificate = self.tables["mart_allocation_certificate"]
            return self._shown(self.base, certificate["optimality_gap_pct"].item(), None, 0.0)
        try:
            changed = self.changed(settings)
            found = best_near(
                changed,
                self.base,
                gap_pct=GAP_PCT,
                time_limit_s=SEARCH_S,
                explain_within_s=EXPLAIN_S,
            )
        except InfeasibleRules as error:
            conflict = error.he if error.is_irreducible else _UNNAMED
        except NoPlanInTime:
            conflict = _NOT_IN_TIME
        else:
            bought, gap = (
                allocation.with_payers(self.city, self.tables, found.lines, found.money),
                found.gap_pct,
            )
            plans = [self.base, again, found.lines]
            worth, told = known_worth(self.problem, {DRAFT: changed}, plans)
            drafted = told[DRAFT]
            change = 100 * (drafted - worth) / worth if worth and drafted is not None else None
        return self._shown(bought, gap, conflict, change)

    @cached_property
    def _again(self) -> pl.DataFrame:
        """The plan under its own decisions, found as a draft is: what drafts are compared with."""
        return found_again(self.problem, self.base, gap_pct=GAP_PCT, time_limit_s=SEARCH_S)

    def _shown(
        self, bought: pl.DataFrame, gap: float | None, conflict: str | None, change: float | None
    ) -> Draft:
        """The plan beside the published one."""
        compared = self._compared(bought.select(LINE))
        need = self.tables["mart_need_index"].select(
            "semel_mosad", "school_name_he", "stream", "need_tier", "pupils"
        )
        return Draft(
            compared.plans.filter(scenario_id=DRAFT).row(0, named=True),
            compared.schools.filter(scenario_id=DRAFT)
            .join(need, on="semel_mosad")
            .sort("stream", "school_name_he", "semel_mosad"),
            gap,
            conflict,
            change,
        )

    def _compared(self, bought: pl.DataFrame) -> Comparison:
        lines = pl.concat(
            frame.select(pl.lit(name).alias("scenario_id"), *LINE)
            for name, frame in ((BASE, self.base), (DRAFT, bought))
        )
        services = city_services.as_lines(self.city, self.tables)
        return compare_plans(
            with_benefit_share(self.city, lines),
            self.problem.schools,
            _NO_GROUPS,
            mean_effects(self.city, self.tables).select("response_id", "effect_se_sd"),
            plans=[BASE, DRAFT],
            base=BASE,
            seed=self.city.policy.need.seed.value,
            services=pl.concat(
                services.select(pl.lit(name).alias("scenario_id"), pl.all())
                for name in (BASE, DRAFT)
            ),
        )


_NO_GROUPS = pl.DataFrame(
    schema={
        "scenario_dimension": pl.String,
        "division_id": pl.String,
        "semel_mosad": pl.String,
        "member_share": pl.Float64,
        "member_pupils": pl.Int64,
    }
)
