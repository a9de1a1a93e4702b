"""`policy.yaml`: what the city wants, what it may spend, and by which rules. Frozen Pydantic
models.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.settings.evidence import ASSUMED, Work, shared_works
from pipelines.settings.formula import FormulaPolicy
from pipelines.settings.parameters import (
    ActionChannel,
    Channel,
    Model,
    Parameter,
    Percent,
    Share,
    Subject,
    Year,
)
from pipelines.settings.policy_map import ResponseMap
from pipelines.settings.policy_rules import Rules


class ChannelPolicy(Model):
    """Money of one funding channel: a budget of its own, a cap inside each school, or neither."""

    budget: Parameter[float] | None = None
    per_school_from: Literal["gefen_agorot"] | None = None
    per_pupil: Parameter[float] | None = None


class Target(Model):
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


class NeedIndicator(Model):
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


class NeedPolicy(Model):
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


class FairnessPolicy(Model):
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


class GroupVersion(Model):
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


class Effect(Model):
    """A registered prior effect on participants, in pupil SD per year."""

    mean: float
    sd: Annotated[float, Field(gt=0)]


class Eligibility(Model):
    """Whom a response admits."""

    nurture_index_min: float | None = None
    reason_he: str
    reason_en: str


class GoalTests(Model):
    """The tests that measure a response's goal where the goal as such is not about achievement
    (R59).
    """

    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)]
    source: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class GoalAbsence(Model):
    """That absence measures a response's goal, which no test does (R59)."""

    source: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class Response(Model):
    """One response of the registry (R14), with its registered cost and prior effects."""

    name_he: str
    name_en: str
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
    horizon: Literal["short", "long"]
    committed_until: Year | None = None
    lag_years: Annotated[int, Field(ge=0, le=3)] = 0
    is_excellence: bool = False
    is_allocated: bool = True
    schools_can_buy: Parameter[bool] | None = None
    eligibility: Eligibility | None = None
    served_share: Parameter[Share]
    fixed_cost: Parameter[float]
    unit_cost: Parameter[float]
    funding: dict[Channel, Share]
    funding_source: str
    effects: dict[Subject, Effect]
    effect_source: str
    effect_reason: str = Field(min_length=1)
    effect_reason_he: str = Field(min_length=1)
    cost_reason_he: str = Field(min_length=1)
    registered_on: date
    transport_discount: Parameter[Share]

    @model_validator(mode="after")
    def _funding_is_whole(self) -> Response:
        if abs(sum(self.funding.values()) - 1) > 1e-9:
            raise ValueError(
                f"the funding shares must sum to 1, not {sum(self.funding.values()):g}"
            )
        return self


class OverlapGroup(Model):
    """Responses for the same pupils and goals: further ones in a school count in part only
    (R92).
    """

    name_he: str
    name_en: str
    responses: Annotated[tuple[str, ...], Field(min_length=2)]
    counted_share: Parameter[Share]


class AssetUse(Model):
    """How a response leans on an asset beyond budget (R79).

    Attributes:
        hours: hours a week that a participant at the full dose takes of it.
        saves: percent of the cost per participant that it spares.
    """

    hours: Parameter[Annotated[float, Field(gt=0)]]
    saves: Parameter[Percent]


class Suppression(Model):
    """Smallest cells that may be published (R111)."""

    mean_pupils: Parameter[int]
    count_pupils: Parameter[int]


class SolverPolicy(Model):
    """How hard the allocation is solved."""

    gap_pct: Parameter[float]
    time_limit_s: Parameter[float]
    objective: Parameter[Literal["total", "atkinson", "maximin"]] = Parameter[
        Literal["total", "atkinson", "maximin"]
    ](
        value="total",
        unit="name of the objective",
        source="assumed",
        reason="the most need-weighted good, wherever it falls; the need weight is the preference",
    )
    epsilon: Parameter[Annotated[float, Field(ge=0)]] = Parameter[Annotated[float, Field(ge=0)]](
        value=1.0,
        unit="aversion to inequality, used by atkinson only",
        source="Atkinson 1970",
        reason="at 1 a gain counts by its logarithm; 0 is the plain total",
    )


