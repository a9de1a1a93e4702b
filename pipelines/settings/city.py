"""A city is a folder: `city.yaml` (what its files are), `policy.yaml` (what it wants, may spend).

Both are read into frozen Pydantic models. An invalid file stops before any asset runs, with the
path to the field and the reason in English and Hebrew (R119). Every parameter carries its value,
unit, source and reason, and every run stores them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import (
    BaseModel,
    Field,
    field_validator,
    model_validator,
)

from pipelines.settings.archive import (
    LINES,
    POLICY,
    DecidedPlan,
    in_force,
    read_archives,
    signature,
)
from pipelines.settings.fields import dictionary
from pipelines.settings.mapping import SourceMapping, form_mapping
from pipelines.settings.parameters import (
    Cited,
    Flag,
    Model,
    Named,
    Number,
    Parameter,
    Positive,
    Score,
    Subject,
    Whole,
    Year,
)
from pipelines.settings.policy import Policy
from pipelines.settings.policy_defaults import DEFAULTS, whole_policy
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import (
    CityError,
    RefusedError,
    line_of,
    read_yaml,
    refuse_yml,
)

FURTHEST_PLAN = 5
"""Most school years between the reference year and the planned one."""
_EXAMPLE = Path(__file__).parents[1] / "demo" / "policy.yaml"


# ---- city.yaml --------------------------------------------------------------------------------


class Identity(Named):
    """Who the city is; `{authority}` in its names is the authority's: one line changes it.

    Attributes:
        authority: the one whose schools of national files are planned for; None = all of them.
        covers: a city, or a country: its files are national, and people read it by district and
            authority first.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    authority: str | None = None
    covers: Literal["city", "country"] = "city"
    is_synthetic: Flag

    @property
    def is_municipal(self) -> bool:
        """Whether the files are of the city alone, and not of a country."""
        return self.authority is None and self.covers == "city"

    @model_validator(mode="before")
    @classmethod
    def _named_for_its_authority(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("authority"), str):
            return given
        named = {
            name: given[name].replace("{authority}", given["authority"])
            for name in ("name_he", "name_en")
            if isinstance(given.get(name), str)
        }
        return given | named

    @model_validator(mode="after")
    def _covers_one_thing(self) -> Identity:
        if self.covers == "country" and self.authority is not None:
            raise RefusedError(
                "a country has no authority; leave out `authority`, or `covers`",
                "ארץ שלמה אינה של רשות אחת; יש להשמיט את authority או את covers",
                "covers",
            )
        return self


class Scope(Model):
    """Which institutions the plan covers (R3)."""

    name: Literal["official", "all"]
    education_stages: tuple[str, ...]
    education_types: tuple[str, ...]
    legal_statuses: tuple[str, ...]

    @model_validator(mode="after")
    def _named_for_what_it_covers(self) -> Scope:
        if (self.name == "official") != (self.legal_statuses == ("official",)):
            raise RefusedError(
                f"scope '{self.name}' with legal_statuses {', '.join(self.legal_statuses)}:"
                " 'official' covers official schools alone, 'all' others too",
                "היקף official כולל רק בתי ספר רשמיים (legal_statuses: [official]), ו־all גם אחרים",
                "legal_statuses",
            )
        return self


class SchoolYears(Model):
    """School years with data; `reference` is the year whose register the plan stands on."""

    first: Year
    last: Year
    reference: Year

    @model_validator(mode="after")
    def _ordered(self) -> SchoolYears:
        if not self.first <= self.reference <= self.last:
            raise RefusedError(
                f"need first ≤ reference ≤ last, not {self.first}, {self.reference}, {self.last}",
                f"נדרש first ≤ reference ≤ last, ולא {self.first}, {self.reference}, {self.last}",
            )
        return self

    def all(self) -> tuple[int, ...]:
        """Return every school year from first to last."""
        return tuple(range(self.first, self.last + 1))


class Scale(Cited):
    """How scores on one scale are read.

    `declared`: mean and SD stated by the test's owner. `national_reference`: mean and SD of the
    published means of all schools of the country in the same year, grade and subject; `sd` is
    then the pupil-level SD of the scale's base year. `min` and `max` bound the possible scores.
    """

    kind: Literal["declared", "national_reference"]
    mean: Score | None = None
    sd: Positive
    min: Score | None = None
    max: Score | None = None
    desired: Score | None = None

    @model_validator(mode="after")
    def _complete(self) -> Scale:
        if self.kind == "declared" and self.mean is None:
            raise RefusedError("a declared scale needs its mean", "לסולם מוצהר נדרש ממוצע (mean)")
        return self


class Emergency(Named, Cited):
    """A school year of an emergency, whose results no trend crosses (R46)."""


class MailServer(Model):
    """The mail server that takes what a city sends, and in whose name."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    sender: Annotated[str, Field(alias="from")]


class Email(MailServer):
    """The mail server that takes a city's notices, and whom they reach."""

    to: Annotated[tuple[str, ...], Field(min_length=1)]


