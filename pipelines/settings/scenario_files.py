"""Scenarios: files that each change a few decisions of the policy, for comparison (R98).

`<city>/scenarios/<id>.yaml` holds a name in Hebrew and English, a reason, and under `changes` only
what differs from the whole policy, in its words: a mapping is merged key by key, a list or a value
replaces what stands there, and an empty value takes an optional rule away. What results is
validated as a whole policy. A scenario may change what is decided, never what is measured.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from pipelines.settings.city import CityFolder, load_city, parameters_of
from pipelines.settings.parameters import Model, Named, Words
from pipelines.settings.policy import Policy
from pipelines.settings.policy_defaults import whole_policy
from pipelines.settings.policy_rules import SCENARIO_SOURCE, CityPlaces, MustDrop
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import CityError, line_of, read_yaml, refuse_yml

Keys = tuple[str | int, ...]
FOLDER = "scenarios"
BASE = "base"
CONFIRMED = "confirmed_only"
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


def refuse_unknown_schools(city: CityFolder, known: Collection[str]) -> None:
    """Refuse rules on schools that the register does not have.

    Args:
        city: its policy is the plan's, or a scenario's.
        known: codes of all schools of the register.

    Raises:
        CityError: naming the file, be it the policy or a scenario, and the line.
    """
    for place, code in city.policy.rules.schools():
        if code in known:
            continue
        path, keys = _written(city.folder, ("rules", *place), code)
        where, line = ".".join(map(str, keys)), line_of(path, keys)
        raise CityError(
            f"{path}: line {line}: {where}: there is no school {code} in the register; write the"
            " code of a school, in quotes.",
            f"{path}: שורה {line}: {where}: אין בית ספר {code} במצבת; יש לכתוב סמל מוסד, במרכאות.",
        )


def _written(folder: Path, place: Keys, value: str) -> tuple[Path, Keys]:
    """Return the file of a city that writes a value at a place of the policy, and its keys."""
    keys: Keys = ("changes", *place)
    for path in scenario_files(folder):
        held: Any = read_yaml(path, may_be_empty=("changes",))
        for key in keys:
            try:
                held = held[key]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if held == value:
                return path, keys
    return folder / "policy.yaml", place


def load_scenarios(city: CityFolder) -> tuple[Scenario, ...]:
    """Read and validate the scenarios of a city, in order of their files' names.

    Raises:
        CityError: naming file, field and line, if a scenario is not valid or changes what is not a
            decision.
    """
    refuse_yml(city.folder / FOLDER)
    files = scenario_files(city.folder)
    base = whole_policy(city.folder / "policy.yaml").raw if files else {}
    return tuple(_load(path, base, city.policy) for path in files)


def save_scenario(
    folder: Path, scenario_id: str, name_he: str, name_en: str, reason: str, changes: dict[str, Any]
) -> Path:
    """Write a scenario of a city as a file, if it is a valid one; return the file.

    Args:
        folder: the city's folder.
        scenario_id: name of the file.
        name_he, name_en, reason: what it is called, and why it is asked.
        changes: what it sets otherwise than the policy, in its words.

    Raises:
        CityError: if there is such a scenario already, or it would not be valid; nothing is left.
    """
    path = folder / FOLDER / f"{scenario_id}.yaml"
    if path.exists():
        raise CityError(
            f"{path}: there is a scenario of this name already; choose another.",
            f"{path}: יש כבר תרחיש בשם זה; יש לבחור שם אחר.",
        )
    said = {"name_he": name_he, "name_en": name_en, "reason": reason, "changes": changes}
    text = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".draft")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path)
    try:
        city = load_city(folder)
        _load(path, whole_policy(folder / "policy.yaml").raw, city.policy)
    except CityError:
        path.unlink()
        raise
    return path


def confirmed_only(policy: Policy) -> tuple[Scenario, ...]:
    """Return the product's own scenario: the plan without what nobody has confirmed.

    There is none where all money is confirmed. Whoever has confirmed a part of a response carries
    all of it, by their shares; what nobody has confirmed is given to nobody. Two rules that lean on
    others' money do not hold: the floor at last year's money, which was of all who paid, and the
    ceiling of excellence in municipal money, of which others were to pay a part.
    """
    funded, over = {}, []
    for name, item in {**policy.school_responses, **policy.city_services}.items():
        sure = {
            c: s for c, s in item.funding.items() if policy.confirmation(name, c) == "confirmed"
        }
        if not sum(sure.values()):
            over.append(name)
        elif len(sure) < len(item.funding):
            whole = sum(sure.values())
            shares = {channel: share / whole for channel, share in sure.items()}
            funded[name] = item.model_copy(update={"funding": shares})
    if not (funded or over):
        return ()
    cites = {
        "source": f"{SCENARIO_SOURCE}{CONFIRMED}",
        "reason": "nobody has confirmed to pay for it",
    }
    stated = policy.rules
    dropped = [
        MustDrop.model_validate(cites | {"response": name})
        for name in over
        if name in policy.school_responses
    ]
    ended = [
        CityPlaces.model_validate(cites | {"response": name, "places": 0})
        for name in over
        if name in policy.city_services
    ]
    rules = stated.model_copy(
        update={
            "must_drop": (*stated.must_drop, *dropped),
            "city_places": (*stated.city_places, *ended),
            "hold_harmless": None,
            "neediest_kept": None,
            "excellence_max": None,
        }
    )
    changed = policy.model_copy(update={"responses": policy.responses | funded, "rules": rules})
    made = Scenario(
        scenario_id=CONFIRMED,
        name_he="בלי כסף שלא אושר",
        name_en="Without money that is not confirmed",
        reason=(
            "כסף של אחרים שאיש לא אישר אינו ניתן, ומי שאישר נושא בכל העלות; הרצפה מול הסכום של"
            " אשתקד ותקרת המצוינות אינן חלות, כי נקבעו בהנחה שגם אחרים משלמים"
        ),
        policy=changed,
        changes=_changes(policy, changed),
    )
    return (made,)


def _changes(base: Policy, policy: Policy) -> tuple[Change, ...]:
    """What a policy sets otherwise than another."""
    before, after = (
        {row["parameter_id"]: row["parameter_value"] for row in parameters_of("policy", held)}
        for held in (base, policy)
    )
    return tuple(
        Change(parameter_id=name, base_value=before.get(name), scenario_value=after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _load(path: Path, base: dict[str, Any], before: Policy) -> Scenario:
    if (
        path.stem in (BASE, CONFIRMED)
        or not path.stem.replace("_", "a").isalnum()
        or not path.stem.isascii()
    ):
        raise CityError(
            f"{path}: the file's name is the scenario's id: letters, digits and _, and not"
            f" '{BASE}' or '{CONFIRMED}', which are the plan itself and the product's own.",
            f"{path}: שם הקובץ הוא מזהה התרחיש: אותיות לטיניות, ספרות וקו תחתון, ולא {BASE} או"
            f" {CONFIRMED}, שהם התוכנית עצמה ותרחיש של המערכת.",
        )
    file = validated(path, read_yaml(path, may_be_empty=("changes",)), _File)
    _refuse_measured(path, file.changes, base)
    cites = {"source": f"{SCENARIO_SOURCE}{path.stem}", "reason": file.reason}
    merged = _Merge(path, cites).of(base, file.changes, ("changes",))
    policy = validated(path, merged, Policy, under=("changes",))
    return Scenario(
        scenario_id=path.stem,
        name_he=file.name_he,
        name_en=file.name_en,
        reason=file.reason,
        policy=policy,
        changes=_changes(before, policy),
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


@dataclass(frozen=True)
class _Merge:
    """A scenario's changes, laid over the policy."""

    path: Path
    cites: dict[str, str]

    def of(self, base: Any, changes: Any, place: tuple[str, ...]) -> Any:
        """Return a part of the policy with the changes of it laid over."""
        is_parameter = isinstance(base, dict) and "value" in base
        if is_parameter and not isinstance(changes, dict):
            changes = {"value": changes}
        if not isinstance(changes, dict):
            return changes
        kept = dict(base) if isinstance(base, dict) else {}
        if "value" in changes:
            # A value of the scenario is not what the policy's source and reason speak of.
            return kept | self.cites | changes
        for name, value in changes.items():
            if value is not None:
                kept[name] = self.of(kept.get(name), value, (*place, name))
            elif name in kept:
                kept.pop(name)
            else:
                where, line = ".".join((*place, str(name))), line_of(self.path, (*place, name))
                raise CityError(
                    f"{self.path}: line {line}: {where} takes away what the policy does not have;"
                    f" known there: {', '.join(map(str, kept)) or 'nothing'}.",
                    f"{self.path}: שורה {line}: {where} מסיר מה שאין במדיניות; קיימים שם:"
                    f" {', '.join(map(str, kept)) or 'דבר'}.",
                )
        return kept