class Goal(Model):
    """One department goal; the tests measure it only where it is about achievement."""

    name_he: str
    name_en: str
    is_achievement: bool = False


class DesignBias(Model):
    """What designs of each grade can get wrong even with many pupils, in pupil SD."""

    A: Annotated[float, Field(ge=0)]
    B: Annotated[float, Field(ge=0)]
    C: Annotated[float, Field(ge=0)]
    D: Annotated[float, Field(ge=0)]


class EffectsPolicy(Model):
    """How effects are judged and what knowing them is worth (R61–R68)."""

    worthwhile_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.05,
        unit="pupil SD per year",
        source="Kraft 2020",
        reason="below it the effect of a programme on achievement is small",
    )
    sure: Parameter[Annotated[float, Field(gt=0.5, lt=1)]] = Parameter[float](
        value=0.80,
        unit="probability",
        source="assumed",
        reason=(
            "four chances in five: a verdict is looked at again every year, so one in five may turn"
            " out otherwise"
        ),
    )
    own_error: Parameter[Annotated[float, Field(gt=0, lt=0.5)]] = Parameter[float](
        value=0.10,
        unit="share of responses without effect",
        source="R61",
        reason="a response without effect may be called effective in a tenth of cases at most",
    )
    least_information: Parameter[Share] = Parameter[float](
        value=0.25,
        unit="share of the prior's variance that local data removed",
        source="assumed",
        reason="with less the posterior is the literature again, and no verdict of this city",
    )
    bias_sd: Parameter[DesignBias] = Parameter[DesignBias](
        value=DesignBias(A=0.0, B=0.02, C=0.05, D=0.10),
        unit="pupil SD, by design grade",
        source="assumed",
        reason=(
            "what a design can get wrong however many pupils it sees: nothing by lot, little at a"
            " cut-off, most among pupils chosen by their teachers"
        ),
    )
    groups: tuple[str, ...] = ("decile_8_10",)
    group_spread_sd: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=0.05,
        unit="pupil SD per year",
        source="assumed",
        reason="effects on groups of pupils differ, but by less than programmes do",
    )
    school_spread_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.05,
        unit="pupil SD per year",
        source="assumed",
        reason=(
            "how far one response's effects differ between schools: half of the smallest medium"
            " effect"
        ),
    )
    worthwhile_absence: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=0.5,
        unit="absence days saved per 100 school days",
        source="assumed",
        reason="about one school day a year; less is hardly noticed in a class",
    )
    absence_spread: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=1.0,
        unit="absence days per 100 school days",
        source="assumed",
        reason=(
            "no work on absence is registered: no effect is expected, and seldom more than two days"
            " a hundred either way"
        ),
    )
    months_per_sd: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=12.0,
        unit="months of progress in one pupil SD",
        source="EEF Toolkit guide 2021",
        reason="within half a month of the middle of each step of its table",
    )
    value_per_sd: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=30000,
        unit="NIS for one pupil SD of one pupil",
        source="assumed",
        reason="a tenth of an SD for 3,000 NIS: the middle of the cost bands of Kraft 2020",
    )
    decision_years: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=3,
        unit="school years",
        source="assumed",
        reason="how long a decision to fund a response usually holds",
    )
    kept_share: Parameter[Share] = Parameter[float](
        value=0.5,
        unit="share of an effect left a year later",
        source="assumed",
        reason="effects of programmes fade by about half in the year after",
    )
    evaluate_at_once: Parameter[Annotated[int, Field(ge=0)]] = Parameter[int](
        value=3,
        unit="responses",
        source="assumed",
        reason="as many evaluations as a department can run in one year",
    )
    need_margin: Parameter[Share] = Parameter[float](
        value=0.05,
        unit="need (0 to 1)",
        source="assumed",
        reason="a smaller difference of need between served and other schools is no finding",
    )
    least_raters: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=3,
        unit="raters",
        source="assumed",
        reason="what fewer people of a role said is what persons said (R78)",
    )
    pupil_sd: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=0.915,
        unit="pupil SD",
        source="assumed",
        reason=(
            "spread of scores within a school and grade where schools hold a tenth of the variance"
        ),
    )
    prior_r2: Parameter[Share] = Parameter[float](
        value=0.42,
        unit="share of variance",
        source="assumed",
        reason=(
            "what last year's tests tell of this year's score within a school, at a reliability"
            " of .8"
        ),
    )
    class_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.1,
        unit="pupil SD",
        source="assumed",
        reason="classes of a grade differ by about a tenth of an SD",
    )
    class_pupils: Parameter[Annotated[float, Field(ge=1)]] = Parameter[float](
        value=26, unit="pupils", source="CBS 2023/24", reason="mean class size"
    )
    school_year_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.085,
        unit="pupil SD",
        source="assumed",
        reason="what a school has in one year and subject only",
    )
    seed: Parameter[int] = Parameter[int](
        value=1,
        unit="seed",
        source="assumed",
        reason="any fixed number: the same input gives the same output",
    )


