"""A city is a folder: `city.yaml` (what its files are) and `policy.yaml` (what it wants and may spend).

Both are read into frozen Pydantic models. An invalid file stops before any asset runs, with the
path to the field and the reason in English and Hebrew (R119). Every parameter carries its value,
unit, source and reason, and every run stores them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from pipelines.fields import dictionary
from pipelines.sources.mapping import SourceMapping
from pipelines.yaml_lines import line_of

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Year = Annotated[int, Field(ge=2000, le=2100)]
Subject = Literal["hebrew", "arabic", "math", "english", "science"]
Channel = Literal[
    "municipal_own", "gefen_school", "gefen_municipal", "ministry_other",
    "mifal_hapais", "partner_ngo", "parents",
]  # fmt: skip


class CityError(Exception):
    """A city's folder cannot be used; the message says what, where and what to do.

    Attributes:
        he: the same in Hebrew, for a municipal user.
    """

    def __init__(self, en: str, he: str) -> None:
        super().__init__(f"{en}\n{he}")
        self.en, self.he = en, he


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Model, Generic[T]):
    """One decision of the city: a value with its unit, where it comes from and why."""

    value: T
    unit: str
    source: str
    reason: str


# ---- city.yaml --------------------------------------------------------------------------------


class Identity(_Model):
    """Who the city is."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    name_he: str
    name_en: str
    authority: str | None = None
    is_synthetic: bool


class Scope(_Model):
    """Which institutions the plan covers (R3)."""

    name: Literal["official", "all"]
    education_stages: tuple[str, ...]
    education_types: tuple[str, ...]
    legal_statuses: tuple[str, ...]


class SchoolYears(_Model):
    """School years with data; `reference` is the year whose register the plan stands on."""

    first: Year
    last: Year
    reference: Year

    @model_validator(mode="after")
    def _ordered(self) -> SchoolYears:
        if not self.first <= self.reference <= self.last:
            raise ValueError(
                f"need first ≤ reference ≤ last, not {self.first}, {self.reference}, {self.last}"
            )
        return self

    def all(self) -> tuple[int, ...]:
        """Return every school year from first to last."""
        return tuple(range(self.first, self.last + 1))


class Scale(_Model):
    """How scores on one scale are read.

    `declared`: mean and SD stated by the test's owner. `national_reference`: mean and SD of the
    published means of all schools of the country in the same year, grade and subject; `sd` is
    then the pupil-level SD of the scale's base year. `min` and `max` bound the possible scores.
    """

    kind: Literal["declared", "national_reference"]
    mean: float | None = None
    sd: Annotated[float, Field(gt=0)]
    min: float | None = None
    max: float | None = None
    desired: float | None = None
    source: str
    reason: str

    @model_validator(mode="after")
    def _complete(self) -> Scale:
        if self.kind == "declared" and self.mean is None:
            raise ValueError("a declared scale needs its mean")
        return self


class City(_Model):
    """`city.yaml`."""

    city: Identity
    scope: Scope
    school_years: SchoolYears
    subjects: tuple[Subject, ...]
    grades_per_school: Annotated[int, Field(ge=1)] = 6
    scales: dict[str, Scale] = {}
    expected: dict[str, float] = {}
    roots: tuple[str, ...] = ("files",)
    sources: dict[str, tuple[SourceMapping, ...]]
    notes_he: tuple[str, ...] = ()

    @field_validator("sources", mode="before")
    @classmethod
    def _one_mapping_is_a_list_of_one(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: item if isinstance(item, list) else [item] for key, item in given.items()}

    @model_validator(mode="after")
    def _mappings_fit_the_contracts(self) -> City:
        for source_id, mappings in self.sources.items():
            if source_id not in dictionary().sources:
                known = ", ".join(dictionary().sources)
                raise ValueError(f"unknown source '{source_id}'; known sources: {known}")
            for mapping in mappings:
                if misfit := mapping.misfit(source_id):
                    raise ValueError(f"sources.{source_id}: {misfit}")
        return self


