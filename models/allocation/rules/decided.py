"""What was decided before the plan: commitments, decisions, notice, overrides (R68, R88–R100)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from models.allocation.problem.choices import Choices
from models.allocation.problem.columns import Columns
from models.allocation.problem.plan import Plan
from models.allocation.problem.rule import Measure, ResponseRule, Row, check_known
from models.allocation.rules.choice import MustDrop, MustKeep
from models.hebrew import counted

Source = Literal["decision", "policy", "last_year"]
"""Who set the amount of what nothing counts for; last year's line stands where nobody has yet."""
_AMOUNTS: dict[Source, tuple[str, str]] = {
    "decision": ("הסכום שקבעה הוועדה", "the committee's amount"),
    "policy": ("הסכום שבמדיניות העיר", "the amount in the city's policy"),
    "last_year": (
        "הסכום של אשתקד, שהוועדה טרם קבעה אחר",
        "last year's amount, as the committee has set none yet",
    ),
}


@dataclass(frozen=True)
class Commitment(MustKeep):
    """Responses that former years committed the city to, in the schools where they run (R88)."""

    id_template = "commitment"
    template_en = "{rule.count} commitment(s) of former years are kept."
    template_he = "התחייבויות משנים קודמות מתקיימות ({rule.count})."


@dataclass(frozen=True)
class DecidedKeep(MustKeep):
    """Responses that people decided to keep, in the schools where they run (R68)."""

    id_template = "decided_keep"
    template_en = "{rule.count} response(s) that people decided to keep stay in their schools."
    template_he = "מענים שהוחלט לשמר נשארים בבתי הספר שלהם ({rule.count})."


@dataclass(frozen=True)
class DecidedDrop(MustDrop):
    """Responses that people decided to drop, in every school (R68)."""

    id_template = "decided_drop"
    template_en = "{rule.count} response(s) that people decided to drop are given to no school."
    template_he = "מענים שהוחלט לוותר עליהם אינם ניתנים לאף בית ספר ({rule.count})."

    @property
    def count(self) -> int:
        """How many responses."""
        return len({response_id for _, response_id in self.pairs})


@dataclass(frozen=True)
class NoticePeriod(ResponseRule):
    """A response that is to end goes on where it runs until its notice is over (R89).

    Attributes:
        schools: where the response runs.
        last_year: the last school year of the notice, for the sentence.
    """

    schools: tuple[str, ...]
    last_year: int
    unit = "schools"
    relaxed_in = "schools"
    id_template = "notice_period:{rule.response_id}"
    template_en = (
        "The response {rule.name_en} ends after notice up to {rule.last_year}: until then it"
        " goes on in {rule.count} school(s) and is opened in no other."
    )
    template_he = (
        "המענה {rule.name_he} מסתיים בתום הודעה מוקדמת עד שנת {rule.last_year}: עד אז הוא נמשך"
        " בבתי הספר שבהם הוא פועל ({rule.count}) ואינו נפתח באחרים."
    )

    @property
    def count(self) -> int:
        """In how many schools it runs."""
        return len(self.schools)

    def check(self, choices: Choices) -> None:
        """Every school named must have an option of the response."""
        served = choices.options.filter(self.own)["semel_mosad"]
        check_known(self, "school", list(self.schools), served)

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: one option where it runs, none elsewhere."""
        runs = set(self.schools)
        for school, positions in columns.by_school(self.own):
            if school in runs:
                yield Row.counting(positions, lower=1, semel_mosad=school)
            elif len(positions):
                yield Row.counting(positions, upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Schools in which it is as it should be, of those that have it or should."""
        held = set(plan.lines.filter(self.own)["semel_mosad"])
        runs = set(self.schools)
        return Measure(len(held & runs), len(held | runs), held == runs, binding=bool(runs))


