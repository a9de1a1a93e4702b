"""`policy.yaml`: what the city wants, what it may spend, and by which rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from pipelines.settings.audiences import Audiences, CountPupils, MeanPupils
from pipelines.settings.evidence import ASSUMED, Work, shared_works
from pipelines.settings.formula import FormulaPolicy
from pipelines.settings.parameters import (
    ActionChannel,
    Amount,
    Channel,
    Cited,
    Confirmation,
    Count,
    Day,
    EffectSd,
    Flag,
    Gamma,
    In,
    Model,
    Money,
    Named,
    Number,
    Parameter,
    Percent,
    Positive,
    PositiveSd,
    Score,
    Sd,
    Seed,
    Share,
    Subject,
    UnitCost,
    Whole,
    Words,
    Year,
)
from pipelines.settings.policy_map import ResponseMap
from pipelines.settings.policy_rules import Rules
from pipelines.settings.yaml_files import RefusedError


class ChannelPolicy(Model):
    """Money of one funding channel: a budget of its own, a cap inside each school, or neither.

    Attributes:
        confirmation: "confirmed" by whoever pays it, "expected" as in former years, or "assumed".
    """

    confirmation: Annotated[Parameter[Confirmation], In("state of confirmation")]
    budget: Annotated[Parameter[Money] | None, In("NIS per year")] = None
    per_school_from: Literal["gefen_agorot"] | None = None
    per_pupil: Annotated[Parameter[UnitCost] | None, In("NIS per pupil per year")] = None


class Target(Model):
    """A dated desired state (R32): absolute on a scale, or the scale's reference group."""

    type: Literal["absolute", "reference_group"]
    scales: tuple[str, ...]
    subjects: tuple[Subject, ...] | Literal["all"] = "all"
    value: Score | None = None
    valid_from: Day
    source: str

    @model_validator(mode="after")
    def _absolute_has_value(self) -> Target:
        if (self.type == "absolute") != (self.value is not None):
            raise RefusedError(
                "an absolute target needs a value; a reference_group target takes none",
                "ליעד מוחלט (absolute) נדרש ערך; ליעד של קבוצת ייחוס אין ערך",
            )
        return self


RATES = ("chronic_absence", "overt_dropout", "climate_safety")


class NeedIndicator(Model):
    """One registered indicator of the need index (R43)."""

    name_he: str
    kind: Literal["outcome", "background"]
    measure: Literal[
        "gap", "chronic_absence", "overt_dropout", "climate_safety", "nurture_index", "ses_category"
    ]
    subject: Subject | None = None
    weight_pct: Annotated[Parameter[Percent], In("percent")]
    target: Annotated[
        Parameter[Annotated[Number, Field(ge=0, le=100)]] | None,
        In("percent of pupils", ("percent positive",)),
    ] = None

    @model_validator(mode="after")
    def _target_is_a_percentage(self) -> NeedIndicator:
        # Overt dropout alone is rarer than one pupil in a hundred.
        if self.target and self.measure != "overt_dropout" and 0 < self.target.value < 1:
            share = self.target.value
            raise RefusedError(
                f"{share:g} percent looks like a share; write {100 * share:g}",
                f"{share:g} אחוז נראה כחלק; יש לכתוב {100 * share:g}",
                *("target", "value"),
            )
        return self


class GreatestNeed(Model):
    """Where the need of an indicator is greatest, by its measure.

    There is none at the target: of a gap 0, of a rate the indicator's own, of the two scales of
    background, which begin at 1, their first step.
    """

    gap: Annotated[Parameter[PositiveSd], In("pupil SD below the target")]
    chronic_absence: Annotated[Parameter[Percent], In("percent of pupils")]
    overt_dropout: Annotated[Parameter[Percent], In("percent of pupils")]
    climate_safety: Annotated[Parameter[Percent], In("percent positive")]
    nurture_index: Annotated[Parameter[Annotated[Number, Field(gt=1, le=10)]], In("decile")]
    ses_category: Annotated[Parameter[Annotated[Number, Field(gt=1, le=3)]], In("category")]