# ---- policy.yaml ------------------------------------------------------------------------------


class ChannelPolicy(_Model):
    """Money of one funding channel: a budget of its own, a cap inside each school, or neither."""

    budget: Parameter[float] | None = None
    per_school_from: Literal["gefen_agorot"] | None = None
    per_pupil: Parameter[float] | None = None


class Target(_Model):
    """A dated desired state (R32): absolute on a scale, or the scale's reference group."""

    type: Literal["absolute", "reference_group"]
    scales: tuple[str, ...]
    subjects: tuple[Subject, ...] | Literal["all"] = "all"
    value: float | None = None
    valid_from: date
    source: str

    @model_validator(mode="after")
    def _absolute_has_value(self) -> Target:
        if (self.type == "absolute") != (self.value is not None):
            raise ValueError(
                "an absolute target needs a value; a reference_group target takes none"
            )
        return self


class NeedIndicator(_Model):
    """One registered indicator of the need index (R43)."""

    name_he: str
    kind: Literal["outcome", "background"]
    measure: Literal[
        "gap", "chronic_absence", "overt_dropout", "climate_safety", "nurture_index", "ses_category"
    ]
    subject: Subject | None = None
    weight_pct: Parameter[Percent]
    target: Parameter[float] | None = None
    anchor_low: float | None = None
    anchor_high: float | None = None


class NeedPolicy(_Model):
    """How need is computed."""

    window_years: Parameter[int]
    order_p: Parameter[float]
    draws: Parameter[int]
    seed: Parameter[int]
    indicators: dict[str, NeedIndicator]

    @model_validator(mode="after")
    def _weights_sum_to_100(self) -> NeedPolicy:
        total = sum(indicator.weight_pct.value for indicator in self.indicators.values())
        if abs(total - 100) > 1e-9:
            raise ValueError(f"the weights of the need indicators must sum to 100, not {total:g}")
        return self


class FairnessPolicy(_Model):
    """How the fairness of a criterion is judged (R29)."""

    reliability: Parameter[Share] = Parameter[float](
        value=0.9,
        unit="share",
        source="assumed",
        reason="mean of three internal tests of reliability .8",
    )
    margin: Parameter[Share] = Parameter[float](
        value=0.1,
        unit="share",
        source="assumed",
        reason="smaller departures are not worth a committee's time",
    )


class GroupVersion(_Model):
    """Whom a group includes from a school year on (R5): a bound or a value of one attribute."""

    name_he: str
    dimension: Literal["nurture", "immigrant", "special_needs", "gifted", "sex", "stream", "area"]
    attribute: Literal[
        "nurture_decile", "years_in_israel", "is_sen_integration", "is_gifted", "sex", "stream", "stat_area"
    ]  # fmt: skip
    at_least: float | None = None
    at_most: float | None = None
    equals: str | None = None
    valid_from: Year
    source: str
    reason: str

    @model_validator(mode="after")
    def _says_whom(self) -> GroupVersion:
        if self.at_least is None and self.at_most is None and self.equals is None:
            raise ValueError("a group needs at_least, at_most or equals")
        return self


class Effect(_Model):
    """A registered prior effect on participants, in pupil SD per year."""

    mean: float
    sd: Annotated[float, Field(gt=0)]


class Eligibility(_Model):
    """Whom a response admits."""

    nurture_index_min: float | None = None
    reason_he: str
    reason_en: str


