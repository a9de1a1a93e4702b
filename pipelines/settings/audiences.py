"""Who may see what: a city's table of audiences (R78, R105, R111, R112, R113).

Analysts alone see internal columns, and nobody a personal one: that is no choice of a city. What a
city chooses is which tables an audience gets, of which schools, and from how many children on.
"""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, field_validator

from pipelines.settings.fields import dictionary
from pipelines.settings.parameters import In, Model, Parameter, Whole
from pipelines.settings.yaml_files import RefusedError

LEAST_MEAN, LEAST_COUNT = 10, 5
"""Floors of the thresholds: a policy can ask for larger cells, never publish smaller ones."""

AudienceName = Literal["analyst", "committee", "inspectors", "principals", "parents", "public"]
AUDIENCES: tuple[AudienceName, ...] = get_args(AudienceName)
WHOLE: tuple[AudienceName, ...] = ("analyst", "committee")
"""Audiences that read every page, and so get every table."""

Schools = Literal["every", "own", "bands"]
_OPEN_UNITS = frozenset(
    {
        *("agorot", "agorot per pupil", "NIS"),
        *("category", "key", "code", "date", "year", "flag", "as named", "version"),
    }
)
"""What may be told of a school to who is not of it: money, tiers and words; no score, no count."""

_NAMES = frozenset({"school_name_he", "response_name_he", "practice_he"})
"""Texts that name a thing; any other may be a sentence with a number in it."""

MeanPupils = Annotated[
    Parameter[Annotated[Whole, Field(ge=LEAST_MEAN, le=1000)]],
    In("pupils"),
]
CountPupils = Annotated[
    Parameter[Annotated[Whole, Field(ge=LEAST_COUNT, le=1000)]],
    In("pupils"),
]


def _are_tables(patterns: tuple[str, ...]) -> tuple[str, ...]:
    marts = [name for name in dictionary().tables if name.startswith("mart_")]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in marts):
            near = ", ".join(get_close_matches(pattern, marts, n=1)) or "mart_allocation"
            raise RefusedError(
                f"no published table is called '{pattern}'; write a name such as {near}, or a"
                " pattern such as mart_gap_*",
                f"אין טבלה מתפרסמת בשם '{pattern}'; יש לכתוב שם, למשל {near}, או תבנית, למשל"
                " mart_gap_*",
            )
    return patterns


class Audience(Model):
    """What one audience may see.

    Attributes:
        tables: names of published tables, or patterns of names; none: the audience gets nothing.
            Pages of the committee and of the own school are read whole by whom they are for.
        schools: `every` school with all its numbers; the `own` one with all its numbers, and tables
            that tell only money, tiers and words of the others; or all schools so, in `bands`.
        mean_pupils, count_pupils: thresholds of its own; those of `suppression` if not given.
    """

    tables: Annotated[tuple[str, ...], AfterValidator(_are_tables)]
    schools: Schools
    mean_pupils: MeanPupils | None = None
    count_pupils: CountPupils | None = None

    def gets(self, table: str) -> bool:
        """Whether a table is among those it may see."""
        return any(fnmatchcase(table, pattern) for pattern in self.tables)


class Audiences(Model):
    """The table of audiences; each is named, since pages and lists of recipients know them."""

    analyst: Audience
    committee: Audience
    inspectors: Audience
    principals: Audience
    parents: Audience
    public: Audience

    @field_validator(*WHOLE)
    @classmethod
    def _sees_the_whole(cls, audience: Audience) -> Audience:
        if audience.tables != ("*",) or audience.schools != "every":
            raise RefusedError(
                "analysts and the committee answer for the whole plan and read every page of it:"
                " write tables: ['*'] and schools: every",
                "האנליסטים והוועדה אחראים לתוכנית כולה וקוראים את כל דפיה; יש לכתוב tables: ['*']"
                " ו־schools: every",
            )
        return audience

    @field_validator("principals", "parents", "public")
    @classmethod
    def _sees_no_ranking(cls, audience: Audience) -> Audience:
        if audience.schools == "every":
            raise RefusedError(
                "nobody outside the administration gets the numbers of every school: no list of"
                " schools by score (R112); write schools: own or schools: bands",
                "אין מוסרים מחוץ למינהל את המספרים של כל בית ספר, ואין רשימת בתי ספר לפי ציון;"
                " יש לכתוב schools: own או schools: bands",
            )
        return audience

    def of(self, name: AudienceName) -> Audience:
        """Return what an audience may see."""
        audience: Audience = getattr(self, name)
        return audience


def is_open(column: str) -> bool:
    """Whether a column may be told of a school to who is not of it."""
    return column in _NAMES or dictionary().fields[column].unit in _OPEN_UNITS