class NeedPolicy(Model):
    """How need is computed."""

    window_years: Annotated[Parameter[Annotated[Whole, Field(ge=1, le=20)]], In("school years")]
    order_p: Annotated[
        Parameter[Annotated[Number, Field(ge=-10, le=10)]], In("order of the generalised mean")
    ]
    draws: Annotated[Parameter[Annotated[Whole, Field(ge=1, le=100_000)]], In("draws")]
    seed: Annotated[Parameter[Seed], In("seed")]
    sure: Annotated[Parameter[Annotated[Number, Field(gt=0.5, le=1)]], In("probability")]
    not_measured: Annotated[Parameter[Literal["mean of the others"]], In("what it counts as")]
    greatest: GreatestNeed
    indicators: dict[str, NeedIndicator]

    @model_validator(mode="after")
    def _targets_lie_before_the_greatest_need(self) -> NeedPolicy:
        for key, indicator in self.indicators.items():
            if indicator.measure not in RATES:
                continue
            place = ("indicators", key, "target")
            if indicator.target is None:
                raise RefusedError(
                    f"{indicator.measure} needs a target", "למחוון זה דרוש יעד (target)", *place
                )
            target = indicator.target.value
            greatest = getattr(self.greatest, indicator.measure).value
            is_good = indicator.measure == "climate_safety"  # the others count what is bad
            if target == greatest or (target > greatest) != is_good:
                raise RefusedError(
                    f"the target ({target:g}) must be better than where need is greatest"
                    f" (need.greatest: {greatest:g})",
                    f"היעד ({target:g}) צריך להיות טוב מן הערך שבו הצורך מרבי ({greatest:g})",
                    *place,
                    "value",
                )
        return self

    @model_validator(mode="after")
    def _weights_sum_to_100(self) -> NeedPolicy:
        total = sum(indicator.weight_pct.value for indicator in self.indicators.values())
        if abs(total - 100) > 1e-9:
            raise RefusedError(
                f"the weights of the need indicators must sum to 100, not {total:g}",
                f"משקלי מדדי הצורך חייבים להסתכם ב־100, ולא ב־{total:g}",
                "indicators",
            )
        return self


class FairnessPolicy(Model):
    """How the fairness of a criterion is judged (R29)."""

    reliability: Annotated[Parameter[Share], In("share")]
    margin: Annotated[Parameter[Share], In("share")]


class GroupVersion(Cited):
    """Whom a group includes from a school year on (R5): a bound or a value of one attribute."""

    name_he: str
    dimension: Literal["nurture", "immigrant", "special_needs", "gifted", "sex", "stream", "area"]
    attribute: Literal[
        "nurture_decile",
        "years_in_israel",
        "is_sen_integration",
        "is_gifted",
        "sex",
        "stream",
        "stat_area",
    ]
    at_least: Score | None = None
    at_most: Score | None = None
    equals: str | None = None
    valid_from: Year

    @model_validator(mode="after")
    def _says_whom(self) -> GroupVersion:
        if self.at_least is None and self.at_most is None and self.equals is None:
            raise RefusedError(
                "a group needs at_least, at_most or equals",
                "לקבוצה נדרש at_least, at_most או equals",
            )
        return self


class Effect(Model):
    """A registered prior effect on participants, in pupil SD per year."""

    mean: EffectSd
    sd: PositiveSd


class Eligibility(Model):
    """Whom a response admits."""

    nurture_index_min: Annotated[Number, Field(ge=1, le=10)] | None = None
    reason_he: str
    reason_en: str


class GoalTests(Cited):
    """The tests that measure a response's goal where the goal is not about achievement (R59)."""

    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)]


class GoalAbsence(Cited):
    """That absence measures a response's goal (R59)."""


class FurtherGoal(Cited):
    """A goal that a response serves beside the one it was chosen for, and what measures it."""

    tests: GoalTests | None = None
    absence: GoalAbsence | None = None


class GoalMeasure(NamedTuple):
    """What measures one goal of a response: the tests of some subjects, absence, or nothing."""

    subjects: tuple[Subject, ...]
    has_absence: bool


_LEAST_UNIT_COST = 10  # NIS