class Response(_Model):
    """One response of the registry (R14), with its registered cost and prior effects."""

    name_he: str
    name_en: str
    response_class: Literal[
        "talented_by_schools", "talented_by_authority", "under_achievers", "special_education", "other_fields"
    ]  # fmt: skip
    action_channel: Literal[
        "parent_guidance", "staff_training", "infrastructure_access", "educational_programs"
    ]
    goal: str
    horizon: Literal["short", "long"]
    is_excellence: bool = False
    is_allocated: bool = True
    eligibility: Eligibility | None = None
    served_share: Parameter[Share]
    fixed_cost: Parameter[float]
    unit_cost: Parameter[float]
    funding: dict[Channel, Share]
    funding_source: str
    effects: dict[Subject, Effect]
    effect_source: str
    transport_discount: Parameter[Share]

    @model_validator(mode="after")
    def _funding_is_whole(self) -> Response:
        if abs(sum(self.funding.values()) - 1) > 1e-9:
            raise ValueError(
                f"the funding shares must sum to 1, not {sum(self.funding.values()):g}"
            )
        return self


class Capacity(_Model):
    """Most schools, or participants, one response can serve."""

    response: str
    schools: int | None = None
    participants: int | None = None
    source: str
    reason: str


class MustKeep(_Model):
    """Responses that go on where they run now (`served`) or in the schools named."""

    response: str
    schools: tuple[str, ...] | Literal["served"]
    dose_level: int = 1
    source: str
    reason: str


class MustDrop(_Model):
    """Responses that are not to be given, anywhere or in the schools named."""

    response: str
    schools: tuple[str, ...] | Literal["all"] = "all"
    source: str
    reason: str


class Rules(_Model):
    """The rules of the allocation (R82–R93)."""

    capacity: tuple[Capacity, ...] = ()
    must_keep: tuple[MustKeep, ...] = ()
    must_drop: tuple[MustDrop, ...] = ()
    every_school_served: Parameter[bool] | None = None
    school_cap_per_pupil: Parameter[float] | None = None
    excellence_min: Parameter[Percent] | None = None
    excellence_max: Parameter[Percent] | None = None
    exclusive: dict[str, tuple[str, ...]] = {}


class FormulaPolicy(_Model):
    """Scenario zero: money by weighted pupils, no programmes."""

    weight_at_no_need: Parameter[float]
    weight_at_full_need: Parameter[float]


class Suppression(_Model):
    """Smallest cells that may be published (R111)."""

    mean_pupils: Parameter[int]
    count_pupils: Parameter[int]


class SolverPolicy(_Model):
    """How hard the allocation is solved."""

    gap_pct: Parameter[float]
    time_limit_s: Parameter[float]


class Goal(_Model):
    """One department goal."""

    name_he: str
    name_en: str


class Policy(_Model):
    """`policy.yaml`."""

    planning_year: Parameter[Year]
    equity_gamma: Parameter[Annotated[float, Field(ge=0)]]
    need_offset: Parameter[Annotated[float, Field(gt=0)]]
    dose_response: dict[Share, Share]
    channels: dict[Channel, ChannelPolicy]
    targets: tuple[Target, ...]
    class_design_effect: Parameter[Annotated[float, Field(ge=1)]]
    need: NeedPolicy
    goals: dict[str, Goal]
    groups: dict[str, tuple[GroupVersion, ...]] = {}
    fairness: FairnessPolicy = FairnessPolicy()
    responses: dict[str, Response]
    rules: Rules
    formula: FormulaPolicy
    suppression: Suppression
    solver: SolverPolicy

    @model_validator(mode="after")
    def _names_are_known(self) -> Policy:
        for response_id, response in self.responses.items():
            if response.goal not in self.goals:
                raise ValueError(
                    f"responses.{response_id}.goal: '{response.goal}' is not one of the goals"
                )
            if astray := set(response.funding) - set(self.channels):
                raise ValueError(
                    f"responses.{response_id}.funding: no such channel: {', '.join(sorted(astray))}"
                )
        named = [
            *(("capacity", rule.response) for rule in self.rules.capacity),
            *(("must_keep", rule.response) for rule in self.rules.must_keep),
            *(("must_drop", rule.response) for rule in self.rules.must_drop),
            *(
                ("exclusive", response)
                for group in self.rules.exclusive.values()
                for response in group
            ),
        ]
        for rule, response_id in named:
            if response_id not in self.responses:
                raise ValueError(f"rules.{rule}: no response '{response_id}' in responses")
        return self