class Notices(Model):
    """How a city is told that a night has failed, beside the file of the notice itself.

    `command` is run in the city's folder with the notice as its input.
    """

    command: str | None = None
    email: Email | None = None


Engine = Literal["duckdb", "spark"]


class City(Model):
    """`city.yaml`.

    Attributes, of those that do not say it themselves:
        engine: what runs the SQL between files and estimates. The rows are the same.
    """

    city: Identity
    scope: Scope
    engine: Engine = "duckdb"
    school_years: SchoolYears
    emergencies: dict[Year, Emergency] = Field(default_factory=dict)
    subjects: tuple[Subject, ...]
    grades_per_school: Annotated[Whole, Field(ge=1, le=13)] = 6
    scales: dict[str, Scale] = Field(default_factory=dict)
    expected: dict[str, Annotated[Number, Field(ge=0, le=1e9)]] = Field(default_factory=dict)
    roots: tuple[str, ...] = ("files",)
    sources: dict[str, tuple[SourceMapping, ...]]
    notes_he: tuple[str, ...] = ()
    notices: Notices = Notices()
    sending: MailServer | None = None

    @field_validator("sources", mode="before")
    @classmethod
    def _one_mapping_is_a_list_of_one(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        listed = {key: item if isinstance(item, list) else [item] for key, item in given.items()}
        return {
            key: [
                form_mapping(key, item) if isinstance(item, dict) and "form" in item else item
                for item in items
            ]
            for key, items in listed.items()
        }

    @model_validator(mode="after")
    def _mappings_fit_the_contracts(self) -> City:
        for source_id, mappings in self.sources.items():
            if source_id not in dictionary().sources:
                known = ", ".join(dictionary().sources)
                raise RefusedError(
                    f"unknown source '{source_id}'; known sources: {known}",
                    f"מקור לא מוכר '{source_id}'; מוכרים: {known}",
                    *("sources", source_id),
                )
            for mapping in mappings:
                if misfit := mapping.misfit(source_id):
                    raise RefusedError(
                        misfit,
                        f"המיפוי אינו מתאים לחוזה של המקור ({misfit})",
                        *("sources", source_id, "columns"),
                    )
        return self


# ---- loading ----------------------------------------------------------------------------------


class CityFolder(Model):
    """A city as it lies on disk: its folder, its two validated files, and what was decided."""

    folder: Path
    city: City
    policy: Policy
    decided: tuple[DecidedPlan, ...] = ()

    def within(self, scope: str | None) -> CityFolder:
        """Return the city with its plan over another scope; as it is if None is asked for.

        Raises:
            CityError: if all schools are asked for, but the city's own scope is the official ones:
                nobody then says which others there are.
        """
        own = self.city.scope
        if scope is None or scope == own.name:
            return self
        if scope == "all":
            raise CityError(
                f"{self.folder / 'city.yaml'}: its scope covers official schools alone; to plan for"
                " all, name the other legal_statuses there.",
                f"{self.folder / 'city.yaml'}: ההיקף כולל רק בתי ספר רשמיים. כדי לתכנן לכל בתי הספר"
                " יש לרשום שם את שאר המעמדות (legal_statuses).",
            )
        official = own.model_copy(update={"name": "official", "legal_statuses": ("official",)})
        return self.model_copy(update={"city": self.city.model_copy(update={"scope": official})})

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders in which the city's files are looked for, in order."""
        return tuple((self.folder / _with_environment(root)).resolve() for root in self.city.roots)

    @property
    def planning_year(self) -> int:
        """School year the allocation is for."""
        return self.policy.planning_year.value

    @property
    def decision(self) -> DecidedPlan | None:
        """What was decided on the plan of the planning year; None while it is a draft."""
        return in_force(self.decided, self.planning_year)

    def as_decided(self) -> CityFolder:
        """Return the city with the policy that the plan in force was decided by.

        Raises:
            CityError: if today's code cannot read that policy.
        """
        if self.decision is None:
            return self
        path = self.decision.folder / POLICY
        whole = whole_policy(path)
        policy = validated(path, whole.raw, Policy, where_stated=whole.where)
        return self.model_copy(update={"policy": policy})

    def parameters(self) -> list[dict[str, str]]:
        """Return every parameter of both files as rows of `core_parameter`."""
        return [*parameters_of("policy", self.policy), *parameters_of("city", self.city)]


_VARIABLE = re.compile(r"\$\{(\w+):([^}]*)\}")


def _with_environment(text: str) -> str:
    """Replace `${NAME:default}` by the environment's NAME, or the default."""
    return _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2], text)


