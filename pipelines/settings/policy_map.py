"""`policy.yaml`, `response_map:` – which responses answer which need and topic (R54–R58)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from pipelines.settings.parameters import (
    Amount,
    Cited,
    Count,
    In,
    Model,
    Named,
    Number,
    Parameter,
    Sd,
    Share,
    Subject,
    UnitCost,
    Whole,
    Words,
)
from pipelines.settings.yaml_files import RefusedError


class Need(Named, Cited):
    """A need that is measured per school, and the responses that answer it; none is one, too."""

    measure: Literal["gap", "chronic_absence", "overt_dropout", "climate_safety"]
    subject: Subject | Literal["all"] | None = None
    group: str | None = None
    goal: str
    responses: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_of_what(self) -> Need:
        if (self.measure == "gap") != (self.subject is not None):
            raise RefusedError(
                "a gap needs a subject (or all); another measure takes none",
                "לפער נדרש מקצוע (או all); למדד אחר אין מקצוע",
                "subject",
            )
        if self.group is not None and self.measure != "gap":
            raise RefusedError(
                "only gaps are measured by group", "רק פערים נמדדים לפי קבוצה", "group"
            )
        return self


class Aspect(Cited):
    """One side of a topic of meeting 3, and the responses that cover it."""

    name_he: Words
    responses: tuple[str, ...] = ()
    group: str | None = None


Aspects: TypeAlias = dict[str, Aspect]


class Topics(Model):
    """The five topics of meeting 3 (R58); one that says nothing is there without a response."""

    gifted: Aspects = Field(default_factory=dict)
    special_education: Aspects = Field(default_factory=dict)
    language: Aspects = Field(default_factory=dict)
    digital_literacy: Aspects = Field(default_factory=dict)
    other_skills: Aspects = Field(default_factory=dict)


class Pooling(Model):
    """Which schools may share one response (R56)."""

    max_distance: Annotated[Parameter[Amount], In("metres from the host")]
    max_schools: Annotated[Parameter[Annotated[Whole, Field(ge=2, le=5)]], In("schools")]
    max_participants: Annotated[Parameter[Count], In("participants")]
    max_profile_distance: Annotated[
        Parameter[Annotated[Number, Field(ge=0, le=10)]], In("deciles of the nurture index")
    ]
    travel_cost: Annotated[Parameter[UnitCost], In("NIS per travelling participant per year")]


class ResponseMap(Model):
    """What the response map holds responses against."""

    significant: Annotated[Parameter[Share], In("probability")]
    in_need_below_sd: Annotated[Parameter[Sd], In("pupil SD below the target")]
    pooling: Pooling
    needs: dict[str, Need] = Field(default_factory=dict)
    topics: Topics = Topics()

    def named(self) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """Yield everything of the policy that is named here: where, of which kind, by which id."""
        sides: dict[tuple[str, ...], Need | Aspect] = {
            ("needs", need_id): need for need_id, need in self.needs.items()
        }
        for topic_id, aspects in self.topics:
            sides |= {("topics", topic_id, name): aspect for name, aspect in aspects.items()}
        for where, side in sides.items():
            if isinstance(side, Need):
                yield (*where, "goal"), "goal", side.goal
            for response_id in side.responses:
                yield (*where, "responses"), "response", response_id
            if side.group is not None:
                yield (*where, "group"), "group", side.group