class Response(Named):
    """One response of the registry (R14), with its registered cost and prior effects.

    Attributes:
        goal: what it was chosen for; `goal_tests` and `goal_absence` say what measures that.
        effect_about: whether the work it names studied this kind of response or another one, which
            is an assumption about this one (R122).
        committee_amount: what the committee gives where no measure counts what it does; not given =
            last year's budget line.
        serves: whom it is for: pupils of a school that has it, or of the whole city. A service of
            the city is one line of the plan and never sliced by school; its fixed cost is paid
            once.
        confirmation: the state of its part of a channel, where that is not the channel's.
    """

    response_class: Literal[
        "talented_by_schools",
        "talented_by_authority",
        "under_achievers",
        "special_education",
        "other_fields",
    ]
    action_channel: ActionChannel
    goal: str
    goal_tests: GoalTests | None = None
    goal_absence: GoalAbsence | None = None
    further_goals: dict[str, FurtherGoal] = Field(default_factory=dict)
    horizon: Literal["short", "long"]
    committed_until: Year | None = None
    lag_years: Annotated[Whole, Field(ge=0, le=3)] = 0
    is_excellence: Flag = False
    is_allocated: Flag = True
    serves: Literal["schools", "city"] = "schools"
    schools_can_buy: Annotated[Parameter[Flag] | None, In("yes or no")] = None
    eligibility: Eligibility | None = None
    serves_group: str | None = None
    served_share: Annotated[Parameter[Share], In("share of pupils")]
    fixed_cost: Annotated[Parameter[Money], In("NIS per school per year")]
    unit_cost: Annotated[Parameter[UnitCost], In("NIS per participant per year")]
    funding: dict[Channel, Share]
    funding_source: str
    confirmation: dict[Channel, Annotated[Parameter[Confirmation], In("state of confirmation")]] = (
        Field(default_factory=dict)
    )
    effects: dict[Subject, Effect]
    effect_source: str
    effect_about: Literal["this_kind", "another_kind"] = "this_kind"
    effect_reason: Words
    effect_reason_he: Words
    cost_reason_he: Words
    registered_on: Day
    transport_discount: Annotated[Parameter[Share], In("share")]
    committee_amount: Annotated[Parameter[Money] | None, In("NIS per year")] = None

    @model_validator(mode="after")
    def _allocated_has_a_price(self) -> Response:
        # The catalogue knows responses that no plan allocates, with nothing as their cost: to be
        # allocated, a price and those it serves have to be stated, or it would be bought for free.
        costs = self.fixed_cost.value + self.unit_cost.value
        if self.is_allocated and not (costs > 0 and self.served_share.value > 0):
            raise RefusedError(
                "a response that is allocated needs a cost (fixed_cost or unit_cost) and a"
                " served_share above 0",
                "למענה שמוקצה נדרשים עלות (fixed_cost או unit_cost) ו־served_share גדולים מ־0",
                "is_allocated",
            )
        return self

    @model_validator(mode="after")
    def _unit_cost_is_in_shekels(self) -> Response:
        if 0 < self.unit_cost.value < _LEAST_UNIT_COST:
            raise RefusedError(
                f"{self.unit_cost.value:g} NIS for a participant and a year cannot be: write whole"
                f" NIS, not thousands (at least {_LEAST_UNIT_COST}, or 0 where only fixed_cost is"
                " paid)",
                f"לא ייתכנו {self.unit_cost.value:g} ₪ למשתתף לשנה: יש לכתוב שקלים ולא אלפים"
                f" (לפחות {_LEAST_UNIT_COST}, או 0 כשמשלמים רק fixed_cost)",
                "unit_cost",
                "value",
            )
        return self

    @model_validator(mode="after")
    def _funding_is_whole(self) -> Response:
        if abs(sum(self.funding.values()) - 1) > 1e-9:
            raise RefusedError(
                f"the funding shares must sum to 1, not {sum(self.funding.values()):g}",
                f"חלקי המימון חייבים להסתכם ב־1, ולא ב־{sum(self.funding.values()):g}",
                "funding",
            )
        return self


class OverlapGroup(Named):
    """Responses for the same pupils and goals: further ones in a school count in part (R92)."""

    responses: Annotated[tuple[str, ...], Field(min_length=2)]
    counted_share: Annotated[Parameter[Share], In("share of the further benefit")]


class AssetUse(Model):
    """How a response leans on an asset beyond budget (R79).

    Attributes:
        hours: hours a week that a participant at the full dose takes of it.
        saves: percent of the cost per participant that it spares.
    """

    hours: Annotated[
        Parameter[Annotated[Number, Field(gt=0, le=60)]], In("hours per week and participant")
    ]
    saves: Annotated[Parameter[Percent], In("percent of the cost per participant")]


class Suppression(Model):
    """Smallest cells that may be published (R111)."""

    mean_pupils: MeanPupils
    count_pupils: CountPupils