class AccountPolicy(Model):
    """How the plan is accounted for: what is drawn, asked again and held equal (R85–R96)."""

    draws: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=200,
        unit="draws",
        source="R96",
        reason="a share of draws is then known to within six points",
    )
    seed: Parameter[int] = Parameter[int](
        value=1, unit="seed", source="assumed", reason="any fixed number: same input, same output"
    )
    participation_spread: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.15,
        unit="SD of ln(who comes ÷ who was planned for)",
        source="assumed",
        reason="in two of three schools between 86 and 116 of 100 places are filled",
    )
    cost_spread: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.1,
        unit="SD of ln(cost ÷ planned cost)",
        source="assumed",
        reason="two of three responses end within a tenth of their planned cost",
    )
    scenarios: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=20,
        unit="draws",
        source="assumed",
        reason=(
            "the first of the draws, for plans that mind the bad cases: the worst fifth are four,"
            " and each is one more solve"
        ),
    )
    bad_share: Parameter[Share] = Parameter[float](
        value=0.2,
        unit="share of draws",
        source="assumed",
        reason="the worst fifth are the bad cases",
    )
    flip_pairs: Parameter[Annotated[int, Field(ge=0)]] = Parameter[int](
        value=3,
        unit="pairs of a school and a response",
        source="assumed",
        reason="the closest calls, about ten solves each; any other is answered on request",
    )
    gammas: Parameter[tuple[Annotated[float, Field(ge=0)], ...]] = Parameter[
        tuple[Annotated[float, Field(ge=0)], ...]
    ](
        value=(0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
        unit="exponents",
        source="assumed",
        reason="from need-blind to nearly all for the neediest",
    )
    budget_step_pct: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=5.0,
        unit="percent of a budget",
        source="assumed",
        reason="a change that a committee really decides on",
    )
    stream_tolerance_pct: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=5.0,
        unit="percent of the mean per pupil",
        source="assumed",
        reason="most that a stream may have above or below others at equal need without a warning",
    )
    equal_need_within: Parameter[Share] = Parameter[float](
        value=0.02, unit="need, 0 to 1", source="assumed", reason="closer than the need is known"
    )
    equal_money_within_pct: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=25.0,
        unit="percent of the mean per pupil",
        source="assumed",
        reason="responses are bought whole, so equals can never have exactly the same",
    )


class BandPolicy(Model):
    """What a published band says (R8). There is no default: bands nobody declared are not used."""

    limits_sd: Parameter[tuple[float, ...]]
    reference_se_sd: Parameter[Annotated[float, Field(ge=0)]]

    @model_validator(mode="after")
    def _limits_rise(self) -> BandPolicy:
        limits = self.limits_sd.value
        if not limits or any(low >= high for low, high in pairwise(limits)):
            raise ValueError("limits_sd needs the limits between neighbouring bands, rising")
        return self


