"""Scenarios: files that each change a few decisions of the policy, for comparison (R98).

`<city>/scenarios/<id>.yaml` holds a name in Hebrew and English, a reason, and under `changes` only
what differs from `policy.yaml`, in its words: a mapping is merged key by key, a list or a value
replaces what stands there, and an empty value takes an optional rule away. What results is
validated as a whole policy. A scenario may change what is decided, never what is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipelines.settings.city import CityError, CityFolder, parameters_of, read_yaml, validated
from pipelines.settings.parameters import Model, Named, Words
from pipelines.settings.policy import Policy
from pipelines.settings.yaml_lines import line_of

FOLDER = "scenarios"
BASE = "base"
DECISIONS = ("equity_gamma", "need_offset", "channels", "rules", "assets", "formula")
"""Parts of the policy that only the allocation, and the formula beside it, read as decisions."""


class Change(Model):
    """One parameter that a scenario sets otherwise; None = the parameter is not there."""

    parameter_id: str
    base_value: str | None
    scenario_value: str | None


class Scenario(Named):
    """One scenario: who it is, why it is asked, and the whole policy it stands for."""

    scenario_id: str
    reason: str
    policy: Policy
    changes: tuple[Change, ...]


class _File(Named):
    reason: Words
    changes: Annotated[dict[str, Any], Field(min_length=1)]


def scenario_files(city_folder: Path) -> list[Path]:
    """Return the scenario files of a city, in order of their names; a city need not have any."""
    return sorted((city_folder / FOLDER).glob("*.yaml"))


def load_scenarios(city: CityFolder) -> tuple[Scenario, ...]:
    """Read and validate the scenarios of a city, in order of their files' names.

    Raises:
        CityError: naming file, field and line, if a scenario is not valid or changes what is not a
            decision.
    """
    files = scenario_files(city.folder)
    base = read_yaml(city.folder / "policy.yaml") if files else {}
    before = {
        row["parameter_id"]: row["parameter_value"] for row in parameters_of("policy", city.policy)
    }
    return tuple(_load(path, base, before) for path in files)


def _load(path: Path, base: dict[str, Any], before: dict[str, str]) -> Scenario:
    if path.stem == BASE or not path.stem.replace("_", "a").isalnum() or not path.stem.isascii():
        raise CityError(
            f"{path}: the file's name is the scenario's id: letters, digits and _, and not"
            f" '{BASE}', which is the plan itself.",
            f"{path}: שם הקובץ הוא מזהה התרחיש: אותיות לטיניות, ספרות וקו תחתון, ולא {BASE}, שהוא"
            " התכנית עצמה.",
        )
    file = validated(path, read_yaml(path), _File)
    _refuse_measured(path, file.changes, base)
    cites = {"source": f"scenario {path.stem}", "reason": file.reason}
    policy = validated(path, _merged(base, file.changes, cites), Policy, under=("changes",))
    after = {row["parameter_id"]: row["parameter_value"] for row in parameters_of("policy", policy)}
    return Scenario(
        scenario_id=path.stem,
        name_he=file.name_he,
        name_en=file.name_en,
        reason=file.reason,
        policy=policy,
        changes=tuple(
            Change(parameter_id=name, base_value=before.get(name), scenario_value=after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ),
    )


def _refuse_measured(path: Path, changes: dict[str, Any], base: dict[str, Any]) -> None:
    """Refuse a scenario that would change what is measured, or what no policy has."""
    for name in changes:
        if name in DECISIONS:
            continue
        line, may = line_of(path, ("changes", name)), ", ".join(DECISIONS)
        known = name in base or name in Policy.model_fields
        what = (
            "is no decision of the allocation: gaps, need, effects and responses are what is"
            " measured or registered, the same in every scenario"
            if known
            else "is no part of the policy"
        )
        what_he = (
            "אינו החלטה של ההקצאה: פערים, צורך, השפעות ומענים הם מה שנמדד או נרשם, והם זהים בכל"
            " התרחישים"
            if known
            else "אינו חלק מהמדיניות"
        )
        raise CityError(
            f"{path}: line {line}: changes.{name} {what}. A scenario may change: {may}.",
            f"{path}: שורה {line}: changes.{name} {what_he}. תרחיש רשאי לשנות: {may}.",
        )


def _merged(base: Any, changes: Any, cites: dict[str, str]) -> Any:
    """Return a part of the policy with a scenario's changes laid over it."""
    is_parameter = isinstance(base, dict) and "value" in base
    if is_parameter and not isinstance(changes, dict):
        changes = {"value": changes}
    if not isinstance(changes, dict):
        return changes
    kept = dict(base) if isinstance(base, dict) else {}
    if "value" in changes:
        # A value of the scenario is not what the policy's source and reason speak of.
        return kept | cites | changes
    for name, value in changes.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = _merged(kept.get(name), value, cites)
    return kept
