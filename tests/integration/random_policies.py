"""Random small cities under random legal policies, through the steps that plan and account.

A city is one to twelve schools drawn, with repetition, from those of a run: a school that is drawn
twice has an equal. Sources may be missing, needs equal, budgets zero. A policy is that of the city
with any of its rules changed, as a file that the schema accepts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import yaml

from models.allocation import InfeasibleRules
from pipelines.decide import account, allocation, answers, progress
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.warehouse.checks import run_checks
from pipelines.warehouse.database import create_typed, qualified
from pipelines.warehouse.suites import checks_of
from pipelines.warehouse.tables import Step, nothing

STEPS = (*allocation.STEPS, *account.STEPS, *progress.STEPS, *answers.STEPS)
DRAWN_ANEW = {"plan_stability", "plan_prices", "plan_answers"}
"""Steps that solve the plan again and again, and what reads them."""
QUICK = tuple(step for step in STEPS if step.name not in DRAWN_ANEW)
MADE = {name for step in STEPS for name in step.makes}
PARENTS = {parent for name in MADE for _, parent in dictionary().tables[name].references}
READS = ({name for step in STEPS for name in step.reads} | PARENTS) - MADE
SILENT = ("mart_last_plan", "mart_last_line", "mart_parents_payment", "mart_decision")
RESPONSES = ("milat", "merchav", "rvadim", "icei", "makom_balev", "posh", "perach", "amirim")
SAID = {"source": "test", "reason": "drawn at random"}


def drawn_policy(raw: dict, rng: np.random.Generator, codes: list[str]) -> dict:
    """The policy of a city with any of its decisions drawn anew."""

    def parameter(value, unit):
        return {"value": value, "unit": unit, **SAID}

    def some(values, most):
        count = int(rng.integers(1, most + 1))
        return sorted({str(v) for v in rng.choice(values, min(count, len(values)))})

    def one():
        return str(rng.choice(RESPONSES))

    policy = yaml.safe_load(yaml.safe_dump(raw))
    policy["equity_gamma"]["value"] = float(rng.choice([0.0, 0.5, 1.0, 2.0, 20.0]))
    policy["solver"] = {
        "objective": parameter(
            str(rng.choice(["total", "total", "atkinson", "maximin"])), "name of the objective"
        ),
        "fair_band_pct": parameter(
            float(rng.choice([0, 1, 5])), "percent of the worth of the plan by worth"
        ),
    }
    for channel in policy["channels"].values():
        if "budget" in channel:
            channel["budget"]["value"] = int(
                channel["budget"]["value"] * float(rng.choice([0, 0.2, 1, 1, 1]))
            )
    percent = "percent of all money"
    year = policy["planning_year"]["value"]
    possible = {
        "capacity": [
            {"response": one(), "schools": int(rng.integers(1, 5)), **SAID},
            {"response": one(), "participants": int(rng.integers(1, 200)), **SAID},
        ],
        "minimum_groups": [{"response": one(), "participants": int(rng.integers(1, 20)), **SAID}],
        "must_keep": [
            {"response": name, "schools": "served", "dose_level": int(rng.integers(1, 4)), **SAID}
            for name in some(RESPONSES, 3)
        ],
        "must_drop": [{"response": one(), "schools": some(codes, 2), **SAID}],
        "notice_periods": [
            {"response": one(), "last_year": year + int(rng.integers(-1, 2)), **SAID}
        ],
        "prerequisites": [{"response": "posh", "needs": "milat", **SAID}],
        "source_exclusions": [{"channel": "gefen_school", "responses": some(RESPONSES, 2), **SAID}],
        "overrides": [
            {
                "response": one(),
                "schools": some(codes, 2),
                "decision": str(rng.choice(["forced", "forbidden"])),
                "decided_by_role": "budget_committee",
                "decided_on": "2026-05-01",
                "reason": SAID["reason"],
            }
        ],
        "every_school_served": parameter(bool(rng.random() < 0.7), "yes or no"),
        "school_floor_per_pupil": parameter(int(rng.integers(0, 600)), "NIS per pupil per year"),
        "school_cap_per_pupil": parameter(int(rng.integers(50, 5000)), "NIS per pupil per year"),
        "excellence_min": parameter(int(rng.integers(0, 30)), "percent of municipal money"),
        "excellence_max": parameter(int(rng.integers(30, 100)), "percent of municipal money"),
        "hold_harmless": parameter(int(rng.integers(0, 101)), "percent of last year's money"),
        "rise_cap": parameter(int(rng.integers(100, 300)), "percent of last year's money"),
        "long_term_min": parameter(int(rng.integers(0, 60)), percent),
        "neediest_quarter_min": parameter(int(rng.integers(0, 70)), percent),
        "stream_tolerance": parameter(int(rng.integers(0, 60)), "percentage points"),
        "exploration_min": parameter(int(rng.integers(0, 20)), percent),
        "exploration_max": parameter(int(rng.integers(20, 100)), percent),
        "decisions": parameter(bool(rng.random() < 0.5), "yes or no"),
        "parents_payments": parameter(bool(rng.random() < 0.5), "yes or no"),
        "pooling": parameter(bool(rng.random() < 0.5), "yes or no"),
        "exclusive": {"pair": ["milat", "rvadim"]},
    }
    rules = policy["rules"]
    for name, value in possible.items():
        if rng.random() < 0.2:
            rules[name] = value
        elif rng.random() < 0.5:
            rules.pop(name, None)
    return policy


def drawn_tables(
    tables: dict[str, pl.DataFrame], rng: np.random.Generator, most: int
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """The tables of a city of schools drawn from those of a run, and their codes."""
    known = tables["mart_need_index"]["semel_mosad"].sort().to_list()
    bases = rng.choice(known, int(rng.integers(1, most + 1)))
    codes = [f"{910_001 + i}" for i in range(len(bases))]
    drawn = pl.DataFrame({"semel_mosad": bases, "code": codes})

    def of_city(frame: pl.DataFrame) -> pl.DataFrame:
        for column in ("semel_mosad", "less_needy_semel_mosad", "host_semel_mosad"):
            if column in frame.columns:
                own = drawn.rename({"semel_mosad": column})
                moved = frame.join(own, on=column).drop(column).rename({"code": column})
                of_whole_city = frame.filter(pl.col(column).is_null())
                frame = pl.concat([moved.select(frame.columns), of_whole_city])
        return frame

    made = {
        name: of_city(frame).unique(list(dictionary().tables[name].key), maintain_order=True)
        for name, frame in tables.items()
    }
    silent = [name for name in SILENT if rng.random() < 0.25]
    # Schools that share a response do so all together, or not at all.
    one_set = ["response_id", "host_semel_mosad"]
    held = made["mart_pooling_school"].group_by(one_set).agg(schools=pl.len())
    whole = made["mart_pooling_set"].join(
        held.cast({"schools": made["mart_pooling_set"].schema["schools"]}),
        on=[*one_set, "schools"],
        how="semi",
    )
    if len(set(bases)) < len(bases):
        whole = whole.clear()
    for name in ("mart_pooling_school", "mart_pooling_set"):
        made[name] = made[name].join(whole, on=one_set, how="semi")
    made |= {name: nothing(name) for name in silent if name in made}
    if rng.random() < 0.2:
        made["mart_need_index"] = made["mart_need_index"].with_columns(need=pl.lit(0.5))
        made["mart_need_order"] = nothing("mart_need_order")
    return made, codes


def outcome(
    seed: int,
    base: dict[str, pl.DataFrame],
    city: Path,
    folder: Path,
    *,
    steps: Sequence[Step] = STEPS,
    most: int = 12,
) -> str:
    """Run the steps on one draw.

    Args:
        seed: of the draw.
        base: the tables of `READS`, as a run made them.
        city: the folder of its settings.
        folder: where those of the draw are written.
        steps: which are run.
        most: schools.

    Returns:
        "planned", "conflict" (named) or "refused" (the policy asks what the data cannot tell).

    Raises:
        AssertionError: a blocking check fails, with its sentence; and whatever a step raises.
    """
    rng = np.random.default_rng(seed)
    tables, codes = drawn_tables(base, rng, most)
    raw = yaml.safe_load((city / "policy.yaml").read_text(encoding="utf-8"))
    policy = drawn_policy(raw, rng, codes)
    folder.mkdir(exist_ok=True)
    (folder / "city.yaml").write_bytes((city / "city.yaml").read_bytes())
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")
    settings = load_city(folder)
    connection = duckdb.connect()
    for layer in ("core", "mart"):
        connection.execute(f"CREATE SCHEMA {layer}")
    for name in sorted(PARENTS):
        table = dictionary().tables[name]
        create_typed(connection, table, tables[name], qualified(table))
    for step in steps:
        try:
            made = step.compute(settings, {name: tables[name] for name in step.reads})
        except InfeasibleRules as error:
            if not error.rules or not re.search("[א-ת]", error.he):
                raise AssertionError(f"seed {seed}: a conflict without names") from error
            return "conflict"
        except ValueError as error:
            if "policy.yaml" not in str(error):
                raise
            return "refused"
        for name in step.makes:
            table = dictionary().tables[name]
            create_typed(connection, table, made[name], qualified(table))
            for result in run_checks(connection, table, qualified(table), checks_of(table)):
                assert result.is_passed or not result.check.blocks, (
                    f"seed {seed}: {name}.{result.check.id}: {result.failing_expectations}"
                    f" {result.failing_keys}"
                )
            tables[name] = connection.sql(f"SELECT * FROM {qualified(table)}").pl()
    return "planned"
