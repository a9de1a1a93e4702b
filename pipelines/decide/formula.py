"""Scenario zero: what the formula of a policy gives each school, beside what its plan gives."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import polars as pl

from models.formula import FormulaError, Result, apply
from models.keys import PAIR
from pipelines.decide.scenarios import CONFIRMED_BY, scenarios_of
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.formula import engines
from pipelines.settings.keys import AGOROT
from pipelines.settings.scenario_files import BASE
from pipelines.warehouse.tables import Step, Tables, nothing, table_of

_READS = ("mart_need_index", "core_school_year", "mart_last_plan")
_SHOWN = 3


def formula(city: CityFolder, tables: Tables) -> Tables:
    """Return what the policy's formula gives each school, part by part.

    A part may read any column of the need index, of the school's latest year (`core_school_year`),
    and `last_year_agorot`, what last year's plan gave the school (empty where it gave nothing).

    Raises:
        CityError: the formula names a column the schools do not have, or cannot be applied.
    """
    results = _applied(city, tables)
    found = pl.concat(
        result.units.with_columns(formula_part=pl.lit(result.part.name)) for result in results
    )
    by_part = found.select(
        "formula_part",
        "semel_mosad",
        formula_points="points",
        formula_value="value",
        formula_amount_agorot="amount_agorot",
        formula_bound=pl.when(pl.col("points").is_not_null()).then(
            pl.col("bound").fill_null("level")
        ),
    )
    return {
        "mart_allocation_formula": _total(results),
        "mart_allocation_formula_part": by_part.sort("formula_part", "semel_mosad"),
        "mart_allocation_formula_pot": table_of(
            "mart_allocation_formula_pot",
            [
                {
                    "formula_part": result.part.name,
                    "formula_kind": result.part.kind,
                    "formula_unit": result.part.unit or "agorot",
                    "pot_agorot": result.pot_agorot,
                    "level_agorot": _float(result.level if result.part.kind == "pot" else None),
                    "formula_rate": _float(result.level if result.part.kind == "rate" else None),
                    "formula_total": float(result.values.total()),
                    "formula_left": float(result.left),
                }
                for result in results
            ],
        ),
    }


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def beside_plans(city: CityFolder, tables: Tables) -> Tables:
    """Return, for the plan and every scenario: the formula gives, the plan gives, and why (R98)."""
    rows = [(BASE, city)]
    for scenario in scenarios_of(city, tables):
        rows.append((scenario.scenario_id, city.model_copy(update={"policy": scenario.policy})))
    return {
        "mart_formula_school": pl.concat(
            [_beside(scenario_id, own, tables) for scenario_id, own in rows]
        )
    }


def _beside(scenario_id: str, city: CityFolder, tables: Tables) -> pl.DataFrame:
    """The schools of one scenario; without a formula's amount where it cannot be applied."""
    names = dict(
        tables["core_response"].select("response_id", "response_name_he").sort("response_id").rows()
    )
    bought = (
        tables["core_scenario_line"]
        .filter(pl.col("scenario_id") == scenario_id, pl.col("municipal_agorot") > 0)
        .sort("municipal_agorot", *PAIR, descending=[True, False, False])
    )
    refused = None
    results: list[Result] = []
    try:
        results = _applied(city, tables)
    except CityError as error:
        refused = error
    given = dict(_total(results).rows()) if results else {}
    counted_of, bought_of = _counted(results), defaultdict[str, list[tuple[str, str, int]]](list)
    for school, response, agorot in bought.select(*PAIR, "municipal_agorot").iter_rows():
        bought_of[school].append((names[response], response, agorot))
    rows = []
    for school, name in (
        tables["mart_need_index"].select("semel_mosad", "school_name_he").sort("semel_mosad").rows()
    ):
        lines, counted = bought_of[school], counted_of[school]
        got, formula_agorot = sum(agorot for _, _, agorot in lines), given.get(school)
        rows.append(
            {
                "scenario_id": scenario_id,
                "semel_mosad": school,
                "school_name_he": name,
                "formula_agorot": formula_agorot,
                "municipal_agorot": got,
                "formula_change_agorot": None if formula_agorot is None else got - formula_agorot,
                "formula_why_he": refused.he if refused else _why_he(counted, lines),
                "formula_why_en": refused.en if refused else _why_en(counted, lines),
            }
        )
    return table_of("mart_formula_school", rows) if rows else nothing("mart_formula_school")