class DiagnosePolicy(Model):
    """How gaps are judged: what is small, what is sure, what counts as excellent (R33–R46)."""

    margin_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.1,
        unit="pupil SD",
        source="assumed",
        reason="a gap of a month or so of learning; smaller ones decide nothing",
    )
    excellence_sd: Parameter[Annotated[float, Field(gt=0)]] = Parameter[float](
        value=0.3,
        unit="pupil SD above the target",
        source="assumed",
        reason="about the upper tenth of schools in a usual city",
    )
    worst_k: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=5,
        unit="schools",
        source="assumed",
        reason="as many as a committee can look at one by one",
    )
    false_discovery_rate: Parameter[Share] = Parameter[float](
        value=0.05,
        unit="share of the phenomena listed",
        source="make validate",
        reason=(
            "at this rate a list is wrong in a tenth of the cities that hold no pattern at all: the"
            " same pupils come back each year"
        ),
    )
    phenomenon_years: Parameter[Annotated[int, Field(ge=2)]] = Parameter[int](
        value=2,
        unit="school years",
        source="D004",
        reason="what returns is a phenomenon; once is an event",
    )
    untested_lower_by_sd: Parameter[Annotated[float, Field(ge=0)]] = Parameter[float](
        value=0.6,
        unit="pupil SD",
        source="assumed",
        reason="pupils who sit no test are about as far below as integration pupils and newcomers",
    )
    least_participants: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=5,
        unit="participants",
        source="assumed",
        reason="below it an order of causes is that of single persons",
    )
    least_excerpts: Parameter[Annotated[int, Field(ge=1)]] = Parameter[int](
        value=2,
        unit="excerpts",
        source="assumed",
        reason="one voice alone neither agrees nor contradicts",
    )
    bands: BandPolicy | None = None


class CauseExpectation(Model):
    """What is expected of a cause before the city's data are seen: gap in pupil SD per unit of its
    measure.
    """

    mean: float
    sd: Annotated[float, Field(gt=0)]


class Cause(Model):
    """A card of the catalogue of causes (R47, R52): a cause without a measure is judgement only."""

    name_he: str
    name_en: str
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
    is_in_power: bool
    action_channel: ActionChannel | None = None
    responses: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] | Literal["all"] = "all"
    source: str
    reason: str

    @model_validator(mode="after")
    def _is_whole(self) -> Cause:
        if (self.measure is None) != (self.expected is None):
            raise ValueError("a cause has a measure and an expectation of it, or neither")
        if self.responses and self.action_channel is None:
            raise ValueError("a cause that responses act on needs its action_channel")
        if self.responses and not self.is_in_power:
            raise ValueError("a cause out of the authority's power is no target of responses")
        return self


