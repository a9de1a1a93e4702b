"""What a policy counts on and the city's files do not hold, before anything is run.

Each finding names the place in the policy, and what a run would publish without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.settings.city import CityFolder
from pipelines.settings.yaml_files import line_of

FEWEST_SCHOOLS = 10
"""Below it no group of schools is told beside the others: a group is five, with five beside it."""


@dataclass(frozen=True)
class Held:
    """What a city's files hold of what a policy speaks of.

    Attributes:
        scales: scales that scores stand on.
        running: responses that run or have a budget line.
        assets: the inventory.
        schools: schools of the plan.
        without_basket: schools of the plan with no Gefen basket in the reference year.
        measured: measures of need that any row tells of.
    """

    scales: frozenset[str]
    running: frozenset[str]
    assets: frozenset[str]
    schools: int
    without_basket: int
    measured: frozenset[str]


@dataclass(frozen=True)
class Unready:
    """One thing that a policy counts on and the files do not hold, or the other way round.

    Attributes:
        keys: where in `policy.yaml`.
        line: of it.
        stops: whether a run would end there.
        en, he: what it is, and what a run publishes without it.
    """

    keys: tuple[str, ...]
    line: int
    stops: bool
    en: str
    he: str


def unready(city: CityFolder, held: Held) -> list[Unready]:
    """Return what the policy and the files of a city do not have in common, in the order of the
    policy.
    """
    path = city.folder / "policy.yaml"
    return [
        Unready(keys, line_of(path, keys), stops, en, he)
        for keys, stops, en, he in (
            *_schools(held),
            *_baskets(city, held),
            *_targets(city, held),
            *_indicators(city, held),
            *_responses(city, held),
            *_assets(city, held),
        )
    ]


_Finding = tuple[tuple[str, ...], bool, str, str]


def _schools(held: Held) -> Iterator[_Finding]:
    if 0 < held.schools < FEWEST_SCHOOLS:
        yield (
            (),
            False,
            f"{held.schools} schools are too few to compare groups of schools (at least"
            f" {FEWEST_SCHOOLS}): gaps, need and plan are published, comparisons between streams,"
            " bands and areas are not, and effects stay what the literature expects",
            f"{held.schools} בתי ספר הם מעט מכדי להשוות קבוצות של בתי ספר (לפחות"
            f" {FEWEST_SCHOOLS}): יפורסמו פערים, צורך ותוכנית, אך לא השוואות בין זרמים, רצועות"
            " ואזורים, וההשפעות יישארו כצפוי בספרות",
        )


def _baskets(city: CityFolder, held: Held) -> Iterator[_Finding]:
    for channel, policy in city.policy.channels.items():
        if policy.per_school_from and held.without_basket:
            yield (
                ("channels", channel, "per_school_from"),
                False,
                f"{held.without_basket} of {held.schools} schools have no Gefen basket in"
                f" {city.city.school_years.reference} (finance__school_money): the plan takes no"
                " money of the basket there",
                f"ל־{held.without_basket} מ־{held.schools} בתי ספר אין סל גפ״ן בשנת"
                f" {city.city.school_years.reference}: התוכנית לא תיקח בהם כסף מן הסל",
            )
        if policy.budget is not None and policy.budget.value == 0:
            yield (
                ("channels", channel, "budget"),
                False,
                f"{channel} has a budget of 0 NIS: nothing that it pays a part of is in the plan",
                f"תקציב הערוץ {channel} הוא 0 ₪: מענה שהערוץ משתתף במימונו לא ייכנס לתוכנית",
            )


def _targets(city: CityFolder, held: Held) -> Iterator[_Finding]:
    aimed = {scale for target in city.policy.targets for scale in target.scales}
    for scale in sorted(held.scales - aimed):
        yield (
            ("targets",),
            False,
            f"scores stand on scale {scale}, which has no target: no gap is published for them and"
            " they weigh nothing in need",
            f"יש ציונים בסולם {scale} ואין לו יעד: לא יפורסם להם פער והם לא ישפיעו על הצורך",
        )
    for scale in sorted(aimed - held.scales):
        yield (
            ("targets",),
            False,
            f"the target of scale {scale} has no score to it: it changes nothing",
            f"ליעד של הסולם {scale} אין ציונים: אין לו השפעה",
        )


def _indicators(city: CityFolder, held: Held) -> Iterator[_Finding]:
    for key, indicator in city.policy.need.indicators.items():
        measure = f"gap_{indicator.subject}" if indicator.measure == "gap" else indicator.measure
        if measure not in held.measured:
            yield (
                ("need", "indicators", key),
                False,
                f"{key} weighs {indicator.weight_pct.value:g} percent of need and no file measures"
                " it: it counts at the mean of the others and is told as not measured",
                f"משקלו של {indicator.name_he} הוא {indicator.weight_pct.value:g}% מן הצורך ואין"
                " קובץ שמודד אותו: הוא ייספר כממוצע האחרים וייאמר שלא נמדד",
            )


def _responses(city: CityFolder, held: Held) -> Iterator[_Finding]:
    for key, response in city.policy.responses.items():
        has_cost = response.fixed_cost.value + response.unit_cost.value > 0
        if key in held.running and not has_cost:
            yield (
                ("responses", key),
                False,
                f"{key} runs in the city and has no cost: it is described, and no plan gives it"
                " money",
                f"{response.name_he} פועל בעיר ואין לו עלות: הוא יתואר, ולא יקבל כסף בתוכנית",
            )
    for key in sorted(held.running - city.policy.responses.keys()):
        yield (
            ("responses",),
            False,
            f"{key} runs in the city and is no response of the policy: it is listed, not judged,"
            " and no plan gives it money",
            f"{key} פועל בעיר ואינו במענים של המדיניות: הוא יופיע ברשימה בלבד, בלי הערכה ובלי כסף",
        )


def _assets(city: CityFolder, held: Held) -> Iterator[_Finding]:
    for key in sorted(city.policy.assets.keys() - held.assets):
        yield (
            ("assets", key),
            True,
            f"{key} is in no inventory (assets__inventory): the run stops before the plan and"
            " publishes nothing",
            f"{key} אינו במצאי הנכסים (assets__inventory): הריצה תיעצר לפני התוכנית ולא תפרסם דבר",
        )