def _counted(results: list[Result]) -> dict[str, list[tuple[str, int, str]]]:
    """By school, the parts that pay or charge it: name, agorot, and the limit it stands at."""
    paid = defaultdict[str, list[tuple[str, int, str]]](list)
    for result in results:
        if result.part.is_money:
            units = result.units.select("semel_mosad", "amount_agorot", "bound")
            for school, agorot, bound in units.iter_rows():
                if agorot:
                    paid[school].append((result.part.name, agorot, bound or "level"))
    return paid


def _why_he(counted: list[tuple[str, int, str]], lines: list[tuple[str, str, int]]) -> str:
    bounds = dictionary().labels["formula_bound"]
    named = dictionary().labels["formula_part"]
    parts = [
        f"{named.get(name, name)} {_nis(agorot)} ₪ ({bounds[bound]})"
        for name, agorot, bound in counted
    ]
    bought = [f"{name} {_nis(agorot)} ₪" for name, _, agorot in lines[:_SHOWN]]
    more = f" ועוד {len(lines) - _SHOWN}" if len(lines) > _SHOWN else ""
    given, paid = ", ".join(parts) or "דבר", ", ".join(bought) or "דבר"
    return f"הנוסחה: {given}. התוכנית מממנת: {paid}{more}."


def _why_en(counted: list[tuple[str, int, str]], lines: list[tuple[str, str, int]]) -> str:
    parts = [f"{name} {_nis(agorot)} NIS ({bound})" for name, agorot, bound in counted]
    bought = [f"{name} {_nis(agorot)} NIS" for _, name, agorot in lines[:_SHOWN]]
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return (
        f"The formula: {', '.join(parts) or 'nothing'}. The plan funds:"
        f" {', '.join(bought) or 'nothing'}{more}."
    )


def _nis(agorot: int) -> str:
    return f"{round(agorot / AGOROT):,}"


def _total(results: list[Result]) -> pl.DataFrame:
    """All money of the formula by school."""
    paid = pl.concat(result.units for result in results)
    return (
        paid.group_by("semel_mosad")
        .agg(formula_agorot=pl.col("amount_agorot").sum())
        .sort("semel_mosad")
    )


def _applied(city: CityFolder, tables: Tables) -> list[Result]:
    """What each part gives the schools of the plan."""
    latest = (
        tables["core_school_year"]
        .sort("semel_mosad", "school_year")
        .group_by("semel_mosad", maintain_order=True)
        .last()
    )
    need = tables["mart_need_index"]
    schools = need.join(
        latest.drop(
            [name for name in latest.columns if name in need.columns and name != "semel_mosad"]
        ),
        on="semel_mosad",
        how="left",
    ).join(
        tables["mart_last_plan"].select("semel_mosad", "last_year_agorot"),
        on="semel_mosad",
        how="left",
    )
    try:
        return apply(engines(city.policy.formula), schools, _pots(city))
    except FormulaError as error:
        where = ".".join(map(str, ("formula", *error.place)))
        raise CityError(
            f"policy.yaml: {where}: {error}", f"policy.yaml: {where}: {error.he}"
        ) from None


def _pots(city: CityFolder) -> dict[str, int]:
    """The money that each pot of the formula shares; nothing where its channel has no budget."""
    pots = {}
    for name, part in city.policy.formula.items():
        if part.pot and part.pot.agorot:
            pots[name] = part.pot.agorot.value
        elif part.pot and part.pot.channel:
            budget = city.policy.channels[part.pot.channel].budget
            pots[name] = round(AGOROT * budget.value) if budget else 0
    return pots


STEPS = (
    Step(
        "formula",
        "decide",
        makes=(
            "mart_allocation_formula",
            "mart_allocation_formula_part",
            "mart_allocation_formula_pot",
        ),
        reads=_READS,
        compute=formula,
    ),
    Step(
        "formula_beside_plans",
        "decide",
        makes=("mart_formula_school",),
        reads=(*_READS, *CONFIRMED_BY, "core_scenario_line", "core_response"),
        compute=beside_plans,
    ),
)
