"""`policy.yaml`, `response_map:` – which responses answer which need and topic, and who may share
one (R54–R58).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.settings.parameters import Model, Parameter, Share, Subject

Amount = Annotated[float, Field(ge=0)]


class Need(Model):
    """A need that is measured per school, and the responses that answer it; none is an answer,
    too.
    """

    name_he: str
    name_en: str
    measure: Literal["gap", "chronic_absence", "overt_dropout", "climate_safety"]
    subject: Subject | Literal["all"] | None = None
    group: str | None = None
    goal: str
    responses: tuple[str, ...] = ()
    source: str
    reason: str

    @model_validator(mode="after")
    def _says_of_what(self) -> Need:
        if (self.measure == "gap") != (self.subject is not None):
            raise ValueError("a gap needs a subject (or all); another measure takes none")
        if self.group is not None and self.measure != "gap":
            raise ValueError("only gaps are measured by group")
        return self


class Aspect(Model):
    """One side of a topic of meeting 3, and the responses that cover it."""

    name_he: str
    responses: tuple[str, ...] = ()
    group: str | None = None
    source: str
    reason: str


class Topics(Model):
    """The five topics of meeting 3 (R58). A topic that says nothing is there all the same, without
    a response.
    """

    gifted: dict[str, Aspect] = Field(default_factory=dict)
    special_education: dict[str, Aspect] = Field(default_factory=dict)
    language: dict[str, Aspect] = Field(default_factory=dict)
    digital_literacy: dict[str, Aspect] = Field(default_factory=dict)
    other_skills: dict[str, Aspect] = Field(default_factory=dict)


class Pooling(Model):
    """Which schools may share one response (R56)."""

    max_distance: Parameter[Amount] = Parameter[float](
        value=2000,
        unit="metres from the host",
        source="assumed",
        reason="what a pupil of elementary age can walk, or ride in a few minutes",
    )
    max_schools: Parameter[Annotated[int, Field(ge=2, le=5)]] = Parameter[int](
        value=3,
        unit="schools",
        source="assumed",
        reason="more than three staffs do not run one programme together",
    )
    max_participants: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=150,
        unit="participants",
        source="assumed",
        reason="ten groups of fifteen: what one coordinator holds",
    )
    max_profile_distance: Parameter[Amount] = Parameter[float](
        value=1.0,
        unit="deciles of the nurture index",
        source="assumed",
        reason="schools of one decile teach alike; guidance of their staffs can be shared",
    )
    travel_cost: Parameter[Amount] = Parameter[float](
        value=300,
        unit="NIS per travelling participant per year",
        source="assumed",
        reason="accompaniment or shuttle for pupils who are not of the host school",
    )


class ResponseMap(Model):
    """What the response map holds responses against."""

    significant: Parameter[Share] = Parameter[float](
        value=0.9,
        unit="probability",
        source="assumed",
        reason="a gap that is there with nine chances in ten: money follows it",
    )
    in_need_below_sd: Parameter[Amount] = Parameter[float](
        value=0.5,
        unit="pupil SD below the target",
        source="assumed",
        reason=(
            "half a pupil SD is more than a year of learning; nearer to the target the ordinary"
            " lesson has to do"
        ),
    )
    pooling: Pooling = Pooling()
    needs: dict[str, Need] = Field(default_factory=dict)
    topics: Topics = Topics()

    def named(self) -> Iterator[tuple[str, str, str]]:
        """Yield everything of the policy that is named here: where, of which kind, by which id."""
        for need_id, need in self.needs.items():
            where = f"response_map.needs.{need_id}"
            yield where, "goal", need.goal
            yield from ((where, "response", response_id) for response_id in need.responses)
            if need.group is not None:
                yield where, "group", need.group
        for topic_id, aspects in self.topics:
            for aspect_id, aspect in aspects.items():
                where = f"response_map.topics.{topic_id}.{aspect_id}"
                yield from ((where, "response", response_id) for response_id in aspect.responses)
                if aspect.group is not None:
                    yield where, "group", aspect.group