def parameters_of(path: str, node: Any) -> Iterator[dict[str, str]]:
    """Yield every parameter under a part of a file, as a row of `core_parameter`."""
    if isinstance(node, Parameter):
        yield {
            "parameter_id": path,
            "parameter_value": _text(node.value),
            "unit": node.unit,
            "source": node.source,
            "reason": node.reason,
        }
    elif isinstance(node, BaseModel):
        cites = {
            name: value
            for name, value in node
            if name in ("source", "reason", "effect_source", "effect_reason", "funding_source")
        }
        for name, value in node:
            own = name.removesuffix("s")
            cited = cites.get(f"{own}_source", cites.get("source"))
            why = cites.get(f"{own}_reason", cites.get("reason", ""))
            if isinstance(value, (int, float, str, date)) and name not in cites and cited:
                yield _plain(f"{path}.{name}", value, cited, why)
            elif isinstance(value, dict) and cited:
                for key, item in value.items():
                    yield _plain(f"{path}.{name}.{key}", item, cited, why)
            else:
                yield from parameters_of(f"{path}.{name}", value)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from parameters_of(f"{path}.{key}", value)
    elif isinstance(node, tuple):
        for index, value in enumerate(node):
            yield from parameters_of(f"{path}.{index}", value)


def _plain(path: str, value: Any, source: str, reason: str) -> dict[str, str]:
    return {
        "parameter_id": path,
        "parameter_value": _text(value),
        "unit": "as named",
        "source": source,
        "reason": reason,
    }


def _text(value: Any) -> str:
    if isinstance(value, BaseModel):
        return ", ".join(f"{name} {_text(item)}" for name, item in value)
    if isinstance(value, dict):
        return ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def load_sources(folder: Path) -> CityFolder:
    """Read a city's folder in which there may be no policy yet: enough to look at its files.

    Without `policy.yaml` a stand-in takes its place that knows no response, goal, group or target.

    Raises:
        CityError: as `load_city`.
    """
    refuse_yml(folder, "city", "policy")
    if (folder / "policy.yaml").is_file():
        return load_city(folder)
    folder = folder.resolve()
    stand_in = whole_policy(_EXAMPLE).raw
    for part in ("groups", "causes", "overlaps", "assets"):
        del stand_in[part]
    for part in ("needs", "topics"):
        del stand_in["response_map"][part]
    stand_in |= {"targets": [], "goals": {}, "responses": {}, "rules": {}}
    return CityFolder(
        folder=folder,
        city=validated(folder / "city.yaml", read_yaml(folder / "city.yaml"), City),
        policy=validated(_EXAMPLE, stand_in, Policy),
    )


def load_city(folder: Path) -> CityFolder:
    """Read and validate a city's folder.

    Raises:
        CityError: if a file is missing, is not YAML, breaks the schema (R119), or would be passed
            over for its name.
    """
    folder = folder.resolve()
    refuse_yml(folder, "city", "policy")
    files = (folder / "city.yaml", folder / "policy.yaml", DEFAULTS)
    content = tuple(path.is_file() and path.read_bytes() for path in files)
    return _loaded(folder, (*content, *signature(folder)))


@lru_cache(maxsize=4)  # a run asks some fifty times, and reading strictly takes a while
def _loaded(folder: Path, content: tuple[object, ...]) -> CityFolder:
    """Read what the files of a city hold; `content` names it, so that nothing old is given."""
    city = validated(folder / "city.yaml", read_yaml(folder / "city.yaml"), City)
    path = folder / "policy.yaml"
    whole = whole_policy(path)
    policy = validated(path, whole.raw, Policy, where_stated=whole.where)
    planned, reference = policy.planning_year.value, city.school_years.reference
    if not reference <= planned <= reference + FURTHEST_PLAN:
        line = line_of(path, ("planning_year", "value"))
        raise CityError(
            f"{path}: line {line}: planning_year.value: {planned} is not within {FURTHEST_PLAN}"
            f" school years after {reference}, the reference year of city.yaml.",
            f"{path}: שורה {line}: planning_year.value: שנת {planned} אינה בתוך {FURTHEST_PLAN}"
            f" שנות לימוד אחרי {reference}, שנת הייחוס ב־city.yaml.",
        )
    found = CityFolder(folder=folder, city=city, policy=policy, decided=read_archives(folder))
    refuse_dropped(path, found)
    return found


def refuse_dropped(path: Path, city: CityFolder) -> None:
    """Refuse a policy that no longer knows a response of the plan in force.

    Raises:
        CityError: naming the responses, the decision, and what to do.
    """
    if (decision := city.decision) is None:
        return
    lines = pl.read_parquet(decision.folder / LINES, columns=["response_id"])
    if dropped := sorted(set(lines["response_id"]) - city.policy.responses.keys()):
        named, line = ", ".join(dropped), line_of(path, ("responses",))
        raise CityError(
            f"{path}: line {line}: responses: {named} stands in the plan decided on"
            f" {decision.record.decided_on} ({decision.name}) and is no response of the policy any"
            " more. Put it back (with kind, costs and effects as they were); a further decision"
            " (`make decide REPLACES=`) on a release without it frees it.",
            f"{path}: שורה {line}: responses: המענה {named} כלול בתוכנית שהוחלט עליה ביום"
            f" {decision.record.decided_on} ({decision.name}) ואינו עוד במדיניות. יש להחזיר אותו;"
            " החלטה נוספת על פרסום שאינו כולל אותו תשחרר אותו.",
        )