class Policy(Model):
    """`policy.yaml`."""

    planning_year: Parameter[Year]
    equity_gamma: Parameter[Annotated[float, Field(ge=0)]]
    need_offset: Parameter[Annotated[float, Field(gt=0)]]
    dose_response: Parameter[dict[Share, Share]]
    channels: dict[Channel, ChannelPolicy]
    targets: tuple[Target, ...]
    class_design_effect: Parameter[Annotated[float, Field(ge=1)]]
    need: NeedPolicy
    goals: dict[str, Goal]
    groups: dict[str, tuple[GroupVersion, ...]] = Field(default_factory=dict)
    fairness: FairnessPolicy = FairnessPolicy()
    diagnose: DiagnosePolicy = DiagnosePolicy()
    causes: dict[str, Cause] = Field(default_factory=dict)
    evidence: dict[str, Work] = Field(default_factory=dict)
    effects: EffectsPolicy = EffectsPolicy()
    responses: dict[str, Response]
    response_map: ResponseMap = ResponseMap()
    overlaps: dict[str, OverlapGroup] = Field(default_factory=dict)
    assets: dict[str, dict[str, AssetUse]] = Field(default_factory=dict)
    rules: Rules
    formula: FormulaPolicy
    suppression: Suppression
    solver: SolverPolicy
    account: AccountPolicy = AccountPolicy()

    @model_validator(mode="after")
    def _names_are_known(self) -> Policy:
        for response_id, response in self.responses.items():
            if response.goal not in self.goals:
                raise ValueError(
                    f"responses.{response_id}.goal: '{response.goal}' is not one of the goals"
                )
            tested = response.goal_tests.subjects if response.goal_tests else ()
            if silent := sorted(set(tested) - set(response.effects)):
                raise ValueError(
                    f"responses.{response_id}.goal_tests: no effect is registered on"
                    f" {', '.join(silent)}; register a prior effect, or leave the subject out"
                )
            if response.goal_absence and self.is_goal_tested(response_id):
                raise ValueError(
                    f"responses.{response_id}.goal_absence: its goal is measured by tests already;"
                    " a response is judged by one of the two"
                )
            if astray := set(response.funding) - set(self.channels):
                raise ValueError(
                    f"responses.{response_id}.funding: no such channel: {', '.join(sorted(astray))}"
                )
        for name, part in self.formula.items():
            if part.pot.channel and part.pot.channel not in self.channels:
                raise ValueError(f"formula.{name}.pot.channel: no such channel: {part.pot.channel}")
        for rule, response_id in self.rules.named():
            if response_id not in self.responses:
                raise ValueError(f"rules.{rule}: no response '{response_id}' in responses")
        for item in self.rules.must_keep:
            if not 1 <= item.dose_level <= len(self.dose_response.value):
                raise ValueError(
                    f"rules.must_keep: {item.response}: dose_level {item.dose_level} is none of the"
                    f" {len(self.dose_response.value)} levels of dose_response"
                )
        for override in self.rules.overrides:
            if override.dose_level and override.dose_level > len(self.dose_response.value):
                raise ValueError(
                    f"rules.overrides: {override.response}: dose_level {override.dose_level} is"
                    f" none of the {len(self.dose_response.value)} levels of dose_response"
                )
        for excluded in self.rules.source_exclusions:
            if excluded.channel not in self.channels:
                raise ValueError(f"rules.source_exclusions: no such channel: {excluded.channel}")
        for asset_id, uses in self.assets.items():
            if unnamed := set(uses) - set(self.responses):
                raise ValueError(
                    f"assets.{asset_id}: no such response: {', '.join(sorted(unnamed))}"
                )
        overlapping: dict[str, str] = {}
        for group_id, overlap in self.overlaps.items():
            for response_id in overlap.responses:
                if response_id not in self.responses:
                    raise ValueError(
                        f"overlaps.{group_id}: no response '{response_id}' in responses"
                    )
                if response_id in overlapping:
                    raise ValueError(
                        f"overlaps.{group_id}: '{response_id}' is in"
                        f" overlaps.{overlapping[response_id]} already; a response can be in one"
                        " group only, once"
                    )
                overlapping[response_id] = group_id
        works = {ASSUMED, *self.works}
        for response_id, response in self.responses.items():
            if response.effect_source not in works:
                raise ValueError(
                    f"responses.{response_id}.effect_source: '{response.effect_source}' is neither"
                    " 'assumed' nor a work of the registry"
                    f" ({', '.join(sorted(works - {ASSUMED}))})"
                )
        for cause_id, cause in self.causes.items():
            if unknown := set(cause.responses) - set(self.responses):
                raise ValueError(
                    f"causes.{cause_id}.responses: no such response: {', '.join(sorted(unknown))}"
                )
        known: dict[str, set[str]] = {
            "goal": set(self.goals),
            "response": set(self.responses),
            "group": set(self.groups),
        }
        measured = {"gap", *(indicator.measure for indicator in self.need.indicators.values())}
        for need_id, need in self.response_map.needs.items():
            if need.measure not in measured:
                raise ValueError(
                    f"response_map.needs.{need_id}: '{need.measure}' is measured by no indicator of"
                    " need"
                )
        for where, kind, name in self.response_map.named():
            if name not in known[kind]:
                raise ValueError(f"{where}: no such {kind}: {name}")
        return self

    def is_goal_tested(self, response_id: str) -> bool:
        """Whether tests measure the goal that a response was chosen for."""
        response = self.responses[response_id]
        return self.goals[response.goal].is_achievement or response.goal_tests is not None

    def goal_subjects(self, response_id: str) -> tuple[Subject, ...]:
        """Return the subjects that a response is judged by; none where no test measures its goal.

        Those that its goal names, or else all that it has a registered effect on.
        """
        response = self.responses[response_id]
        if response.goal_tests is not None:
            return response.goal_tests.subjects
        return tuple(response.effects) if self.goals[response.goal].is_achievement else ()

    @property
    def works(self) -> dict[str, Work]:
        """The works that prior effects are taken from: the shared ones and the city's own."""
        return shared_works() | self.evidence
