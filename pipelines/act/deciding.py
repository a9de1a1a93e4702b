"""A decision on a plan: checked, archived with all it rests on, and added to the chain (R45, R100).

The command and the scenario studio decide by this one function. What is kept and how it is verified
stands in `pipelines.settings.archive`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NoReturn

import polars as pl
import yaml

from pipelines.decide.scenarios import plan_of
from pipelines.publish.release import current_release, manifest, refuse_damaged
from pipelines.settings.archive import (
    BUILDING,
    CHAIN,
    EFFECTS,
    FOLDER,
    LINES,
    MONEY,
    NEXT_CHAIN,
    OVERRIDES,
    POLICY,
    RECORD,
    RELEASE,
    DecidedPlan,
    Record,
    file_hashes,
    hash_of,
    in_force,
    lock,
    place_of,
    read_archives,
    text_of,
)
from pipelines.settings.city import CityError, CityFolder, load_city
from pipelines.settings.fields import dictionary
from pipelines.settings.scenario_files import BASE
from pipelines.settings.workspace import Workspace
from pipelines.sources.fingerprint import input_hashes
from pipelines.sources.personal import mask_personal
from pipelines.warehouse.tables import nothing

LEAST_REASON, MOST_VOTES = 5, 1000
"""Fewest letters of a reason; most votes that are noted."""


@dataclass(frozen=True)
class Decision:
    """What is decided, by whom and why.

    Attributes:
        scenario: the plan itself (`base`) or a scenario of the release.
        release: id of the release that was shown; None = the current one.
        role: a `decided_by_role`, never a person's name.
        replaces: version of the same cycle that this decision takes the place of.
        votes: for, against, abstained.
    """

    scenario: str
    role: str
    reason: str
    decided_on: date
    release: str | None = None
    replaces: int | None = None
    votes: tuple[int, int, int] | None = None


def decide(space: Workspace, asked: Decision, today: date) -> DecidedPlan:
    """Archive a decision and return it as it is kept.

    Raises:
        CityError: in words, if the decision, the release or the archive is not as it must be;
            nothing is written then.
        ReleaseError: if the release is not as it was published.
    """
    root = Path(space.city_folder).resolve() / FOLDER
    root.mkdir(exist_ok=True)
    with lock(root):
        return _kept(space, asked, today, root)


def _kept(space: Workspace, asked: Decision, today: date, root: Path) -> DecidedPlan:
    """Archive a decision while nobody else does."""
    city = space.city()
    release = _shown(space, city, asked.release)
    refuse_damaged(release)
    analyst = release / "analyst"
    shown = pl.read_parquet(analyst / "mart_city.parquet").row(0, named=True)
    cycle, before = shown["planning_year"], in_force(city.decided, shown["planning_year"])
    _refuse(asked, before, cycle, today)
    scenario_he = _scenario_name(analyst, asked.scenario)
    kept = load_city(analyst)
    try:
        lines, money, policy = plan_of(kept, analyst, asked.scenario)
    except FileNotFoundError as error:
        _wrong(
            f"{release}: it lacks what a decision keeps ({error.filename}); run again and"
            " decide on the new release",
            f"{release}: חסר בו מה שהחלטה שומרת; יש להריץ שוב ולהחליט על הפרסום החדש",
        )
    building = root / f"{BUILDING}{os.getpid()}"
    for left in root.glob(f"{BUILDING}*"):  # of a kill: whoever decides holds the lock
        shutil.rmtree(left)
    try:
        shutil.copytree(release, building / RELEASE)
        _write(lines, "core_decided_line", building / LINES)
        _write(money, "core_decided_money", building / MONEY)
        _overrides(analyst).write_parquet(building / OVERRIDES)
        shutil.copyfile(analyst / "mart_effect.parquet", building / EFFECTS)
        text = (
            (analyst / POLICY).read_text(encoding="utf-8")
            if policy is None
            else yaml.safe_dump(
                policy.model_dump(mode="json", by_alias=True, exclude_none=True),
                allow_unicode=True,
                sort_keys=False,
            )
        )
        (building / POLICY).write_text(text, encoding="utf-8")
        made_from, code = _made_from(release, city)
        votes = asked.votes or (None, None, None)
        record = Record(
            cycle=cycle,
            version=before.record.version + 1 if before else 1,
            scenario=asked.scenario,
            scenario_he=scenario_he,
            release=release.name,
            role=asked.role,
            reason=asked.reason,
            decided_on=asked.decided_on,
            votes_for=votes[0],
            votes_against=votes[1],
            votes_abstained=votes[2],
            replaces=asked.replaces,
            window=(shown["window_first_year"], shown["window_last_year"]),
            before=city.decided[-1].hash if city.decided else None,
            inputs=made_from,
            code=code,
            files=file_hashes(building),
        )
        (building / RECORD).write_text(text_of(record), encoding="utf-8")
        _keep_private(building)
        _add(root, building, record)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read_archives(city.folder)[-1]


def _made_from(release: Path, city: CityFolder) -> tuple[dict[str, str], str]:
    """Return the files and the code that a release was made from, and the SHA-256 of each.

    One that answers for only a part of itself names none: what stands today is kept then.
    """
    said = manifest(release)
    if said.get("inputs") and said.get("code"):
        return said["inputs"], said["code"]
    return input_hashes(city)


def _shown(space: Workspace, city: CityFolder, name: str | None) -> Path:
    """Return the folder of the release that was shown: among the published, or an archived one."""
    marts = Path(space.marts_folder)
    if name is None:
        release = current_release(marts)
        if release is None:
            _wrong(
                f"{marts}: nothing is published yet; run `make run CITY={space.name}` first",
                f"{marts}: טרם פורסם דבר; יש להריץ תחילה make run CITY={space.name}",
            )
        return release
    places = [marts / "releases" / name, *(one.folder / RELEASE for one in city.decided)]
    for place in places:
        if place.is_dir() and (place.name == name or _id_of(city, place) == name):
            return place
    _wrong(
        f"{name}: no such release is kept; the current one is decided on without RELEASE=",
        f"{name}: אין פרסום כזה; בלי RELEASE= מחליטים על הפרסום הנוכחי",
    )


def _id_of(city: CityFolder, place: Path) -> str:
    return next(one.record.release for one in city.decided if one.folder == place.parent)


def _refuse(asked: Decision, before: DecidedPlan | None, cycle: int, today: date) -> None:
    """Refuse what is no decision.

    Raises:
        CityError: saying what is missing or wrong.
    """
    roles = [str(role) for role in dictionary().fields["decided_by_role"].allowed]
    if asked.role not in roles:
        _wrong(
            f"'{asked.role}' is no role that decides; write one of {', '.join(roles)}",
            f"'{asked.role}' אינו תפקיד שמחליט; יש לכתוב אחד מאלה: {', '.join(roles)}",
        )
    if len(asked.reason.strip()) < LEAST_REASON:
        _wrong(
            "a decision needs a reason in words (REASON=)",
            "להחלטה נדרש נימוק במילים (REASON=)",
        )
    if mask_personal(asked.reason) != asked.reason:
        _wrong(
            "the reason seems to name a person, a phone or an address; a decision is by role alone",
            "נראה שהנימוק כולל שם, טלפון או כתובת; החלטה נרשמת לפי תפקיד בלבד",
        )
    first, last = date(cycle - 2, 9, 1), min(date(cycle, 8, 31), today)
    if before:
        first = max(first, before.record.decided_on)
    if not first <= asked.decided_on <= last:
        _wrong(
            f"{asked.decided_on} is no day of this decision: it lies between {first} (the cycle's"
            f" begin, or the decision before) and {last} (its end, or today)",
            f"{asked.decided_on} אינו יום אפשרי להחלטה: היא בין {first} לבין {last}",
        )
    if asked.votes and (
        min(asked.votes) < 0 or max(asked.votes) > MOST_VOTES or asked.votes[0] <= asked.votes[1]
    ):
        _wrong(
            "there are not more votes for than against: what was not carried is no decision",
            "אין יותר קולות בעד מנגד: מה שלא עבר אינו החלטה",
        )
    version = before.record.version if before else None
    if asked.replaces != version:
        _wrong(
            (
                f"the plan of {cycle} is decided (version {version}); a second decision says that"
                f" it replaces it: REPLACES={version}"
                if before
                else f"nothing is decided on {cycle} yet, so there is nothing to replace"
            ),
            (
                f"על התוכנית של {cycle} כבר הוחלט (גרסה {version}); החלטה נוספת אומרת שהיא מחליפה"
                f" אותה: REPLACES={version}"
                if before
                else f"טרם הוחלט על {cycle}, ולכן אין מה להחליף"
            ),
        )


def plans_of(analyst: Path) -> dict[str, str]:
    """Return the plans of a release that can be decided on, and their Hebrew names."""
    planned = pl.read_parquet(analyst / "mart_scenario.parquet").filter(
        pl.col("scenario_status").is_in([BASE, "solved"])
    )
    return dict(
        planned.sort("scenario_order").select("scenario_id", "scenario_name_he").iter_rows()
    )


def _scenario_name(analyst: Path, scenario: str) -> str:
    """Return the Hebrew name of a scenario that has a plan.

    Raises:
        CityError: if the release has no plan of that name.
    """
    names = plans_of(analyst)
    if scenario not in names:
        _wrong(
            f"'{scenario}' is no plan of this release; its plans are: {', '.join(names)}",
            f"'{scenario}' אינה תוכנית בפרסום זה; התוכניות שבו: {', '.join(names)}",
        )
    return names[scenario]


def _overrides(analyst: Path) -> pl.DataFrame:
    """Return what was decided by hand, each with its price found by solving again."""
    rules, prices = (
        pl.read_parquet(analyst / f"{name}.parquet")
        for name in ("mart_allocation_rule", "mart_rule_price")
    )
    return (
        rules.filter(pl.col("rule_id").str.starts_with("override:"))
        .select("rule_id", "rule_he", "rule_en")
        .join(prices, on="rule_id", how="left")
        .sort("rule_id")
    )


def _write(rows: pl.DataFrame, table: str, path: Path) -> None:
    """Write the rows as a table has them, but for the decision they belong to."""
    schema = dict(nothing(table).drop("planning_year", "decision_version").schema)
    rows.select(*schema).cast(schema).sort("plan_row_id").write_parquet(path)  # type: ignore[arg-type]


def _keep_private(folder: Path) -> None:
    """Leave what is archived to the user who decides: pupils stand behind its numbers."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def _add(root: Path, building: Path, record: Record) -> None:
    """Put an archive in its place and its line in the chain; a kill in between is made good."""
    place = place_of(record.cycle, record.version)
    chain = root / CHAIN
    lines = chain.read_text(encoding="utf-8") if chain.is_file() else ""
    following = root / NEXT_CHAIN
    hashed = hash_of((building / RECORD).read_bytes())
    following.write_text(f"{lines}{place} {hashed}\n", encoding="utf-8")
    following.chmod(0o600)
    (root / place).parent.mkdir(exist_ok=True)
    building.rename(root / place)
    following.replace(chain)


def _wrong(en: str, he: str) -> NoReturn:
    raise CityError(f"{en}.", f"{he}.")