class SolverPolicy(Model):
    """How hard the allocation is solved."""

    gap_pct: Annotated[Parameter[Annotated[Number, Field(ge=0, le=10)]], In("percent")]
    time_limit_s: Annotated[Parameter[Annotated[Number, Field(gt=0, le=86_400)]], In("seconds")]
    objective: Annotated[
        Parameter[Literal["total", "atkinson", "maximin"]], In("name of the objective")
    ]
    epsilon: Annotated[Parameter[Amount], In("aversion to inequality, used by atkinson only")]
    fair_band_pct: Annotated[
        Parameter[Annotated[Number, Field(ge=0, le=10)]],
        In("percent of the worth of the plan by worth"),
    ]


class Goal(Named):
    """One goal of the department, or a duty of the administration.

    The tests measure it only where it is about achievement.
    """

    is_achievement: Flag = False
    is_duty: Flag = False


class DesignBias(Model):
    """What designs of each grade can get wrong even with many pupils, in pupil SD."""

    A: Sd
    B: Sd
    C: Sd
    D: Sd


Weakest = Literal["B", "C", "D", "E"]


class DoubtGrades(Model):
    """The best grade that an estimate with a doubt can have; E: no verdict rests on it alone."""

    pre_trend: Weakest
    reversion_unchecked: Weakest
    few_schools: Weakest
    poor_overlap: Weakest
    attrition: Weakest
    placebo_fails: Weakest
    placebo_subject: Weakest
    uneven_density: Weakest


class EffectsPolicy(Model):
    """How effects are judged and what knowing them is worth (R61–R68)."""

    worthwhile_sd: Annotated[Parameter[Sd], In("pupil SD per year")]
    sure: Annotated[Parameter[Annotated[Number, Field(gt=0.5, lt=1)]], In("probability")]
    own_error: Annotated[
        Parameter[Annotated[Number, Field(gt=0, lt=0.5)]], In("share of responses without effect")
    ]
    least_information: Annotated[
        Parameter[Share], In("share of the prior's variance that local data removed")
    ]
    bias_sd: Annotated[Parameter[DesignBias], In("pupil SD, by design grade")]
    doubts: Annotated[Parameter[DoubtGrades], In("best design grade, by doubt")]
    groups: tuple[str, ...]
    group_spread_sd: Annotated[Parameter[PositiveSd], In("pupil SD per year")]
    school_spread_sd: Annotated[Parameter[Sd], In("pupil SD per year")]
    worthwhile_absence: Annotated[Parameter[Positive], In("absence days saved per 100 school days")]
    absence_spread: Annotated[Parameter[Positive], In("absence days per 100 school days")]
    sd_per_absence: Annotated[
        Parameter[Positive] | None, In("pupil SD per absence day saved per 100 school days")
    ] = None
    value_per_sd: Annotated[Parameter[Positive], In("NIS for one pupil SD of one pupil")]
    decision_years: Annotated[Parameter[Count], In("school years")]
    kept_share: Annotated[Parameter[Share], In("share of an effect left a year later")]
    evaluate_at_once: Annotated[Parameter[Annotated[Whole, Field(ge=0, le=1000)]], In("responses")]
    need_margin: Annotated[Parameter[Share], In("need (0 to 1)")]
    least_raters: Annotated[Parameter[Count], In("raters")]
    pupil_sd: Annotated[Parameter[PositiveSd], In("pupil SD")]
    prior_r2: Annotated[Parameter[Share], In("share of variance")]
    class_sd: Annotated[Parameter[Sd], In("pupil SD")]
    class_pupils: Annotated[Parameter[Annotated[Number, Field(ge=1, le=100)]], In("pupils")]
    school_year_sd: Annotated[Parameter[Sd], In("pupil SD")]
    seed: Annotated[Parameter[Seed], In("seed")]


class VoicesPolicy(Model):
    """How what people say is told, and how considerations are weighed (R71–R78).

    `least_people` has a floor: what one or two people said is what persons said.
    """

    least_people: Annotated[
        Parameter[Annotated[Whole, Field(ge=3, le=1_000_000)]], In("people of a family of roles")
    ]
    draws: Annotated[Parameter[Count], In("weights drawn")]
    seed: Annotated[Parameter[Seed], In("seed")]