@dataclass(frozen=True)
class ManualOverride(ResponseRule):
    """A decision by hand: a response in a school, forced or forbidden, with reason (R91, R100).

    Attributes:
        semel_mosad: the school.
        is_forced: it must stand there; False = it must not.
        dose_level: that dose and no other; None = any dose.
        reason: why, in the words of who decided.
        role: the role that decided; never a name.
        school_he: name of the school.
        role_he: the role in Hebrew.
    """

    semel_mosad: str
    is_forced: bool
    reason: str
    role: str
    dose_level: int | None = None
    school_he: str = ""
    role_he: str = ""
    unit = "options"
    relaxed_in = "pairs"

    @property
    def rule_id(self) -> str:
        """One per decision."""
        dose = "" if self.dose_level is None else f":{self.dose_level}"
        kind = "forced" if self.is_forced else "forbidden"
        return f"override:{kind}:{self.semel_mosad}:{self.response_id}{dose}"

    @property
    def sentence_en(self) -> str:
        """The rule in English."""
        dose = "" if self.dose_level is None else f" at dose level {self.dose_level}"
        must = "has" if self.is_forced else "does not have"
        where = self.semel_mosad
        return (
            f"Decided by hand ({self.role}): school {where} {must} {self.name_en}{dose}. Reason:"
            f" {self.reason.rstrip('.')}."
        )

    @property
    def sentence_he(self) -> str:
        """The rule in Hebrew."""
        where = self.school_he or self.semel_mosad
        dose = "" if self.dose_level is None else f" ברמת מינון {self.dose_level}"
        must = "יינתן" if self.is_forced else "לא יינתן"
        return (
            f"הוחלט ידנית ({self.role_he or self.role}): ב{where} {must} {self.name_he}{dose}."
            f" הנימוק: {self.reason.rstrip('.')}."
        )

    @property
    def own(self) -> pl.Expr:
        """Whether a row is of the options decided on."""
        pair = super().own & (pl.col("semel_mosad") == self.semel_mosad)
        return pair if self.dose_level is None else pair & (pl.col("dose_level") == self.dose_level)

    def check(self, choices: Choices) -> None:
        """There must be such an option, and a reason and a role."""
        if choices.options.filter(self.own).is_empty():
            raise ValueError(f"Rule {self.rule_id}: there is no such option.")
        if not (self.reason.strip() and self.role.strip()):
            raise ValueError(f"Rule {self.rule_id}: an override needs a reason and a role.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """One of the options, or none."""
        own = columns.where(self.own)
        lower, upper = (1.0, np.inf) if self.is_forced else (-np.inf, 0.0)
        yield Row.counting(own, lower=lower, upper=upper, semel_mosad=self.semel_mosad)

    def measure(self, plan: Plan) -> Measure:
        """Such options in the plan, against one or none; binding where that costs benefit."""
        held, limit = plan.lines.filter(self.own).height, int(self.is_forced)
        binding = self.is_forced or not plan.steps.filter(self.own).is_empty()
        return Measure(held, limit, held == limit, binding)


@dataclass(frozen=True)
class CommitteeAmount(ResponseRule):
    """A response that no measure judges: a set amount, shared by need (R122).

    Which schools have it, and at which dose, is settled before the plan; which of the options at
    that dose (shared with others, leaning on an asset) is the plan's to choose.

    Attributes:
        doses: (semel_mosad, dose) of the schools that have it.
        amount_agorot: the amount, for the sentence.
        source: who set it: the committee, the city's policy, or none yet, so that last year's
            stands.
    """

    doses: tuple[tuple[str, float], ...]
    amount_agorot: int
    source: Source = "decision"
    unit = "schools"
    relaxed_in = "pairs"
    id_template = "committee_amount:{rule.response_id}"
    template_en = (
        "No measure counts what {rule.name_en} does for its goals: {rule.whose_en},"
        " {rule.nis} NIS, goes to {rule.count} school(s) by their registered need."
    )
    template_he = (
        "אין מדד שסופר את מה ש{rule.name_he} מועיל ליעדיו: {rule.whose_he}, {rule.nis} ₪,"
        " {rule.shared_he}."
    )

    @property
    def count(self) -> int:
        """How many schools have it."""
        return len(self.doses)

    @property
    def nis(self) -> str:
        """The amount in words."""
        return f"{self.amount_agorot / 100:,.0f}"

    @property
    def whose_en(self) -> str:
        """The amount and who set it, in English."""
        return _AMOUNTS[self.source][1]

    @property
    def whose_he(self) -> str:
        """The amount and who set it, in Hebrew."""
        return _AMOUNTS[self.source][0]

    @property
    def shared_he(self) -> str:
        """Where it goes, in Hebrew."""
        return counted(
            self.count,
            "ניתן לבית ספר אחד, לפי הצורך הרשום",
            "בתי ספר מתחלקים בו לפי הצורך הרשום שלהם",
        )

    def check(self, choices: Choices) -> None:
        """Every school must have an option of the response at its dose."""
        offered = set(choices.options.filter(self.own).select("semel_mosad", "dose").iter_rows())
        if lacking := sorted(set(self.doses) - offered):
            raise ValueError(f"Rule {self.rule_id}: there is no such option: {lacking[:5]}.")

    def rows(self, columns: Columns) -> Iterator[Row]:
        """Per school: one option at the dose settled, none elsewhere."""
        settled = dict(self.doses)
        doses = columns.options["dose"].to_numpy()
        for school, positions in columns.by_school(self.own):
            if school in settled:
                at_dose = positions[doses[positions] == settled[school]]
                yield Row.counting(at_dose, lower=1, semel_mosad=school)
            elif len(positions):
                yield Row.counting(positions, upper=0, semel_mosad=school)

    def measure(self, plan: Plan) -> Measure:
        """Schools that have it as settled, of those that have it or should."""
        held = set(plan.lines.filter(self.own).select("semel_mosad", "dose").iter_rows())
        settled = set(self.doses)
        every = {school for school, _ in held | settled}
        return Measure(len(held & settled), len(every), held == settled, binding=bool(settled))