# ---- loading ----------------------------------------------------------------------------------


class CityFolder(_Model):
    """A city as it lies on disk: its folder, its files' roots, its two validated files."""

    folder: Path
    city: City
    policy: Policy

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders in which the city's files are looked for, in order."""
        return tuple((self.folder / _with_environment(root)).resolve() for root in self.city.roots)

    @property
    def planning_year(self) -> int:
        """School year the allocation is for."""
        return self.policy.planning_year.value

    def parameters(self) -> list[dict[str, str]]:
        """Return every parameter of both files as rows of `core_parameter`."""
        return [*_parameters("policy", self.policy), *_parameters("city", self.city)]


_VARIABLE = re.compile(r"\$\{(\w+):([^}]*)\}")


def _with_environment(text: str) -> str:
    """Replace `${NAME:default}` by the environment's NAME, or the default."""
    return _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2], text)


def _parameters(path: str, node: Any) -> Iterator[dict[str, str]]:
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
            if name in ("source", "reason", "effect_source", "funding_source")
        }
        for name, value in node:
            cited = cites.get(f"{name.removesuffix('s')}_source", cites.get("source"))
            if isinstance(value, (int, float, str, date)) and name not in cites and cited:
                yield _plain(f"{path}.{name}", value, cited, cites.get("reason", ""))
            elif isinstance(value, dict) and cited:
                for key, item in value.items():
                    yield _plain(f"{path}.{name}.{key}", item, cited, cites.get("reason", ""))
            else:
                yield from _parameters(f"{path}.{name}", value)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _parameters(f"{path}.{key}", value)
    elif isinstance(node, tuple):
        for index, value in enumerate(node):
            yield from _parameters(f"{path}.{index}", value)


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
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _read(path: Path, model: type[BaseModel]) -> Any:
    if not path.is_file():
        raise CityError(
            f"{path}: there is no such file; a city is a folder with city.yaml and policy.yaml (see README, 'Bring your own city').",
            f"{path}: הקובץ חסר; עיר היא תיקייה ובה city.yaml ו-policy.yaml.",
        )
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "unknown line"
        raise CityError(
            f"{path}: not valid YAML at {where}: {getattr(error, 'problem', error)}.",
            f"{path}: הקובץ אינו YAML תקין ({where}).",
        ) from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = [
            (_place(raw, item["loc"]), line_of(path, item["loc"]), item["msg"])
            for item in error.errors()
        ]
        lines = "\n".join(f"  line {line}: {where}: {what}" for where, line, what in problems)
        raise CityError(
            f"{path}: {len(problems)} field(s) are not valid:\n{lines}",
            f"{path}: {len(problems)} שדות אינם תקינים: {', '.join(f'{where} (שורה {line})' for where, line, _ in problems)}. יש לתקן את הקובץ ולהריץ שוב.",
        ) from None


def _place(raw: Any, loc: Sequence[str | int]) -> str:
    """Return a validator's path without the steps that the file does not write, such as a list of one."""
    parts = []
    for key in loc:
        if isinstance(raw, dict) and isinstance(key, int):
            continue
        parts.append(str(key))
        held = (
            raw if isinstance(raw, dict) else dict(enumerate(raw)) if isinstance(raw, list) else {}
        )
        raw = held.get(key)
    return ".".join(parts) or "(whole file)"


def load_city(folder: Path) -> CityFolder:
    """Read and validate a city's folder.

    Raises:
        CityError: if a file is missing, is not YAML, or breaks the schema (R119).
    """
    folder = folder.resolve()
    return CityFolder(
        folder=folder,
        city=_read(folder / "city.yaml", City),
        policy=_read(folder / "policy.yaml", Policy),
    )