class AccountPolicy(Model):
    """How the plan is accounted for: what is drawn, asked again and held equal (R85–R96)."""

    draws: Annotated[Parameter[Count], In("draws")]
    solved_draws: Annotated[Parameter[Count], In("draws")]
    seed: Annotated[Parameter[Seed], In("seed")]
    participation_spread: Annotated[Parameter[Sd], In("SD of ln(who comes ÷ who was planned for)")]
    cost_spread: Annotated[Parameter[Sd], In("SD of ln(cost ÷ planned cost)")]
    scenarios: Annotated[Parameter[Count], In("draws")]
    bad_share: Annotated[Parameter[Share], In("share of draws")]
    flip_pairs: Annotated[
        Parameter[Annotated[Whole, Field(ge=0, le=1000)]], In("pairs of a school and a response")
    ]
    gammas: Annotated[Parameter[tuple[Gamma, ...]], In("exponents")]
    budget_step_pct: Annotated[Parameter[Percent], In("percent of a budget")]
    stream_tolerance_pct: Annotated[Parameter[Percent], In("percent of the mean per pupil")]
    equal_need_within: Annotated[Parameter[Share], In("need, 0 to 1")]
    equal_money_within_pct: Annotated[Parameter[Percent], In("percent of the mean per pupil")]


def _a_day(value: str) -> str:
    try:
        date.fromisoformat(f"2001-{value}")
    except ValueError:
        raise RefusedError(
            f"'{value}' is no day of every year; write month and day, such as 09-01",
            f"'{value}' אינו יום בכל שנה; יש לכתוב חודש ויום, למשל 09-01",
        ) from None
    return value


MonthDay = Annotated[str, AfterValidator(_a_day)]


class ActPolicy(Model):
    """How the plan is carried out and followed (R102, R103).

    Attributes:
        starts, opened_by, checked_by, measured_by, ends: days of the planned school year, as
            month-day; from September on they are of the year in which it begins.
        autumn_share: part of a line's money that the first budget year pays.
        overdue_days: after so many days without a start a line is late.
        pace_from_months: from so many months of payments on their pace is judged.
        under_spent, over_spent: least and most share of what is due, of a line.
        under_attended: least share of the planned places that are taken.
        silent_days: after so many days without a word a school is silent, where others report.
        budget_clauses: the city's clause of each response, where it has one.
    """

    starts: Annotated[Parameter[MonthDay], In("month and day")]
    opened_by: Annotated[Parameter[MonthDay], In("month and day")]
    checked_by: Annotated[Parameter[MonthDay], In("month and day")]
    measured_by: Annotated[Parameter[MonthDay], In("month and day")]
    ends: Annotated[Parameter[MonthDay], In("month and day")]
    autumn_share: Annotated[Parameter[Share], In("share")]
    overdue_days: Annotated[Parameter[Count], In("days")]
    pace_from_months: Annotated[Parameter[Count], In("months")]
    under_spent: Annotated[Parameter[Share], In("share of what is due")]
    over_spent: Annotated[
        Parameter[Annotated[Number, Field(ge=1, le=10)]], In("share of what is planned")
    ]
    under_attended: Annotated[Parameter[Share], In("share of the planned places")]
    silent_days: Annotated[Parameter[Count], In("days")]

    @model_validator(mode="after")
    def _in_order(self) -> ActPolicy:
        days = ("starts", "opened_by", "checked_by", "measured_by", "ends")
        # A school year begins in September.
        placed = [getattr(self, name).value for name in days]
        if placed != sorted(placed, key=lambda day: (day < "09", day)):
            raise RefusedError(
                f"{', '.join(days)} come in this order within a school year",
                "המועדים צריכים לבוא בסדר זה בתוך שנת הלימודים",
                "starts",
            )
        return self

    budget_clauses: dict[str, str] = Field(default_factory=dict)


class BandPolicy(Model):
    """What a published band says (R8). There is no default: bands nobody declared are not used."""

    limits_sd: Annotated[
        Parameter[tuple[EffectSd, ...]], In("pupil SD above similar schools", ("pupil SD",))
    ]
    reference_se_sd: Annotated[Parameter[Sd], In("pupil SD above similar schools", ("pupil SD",))]

    @model_validator(mode="after")
    def _limits_rise(self) -> BandPolicy:
        limits = self.limits_sd.value
        if not limits or any(low >= high for low, high in pairwise(limits)):
            raise RefusedError(
                "limits_sd needs the limits between neighbouring bands, rising",
                "limits_sd: הגבולות בין רצועות סמוכות, מהנמוך לגבוה",
                "limits_sd",
            )
        return self


