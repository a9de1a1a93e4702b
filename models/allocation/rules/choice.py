"""Rules about which response may or must stand in which school."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import (
    Measure,
    ResponseRule,
    Row,
    Rule,
    check_known,
    is_full,
)
from models.keys import PAIR

_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Eligibility(Rule):
    """An option whose school is not eligible is never bought (R93)."""

    unit = "options"
    id_template = "eligibility"
    template_en = "No response goes to a school that is not eligible for it."
    template_he = "לא יינתן מענה לבית ספר שאינו זכאי לו."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: no ineligible option."""
        for school, positions in columns.by_school(~pl.col("is_eligible")):
            if len(positions):
                yield Row.counting(positions, upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Ineligible lines in the plan; the limit is none."""
        broken = plan.lines.filter(~pl.col("is_eligible")).height
        return Measure(broken, 0, broken == 0, binding=False)


@dataclass(frozen=True)
class SchoolCapacity(ResponseRule):
    """A response can stand in so many schools at most (R93)."""

    max_schools: int
    unit = "schools"
    relaxed_in = "schools"
    id_template = "school_capacity:{rule.response_id}"
    template_en = "The response {rule.name_en} can stand in at most {rule.max_schools} school(s)."
    template_he = "המענה {rule.name_he} יינתן בבתי ספר, לכל היותר: {rule.max_schools}."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: chosen options of the response."""
        positions = columns.where(self.own)
        yield Row.counting(positions, upper=self.max_schools)

    def measure(self, plan: Plan) -> Measure:
        """Schools that have the response."""
        schools = plan.lines.filter(self.own)["semel_mosad"].n_unique()
        limit = self.max_schools
        return Measure(schools, limit, schools <= limit, binding=schools == limit)


@dataclass(frozen=True)
class ParticipantCapacity(ResponseRule):
    """A response can serve so many participants at most (R93)."""

    max_participants: int
    unit = "pupils"
    relaxed_in = "pupils"
    id_template = "participant_capacity:{rule.response_id}"
    template_en = (
        "The response {rule.name_en} can serve at most {rule.max_participants:,} participants."
    )
    template_he = "המענה {rule.name_he} ישרת לכל היותר {rule.max_participants:,} משתתפים."

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Over all schools: participants of the response."""
        positions = columns.where(self.own)
        participants = columns.options["participants"].to_numpy()[positions]
        yield Row(positions, participants, upper=self.max_participants)

    def measure(self, plan: Plan) -> Measure:
        """Participants of the response; binding where no further step of it fits."""
        served = int(plan.lines.filter(self.own)["participants"].sum())
        limit = self.max_participants
        steps = plan.steps.filter(self.own & (pl.col("participants_step") > 0))
        binding = is_full(served, limit, steps["participants_step"])
        return Measure(served, limit, served <= limit, binding)


@dataclass(frozen=True)
class MustKeep(Rule):
    """Responses that stay in their schools, at a dose or above (R89).

    Attributes:
        pairs: (semel_mosad, response_id, least dose).
    """

    pairs: tuple[tuple[str, str, float], ...]
    unit = "pairs"
    relaxed_in = "pairs"
    id_template = "must_keep"
    template_en = "{rule.count} response(s) that the policy must keep stay in their schools."
    template_he = "מענים שחובה לשמר נשארים בבתי הספר שלהם ({rule.count})."

    @property
    def count(self) -> int:
        """How many the sentence speaks of."""
        return len(self.pairs)

    def check(self, choices: Choices) -> None:
        """Every pair must have an option at its dose or above; whether eligible or not."""
        for school, response, dose in self.pairs:
            if choices.options.filter(_at_least(school, response, dose)).is_empty():
                raise ValueError(
                    f"Rule {self.rule_id}: school {school} has no option of {response} at dose "
                    f"{dose:g} or above. Add the option or take the pair off the rule."
                )

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per pair: one option at the dose or above."""
        doses = columns.options["dose"].to_numpy()
        for school, response, dose in sorted(set(self.pairs)):
            own = columns.by_pair[school, response]
            yield Row.counting(own[doses[own] >= dose], lower=1, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Pairs that are kept, of those to keep."""
        pairs = set(self.pairs)
        kept = sum(not plan.lines.filter(_at_least(*pair)).is_empty() for pair in pairs)
        return Measure(kept, len(pairs), kept == len(pairs), binding=bool(pairs))


@dataclass(frozen=True)
class MustDrop(Rule):
    """Responses that leave their schools (R89).

    Attributes:
        pairs: (semel_mosad, response_id).
    """

    pairs: tuple[tuple[str, str], ...]
    unit = "pairs"
    relaxed_in = "pairs"
    id_template = "must_drop"
    template_en = "{rule.count} response(s) that the policy must drop leave their schools."
    template_he = "מענים שהמדיניות מסיימת יוצאים מבתי הספר שלהם ({rule.count})."

    @property
    def count(self) -> int:
        """How many the sentence speaks of."""
        return len(self.pairs)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per pair: no option."""
        for school, response in sorted(set(self.pairs)):
            positions = columns.by_pair.get((school, response), _NONE)
            yield Row.counting(positions, upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Pairs still in the plan (limit none); binding where one would do good."""
        pairs = pl.DataFrame(list(self.pairs), schema=PAIR, orient="row")
        left = plan.lines.join(pairs, on=PAIR, how="semi").height
        wanted = not plan.steps.join(pairs, on=PAIR, how="semi").is_empty()
        return Measure(left, 0, left == 0, binding=wanted)


@dataclass(frozen=True)
class EverySchoolServed(Rule):
    """No school is left without any response, but those of which it was decided (R91).

    Attributes:
        exempt: semel_mosad of schools that may be left without.
    """

    exempt: tuple[str, ...] = ()
    unit = "responses"
    relaxed_in = "schools"
    id_template = "every_school_served"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        but = f", but for {len(self.exempt)} by recorded decision" if self.exempt else ""
        return f"Every school gets at least one response{but}."

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        but = f", מלבד {len(self.exempt)} בהחלטה מתועדת" if self.exempt else ""
        return f"כל בית ספר מקבל לפחות מענה אחד{but}."

    def check(self, choices: Choices) -> None:
        """The schools must exist."""
        check_known(self, "school", list(self.exempt), choices.schools["semel_mosad"])

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school that is not exempt: at least one option."""
        for school, positions in columns.by_school():
            if school not in self.exempt:
                yield Row.counting(positions, lower=1, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """The fewest responses any such school has."""
        schools = plan.schools.filter(~pl.col("semel_mosad").is_in(list(self.exempt)))
        counts = schools.select("semel_mosad").join(
            plan.lines.group_by("semel_mosad").agg(responses=pl.len().cast(pl.Int64)),
            on="semel_mosad",
            how="left",
        )["responses"]
        fewest = min(counts.fill_null(0).to_list(), default=0)
        served = fewest >= 1 or schools.is_empty()
        return Measure(fewest, 1, served, binding=fewest == 1)


@dataclass(frozen=True)
class Exclusive(Rule):
    """At most one of a set of responses in a school (R93).

    Attributes:
        set_id: names the set, for example `day_extension`.
        response_ids: the responses that exclude each other.
        set_he: the set's name in Hebrew.
        set_en: the set's name in English.
    """

    set_id: str
    response_ids: tuple[str, ...]
    set_he: str = ""
    set_en: str = ""
    unit = "responses"
    relaxed_in = "responses"
    id_template = "exclusive:{rule.set_id}"
    template_en = "A school has at most one of: {rule.name_en}."
    template_he = "בבית ספר יהיה לכל היותר אחד מאלה: {rule.name_he}."

    @property
    def name_en(self) -> str:
        """The set's name in English, the keys of its responses where it has none."""
        return self.set_en or ", ".join(self.response_ids)

    @property
    def name_he(self) -> str:
        """The set's name in Hebrew, the keys of its responses where it has none."""
        return self.set_he or ", ".join(self.response_ids)

    def check(self, choices: Choices) -> None:
        """The responses must be among the options."""
        check_known(self, "response", list(self.response_ids), choices.options["response_id"])

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: at most one option of the set."""
        for school, positions in columns.by_school(pl.col("response_id").is_in(self.response_ids)):
            if len(positions):
                yield Row.counting(positions, upper=1, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """The most responses of the set in one school; binding where one keeps out another."""
        in_set = pl.col("response_id").is_in(self.response_ids)
        held = plan.lines.filter(in_set)
        counts = held.group_by("semel_mosad").len()["len"].to_list()
        most = max(counts, default=0)
        kept_out = plan.steps.filter(in_set).join(held, on=PAIR, how="anti")
        binding = not kept_out.join(held, on="semel_mosad", how="semi").is_empty()
        return Measure(most, 1, most <= 1, binding)


def _at_least(school: str, response: str, dose: float) -> pl.Expr:
    """The options of a pair at a dose or above."""
    pair = (pl.col("semel_mosad") == school) & (pl.col("response_id") == response)
    return pair & (pl.col("dose") >= dose)