class DiagnosePolicy(Model):
    """How gaps are judged: what is small, what is sure, what counts as excellent (R33–R46)."""

    margin_sd: Annotated[Parameter[Sd], In("pupil SD")]
    excellence_sd: Annotated[Parameter[PositiveSd], In("pupil SD above the target")]
    worst_k: Annotated[Parameter[Count], In("schools")]
    false_discovery_rate: Annotated[Parameter[Share], In("share of the phenomena listed")]
    phenomenon_years: Annotated[Parameter[Annotated[Whole, Field(ge=2, le=20)]], In("school years")]
    untested_lower_by_sd: Annotated[Parameter[Sd], In("pupil SD")]
    least_participants: Annotated[Parameter[Count], In("participants")]
    least_excerpts: Annotated[Parameter[Count], In("excerpts")]
    bands: BandPolicy | None = None


class CauseExpectation(Model):
    """What is expected of a cause before the data: gap in pupil SD per unit of its measure."""

    mean: EffectSd
    sd: PositiveSd


class Cause(Named, Cited):
    """A card of the catalogue of causes (R47, R52): a cause without a measure is judgement only."""

    measure: (
        Literal[
            "nurture_index",
            "no_home_internet_pct",
            "new_immigrants_pct",
            "absence_days",
            "poor_teaching_pct",
            "poor_climate_pct",
            "late_start_sd",
        ]
        | None
    ) = None
    expected: CauseExpectation | None = None
    is_in_power: Flag
    action_channel: ActionChannel | None = None
    responses: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] | Literal["all"] = "all"

    @model_validator(mode="after")
    def _is_whole(self) -> Cause:
        if (self.measure is None) != (self.expected is None):
            raise RefusedError(
                "a cause has a measure and an expectation of it, or neither",
                "לסיבה יש מדד (measure) וציפייה (expected), או אף אחד מהם",
            )
        if self.responses and self.action_channel is None:
            raise RefusedError(
                "a cause that responses act on needs its action_channel",
                "לסיבה שמענים פועלים עליה נדרש action_channel",
                "responses",
            )
        if self.responses and not self.is_in_power:
            raise RefusedError(
                "a cause out of the authority's power is no target of responses",
                "סיבה שאינה בכוחה של הרשות אינה יעד למענים",
                "responses",
            )
        return self


class Policy(Model):
    """`policy.yaml`."""

    planning_year: Annotated[Parameter[Year], In("school year")]
    equity_gamma: Annotated[Parameter[Gamma], In("exponent")]
    need_offset: Annotated[Parameter[Annotated[Number, Field(gt=0, le=1)]], In("share")]
    dose_response: Annotated[
        Parameter[dict[Share, Share]], In("share of the full benefit at each dose")
    ]
    channels: dict[Channel, ChannelPolicy]
    targets: tuple[Target, ...]
    class_design_effect: Annotated[Parameter[Annotated[Number, Field(ge=1, le=100)]], In("factor")]
    need: NeedPolicy
    goals: dict[str, Goal]
    groups: dict[str, tuple[GroupVersion, ...]] = Field(default_factory=dict)
    fairness: FairnessPolicy
    diagnose: DiagnosePolicy
    causes: dict[str, Cause] = Field(default_factory=dict)
    evidence: dict[str, Work] = Field(default_factory=dict)
    effects: EffectsPolicy
    voices: VoicesPolicy
    responses: dict[str, Response]
    response_map: ResponseMap
    overlaps: dict[str, OverlapGroup] = Field(default_factory=dict)
    assets: dict[str, dict[str, AssetUse]] = Field(default_factory=dict)
    rules: Rules
    formula: FormulaPolicy
    suppression: Suppression
    audiences: Audiences
    solver: SolverPolicy
    account: AccountPolicy
    act: ActPolicy

    def _named(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Yield everything that is named by its id: where, of which kind, by which id."""
        for response_id, response in self.responses.items():
            yield ("responses", response_id, "goal"), "goal", response.goal
            for goal in response.further_goals:
                yield ("responses", response_id, "further_goals", goal), "goal", goal
            for stated in ("funding", "confirmation"):
                for channel in getattr(response, stated):
                    yield ("responses", response_id, stated, channel), "channel", channel
        for part_id, part in self.formula.items():
            if part.pot and part.pot.channel:
                yield ("formula", part_id, "pot", "channel"), "channel", part.pot.channel
        for place, response_id in self.rules.named():
            yield ("rules", *place), "response", response_id
        for index, excluded in enumerate(self.rules.source_exclusions):
            yield ("rules", "source_exclusions", index), "channel", excluded.channel
        for asset_id, uses in self.assets.items():
            yield from ((("assets", asset_id, name), "response", name) for name in uses)
        for overlap_id, overlap in self.overlaps.items():
            for name in overlap.responses:
                yield ("overlaps", overlap_id, "responses"), "response", name
        for cause_id, cause in self.causes.items():
            yield from (
                (("causes", cause_id, "responses"), "response", name) for name in cause.responses
            )
        for where, kind, name in self.response_map.named():
            yield ("response_map", *where), kind, name

    @model_validator(mode="after")
    def _names_are_known(self) -> Policy:
        known: dict[str, tuple[str, set[str]]] = {
            "goal": ("יעד", set(self.goals)),
            "response": ("מענה", set(self.responses)),
            "group": ("קבוצה", set(self.groups)),
            "channel": ("ערוץ", set(self.channels)),
        }
        for place, kind, name in self._named():
            kind_he, names = known[kind]
            if name not in names:
                meant = ", ".join(get_close_matches(name, names, n=1) or sorted(names))
                raise RefusedError(
                    f"no such {kind}: {name}; write one of: {meant}",
                    f"אין {kind_he} בשם {name}; יש לכתוב אחד מאלה: {meant}",
                    *place,
                )
        return self

    @model_validator(mode="after")
    def _services_of_the_city_are_not_sliced(self) -> Policy:
        for place, response_id in self.rules.named():
            if (place[0] == "city_places") != (self.responses[response_id].serves == "city"):
                raise RefusedError(
                    f"{response_id}: a service of the whole city (serves: city) is one line of the"
                    " plan; rules.city_places alone speaks of it, and of no other response",
                    f"{response_id}: שירות של העיר כולה (serves: city) הוא שורה אחת בתוכנית;"
                    " rules.city_places לבדו חל עליו, ורק עליו",
                    *("rules", *place),
                )
        return self

    @model_validator(mode="after")
    def _responses_can_be_judged(self) -> Policy:
        works = {ASSUMED, *self.works}
        for response_id, response in self.responses.items():
            if silent := sorted(set(self.goal_subjects(response_id)) - set(response.effects)):
                raise RefusedError(
                    f"no effect is registered on {', '.join(silent)}; register a prior effect, or"
                    " leave the subject out",
                    f"לא נרשמה השפעה על {', '.join(silent)}; יש לרשום השפעה, או להשמיט את המקצוע",
                    *("responses", response_id, "goal_tests"),
                )
            if response.goal_absence and self.goal_measures(response_id)[response.goal].subjects:
                raise RefusedError(
                    "its goal is measured by tests already; a goal is measured by one of the two",
                    "היעד כבר נמדד במבחנים; יעד נמדד באחד מהשניים",
                    *("responses", response_id, "goal_absence"),
                )
            if response.goal in response.further_goals:
                raise RefusedError(
                    f"'{response.goal}' is its goal already; a goal is named once",
                    f"'{response.goal}' הוא כבר היעד שלו; יעד נרשם פעם אחת",
                    *("responses", response_id, "further_goals", response.goal),
                )
            if response.effect_source not in works:
                named = ", ".join(sorted(works - {ASSUMED}))
                raise RefusedError(
                    f"'{response.effect_source}' is neither 'assumed' nor a work of the registry"
                    f" ({named})",
                    f"'{response.effect_source}' אינו assumed ואינו עבודה במרשם ({named})",
                    *("responses", response_id, "effect_source"),
                )
        return self

    @model_validator(mode="after")
    def _rules_fit_together(self) -> Policy:
        levels = len(self.dose_response.value)
        for rule in ("must_keep", "overrides"):
            for index, item in enumerate(getattr(self.rules, rule)):
                if (item.dose_level or 1) > levels:
                    raise RefusedError(
                        f"{item.response}: dose_level {item.dose_level} is none of the {levels}"
                        " levels of dose_response",
                        f"{item.response}: אין רמת מינון {item.dose_level}; יש {levels} רמות",
                        *("rules", rule, index, "dose_level"),
                    )
        overlapping: dict[str, str] = {}
        for group_id, overlap in self.overlaps.items():
            for response_id in overlap.responses:
                if response_id in overlapping:
                    raise RefusedError(
                        f"'{response_id}' is in overlaps.{overlapping[response_id]} already; a"
                        " response can be in one group only, once",
                        f"'{response_id}' כבר רשום ב־overlaps.{overlapping[response_id]}; מענה"
                        " יכול להיות בקבוצה אחת בלבד",
                        *("overlaps", group_id, "responses"),
                    )
                overlapping[response_id] = group_id
        measured = {"gap", *(indicator.measure for indicator in self.need.indicators.values())}
        for need_id, need in self.response_map.needs.items():
            if need.measure not in measured:
                raise RefusedError(
                    f"'{need.measure}' is measured by no indicator of need",
                    f"אין מדד צורך שמודד את '{need.measure}'",
                    *("response_map", "needs", need_id, "measure"),
                )
        return self

    @model_validator(mode="after")
    def _days_can_be(self) -> Policy:
        """A decision is no later than the year it is for, or the last registration of a response.

        The clock is not asked: the same file is read the same way on every day.
        """
        registered = (response.registered_on.year for response in self.responses.values())
        latest = max(self.planning_year.value, *registered, 0)
        for rule in ("overrides", "served_exemptions"):
            for index, item in enumerate(getattr(self.rules, rule)):
                if item.decided_on.year > latest:
                    raise RefusedError(
                        f"a decision of {item.decided_on:%Y} lies after {latest}, the last year"
                        " that this policy knows of; write the day on which it was taken",
                        f"החלטה משנת {item.decided_on:%Y} מאוחרת מ־{latest}, השנה האחרונה במדיניות"
                        " זו; יש לכתוב את היום שבו התקבלה",
                        *("rules", rule, index, "decided_on"),
                    )
        return self

    @property
    def school_responses(self) -> dict[str, Response]:
        """What the plan allocates to schools."""
        return {
            name: item
            for name, item in self.responses.items()
            if item.is_allocated and item.serves == "schools"
        }

    @property
    def city_services(self) -> dict[str, Response]:
        """What the plan pays for the whole city, in one line each."""
        return {
            name: item
            for name, item in self.responses.items()
            if item.is_allocated and item.serves == "city"
        }

    def confirmation(self, response_id: str, channel: Channel) -> Confirmation:
        """Return the state of a channel's part of a response."""
        own = self.responses[response_id].confirmation.get(channel)
        return (own or self.channels[channel].confirmation).value

    def goal_measures(self, response_id: str) -> dict[str, GoalMeasure]:
        """Return what measures each goal of a response, the one it was chosen for first (R122).

        The tests of the subjects that are named for a goal, or of all that the response has a
        registered effect on where the goal is about achievement; else nothing.
        """
        response = self.responses[response_id]
        stated = {response.goal: (response.goal_tests, response.goal_absence)} | {
            goal: (item.tests, item.absence) for goal, item in response.further_goals.items()
        }
        of_all = tuple(response.effects)
        return {
            goal: GoalMeasure(
                tests.subjects if tests else of_all if self.goals[goal].is_achievement else (),
                absence is not None,
            )
            for goal, (tests, absence) in stated.items()
        }

    def goal_subjects(self, response_id: str) -> tuple[Subject, ...]:
        """Return the subjects that a response is judged by; none where no test measures a goal."""
        measures = self.goal_measures(response_id).values()
        return tuple(dict.fromkeys(name for item in measures for name in item.subjects))

    def has_goal_absence(self, response_id: str) -> bool:
        """Whether absence measures a goal of a response."""
        return any(item.has_absence for item in self.goal_measures(response_id).values())

    def is_assumed(self, response_id: str) -> bool:
        """Whether nothing but an assumption stands behind the registered effects of a response.

        A study of another kind of response is an assumption about this one.
        """
        response = self.responses[response_id]
        return response.effect_source == ASSUMED or response.effect_about == "another_kind"

    def carried_share(self, response_id: str) -> float:
        """Return the share of the registered effect that is expected here; of an assumption none.

        It enters with mean 0 and its own spread.
        """
        return (
            0.0
            if self.is_assumed(response_id)
            else self.responses[response_id].transport_discount.value
        )

    @property
    def works(self) -> dict[str, Work]:
        """The works that prior effects are taken from: the shared ones and the city's own."""
        return shared_works() | self.evidence
