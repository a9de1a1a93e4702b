"""What every plan has to keep: the rules of `policy.yaml` as objects (R82–R93)."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from models.allocation.problem.rule import Rule
from models.allocation.rules.change import HoldHarmless, NeediestKept, RiseCap
from models.allocation.rules.choice import (
    EverySchoolServed,
    Exclusive,
    MustDrop,
    MustKeep,
    ParticipantCapacity,
    SchoolCapacity,
)
from models.allocation.rules.conditions import MinimumGroup, Prerequisite
from models.allocation.rules.decided import (
    Commitment,
    DecidedDrop,
    DecidedKeep,
    ManualOverride,
    NoticePeriod,
)
from models.allocation.rules.money import SchoolCap, SchoolFloor, SourceExcluded
from models.allocation.rules.shares import EXCELLENCE, MoneyShare, Part
from models.quarters import with_quartile
from pipelines.aim.decided import decisions_of
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT, MUNICIPAL
from pipelines.warehouse.tables import Tables

READS = ("mart_last_plan", "mart_verdict", "mart_design_option", "mart_decision", "core_decision")


def rules(city: CityFolder, tables: Tables) -> tuple[Rule, ...]:
    """Return the policy's rules and what the committee decided as the allocation's objects.

    Raises:
        ValueError: if a rule keeps a response where it is served now, and that was never reported,
            or measures against last year's money where none is known.
    """
    city = with_shares(city, tables)
    return tuple(
        rule
        for kind in (
            _capacities,
            _kept_and_dropped,
            _decisions,
            _conditions,
            _overrides,
            _of_schools,
            _shares,
            _changes,
        )
        for rule in kind(city, tables)
    )


def with_shares(city: CityFolder, tables: Tables) -> CityFolder:
    """Return the city with the shares of money that the committee decided in its policy's place.

    What a scenario asks for otherwise stays: it is the question.
    """
    decided = decisions_of(city, tables, "share")
    if decided.is_empty():
        return city
    stated = city.policy.rules
    for row in decided.iter_rows(named=True):
        stated = stated.with_share(
            row["decision_object"],
            float(row["decision_value"]),
            source=f"{row['decided_by_role']}, {row['decided_on']}, {row['decision_id']}",
            reason=row["decision_reason"],
        )
    policy = city.policy.model_copy(update={"rules": stated})
    return city.model_copy(update={"policy": policy})


def _capacities(city: CityFolder, _: Tables) -> Iterator[Rule]:
    """What operators can staff."""
    for item in city.policy.rules.capacity:
        name = _named(city, item.response)
        if item.schools is not None:
            yield SchoolCapacity(item.response, item.schools, **name)
        if item.participants is not None:
            yield ParticipantCapacity(item.response, item.participants, **name)


def _named(city: CityFolder, response_id: str, what: str = "response") -> dict[str, str]:
    """The names of a response as a rule's fields have them."""
    response = city.policy.responses[response_id]
    return {f"{what}_he": response.name_he, f"{what}_en": response.name_en}


def minimum_groups(city: CityFolder, choices: pl.DataFrame) -> tuple[MinimumGroup, ...]:
    """Return the rules on groups: schools that share a response make one group of it (R87, R93).

    Args:
        city: the policy.
        choices: the options, with host_semel_mosad (null = the school by itself).
    """
    together = ["response_id", "host_semel_mosad", "dose_level"]
    in_group = (
        pl.when(pl.col("host_semel_mosad").is_null())
        .then("participants")
        .otherwise(pl.col("participants").sum().over(together))
    )
    sizes = choices.with_columns(in_group=in_group).sort("semel_mosad", "dose_level")
    return tuple(
        MinimumGroup(
            item.response,
            item.participants,
            tuple(
                sizes.filter(
                    pl.col("response_id") == item.response, pl.col("in_group") < item.participants
                )
                .select("semel_mosad", "dose_level")
                .iter_rows()
            ),
            **_named(city, item.response),
        )
        for item in city.policy.rules.minimum_groups
    )


def _kept_and_dropped(city: CityFolder, tables: Tables) -> Iterator[Rule]:
    """What goes on, by decision or by a commitment of former years (R88, R89), and what ends."""
    stated, year = city.policy.rules, city.planning_year
    doses = sorted(city.policy.dose_response.value)
    least = _must_keep(city, tables)
    if least:
        yield MustKeep(tuple((*pair, doses[level - 1]) for pair, level in least.items()))
    committed = [
        (school, response_id, doses[0])
        for response_id, response in city.policy.school_responses.items()
        if (response.committed_until or 0) >= year
        for school in _served(response_id, "committed_until", tables)
    ]
    if committed:
        yield Commitment(tuple(committed))
    for notice in stated.notice_periods:
        if notice.last_year >= year:
            schools = _served(notice.response, "notice_periods", tables)
            yield NoticePeriod(
                notice.response, schools, notice.last_year, **_named(city, notice.response)
            )
    every_school = tuple(tables["mart_need_index"]["semel_mosad"])
    over = {item.response for item in stated.notice_periods if item.last_year < year}
    dropped = [
        (school, item.response)
        for item in stated.must_drop
        for school in (every_school if item.schools == "all" else item.schools)
    ] + [(school, response_id) for response_id in sorted(over) for school in every_school]
    if dropped:
        yield MustDrop(tuple(dropped))


def _must_keep(city: CityFolder, tables: Tables) -> dict[tuple[str, str], int]:
    """Return the least dose level of each school and response that the policy keeps."""
    least: dict[tuple[str, str], int] = {}
    for item in city.policy.rules.must_keep:
        served = item.schools == "served"
        schools = _served(item.response, "must_keep", tables) if served else item.schools
        for school in schools:
            pair = (school, item.response)
            least[pair] = max(least.get(pair, 1), item.dose_level)
    return least


def _decisions(city: CityFolder, tables: Tables) -> Iterator[Rule]:
    """What people decided on responses (R68); to change or to evaluate binds nothing.

    What the policy keeps anyway is left to its own rule: of two rules that ask the same, neither
    has a price.
    """
    stated = city.policy.rules.decisions
    if not (stated and stated.value):
        return
    least = min(city.policy.dose_response.value)
    decided = (
        tables["mart_decision"]
        .filter(pl.col("planning_year") == city.planning_year)
        .sort("response_id")
    )
    given = city.policy.school_responses

    def of(decision: str) -> list[str]:
        return [name for name in decided.filter(decision=decision)["response_id"] if name in given]

    anyway = _must_keep(city, tables)
    kept = [
        (school, name, least)
        for name in of("keep")
        for school in _served(name, "decisions", tables)
        if (school, name) not in anyway
    ]
    if kept:
        yield DecidedKeep(tuple(kept))
    dropped = [
        (school, name) for name in of("drop") for school in tables["mart_need_index"]["semel_mosad"]
    ]
    if dropped:
        yield DecidedDrop(tuple(dropped))


def _served(response_id: str, rule: str, tables: Tables) -> tuple[str, ...]:
    """Return the schools of the plan that have a response now.

    Raises:
        ValueError: if no participation was reported, so that nobody knows.
    """
    rows = tables["mart_response_map"].filter(pl.col("response_id") == response_id)
    if not rows["is_measured"].all():
        raise ValueError(
            f"policy.yaml: {rule}: '{response_id}' is to be kept where it is served, but no"
            " participation is reported in this city; name the schools under rules.must_keep"
            " instead."
        )
    return tuple(rows.filter("is_served")["semel_mosad"])


def _conditions(city: CityFolder, _: Tables) -> Iterator[Rule]:
    """What a response needs beside it, and what may not pay for it (R83, R93)."""
    for item in city.policy.rules.prerequisites:
        yield Prerequisite(
            item.response,
            item.needs,
            **_named(city, item.response),
            **_named(city, item.needs, "needed"),
        )
    excluded: dict[str, set[str]] = {}
    for exclusion in city.policy.rules.source_exclusions:
        excluded.setdefault(exclusion.channel, set()).update(exclusion.responses)
    for channel, responses in sorted(excluded.items()):
        names = [city.policy.responses[response_id] for response_id in sorted(responses)]
        yield SourceExcluded(
            channel,
            tuple(sorted(responses)),
            ", ".join(name.name_he for name in names),
            ", ".join(name.name_en for name in names),
        )


def _overrides(city: CityFolder, tables: Tables) -> Iterator[Rule]:
    """What was decided by hand, one rule for each school, so that each has its own price (R100).

    The policy's and those of the committee's log; of both on one school and response the log's.
    """
    need = tables["mart_need_index"]
    called = dict(need.select("semel_mosad", "school_name_he").iter_rows())
    logged = {
        (row["semel_mosad"], row["response_id"]): row
        for row in decisions_of(city, tables, "override").iter_rows(named=True)
    }
    for item in city.policy.rules.overrides:
        for school in item.schools:
            if school not in called:
                raise ValueError(f"policy.yaml: rules.overrides: no school {school} in the plan.")
            if (school, item.response) in logged:
                continue
            yield ManualOverride(
                item.response,
                school,
                item.decision == "forced",
                item.reason,
                item.decided_by_role.replace("_", " "),
                item.dose_level,
                called[school],
                role_he=dictionary().label("decided_by_role", item.decided_by_role),
                **_named(city, item.response),
            )
    for (school, response_id), row in logged.items():
        word, _, dose = row["decision_value"].partition(":")
        levels = len(city.policy.dose_response.value)
        if (
            school not in called
            or response_id not in city.policy.school_responses
            or (dose and int(dose) > levels)
        ):
            raise CityError(
                f"decision {row['decision_id']} of the log: the plan gives no school {school} the"
                f" response {response_id}{f' at dose level {dose}' if dose else ''}, so nothing can"
                " be decided on it by hand; correct the row, or have another one replace it.",
                f"החלטה {row['decision_id']} ביומן: התוכנית אינה נותנת לבית ספר {school} את המענה"
                f" {response_id}{f' ברמת מינון {dose}' if dose else ''}, ולכן אי אפשר להחליט עליו"
                " ידנית; יש לתקן את השורה, או לרשום החלטה שמחליפה אותה.",
            )
        yield ManualOverride(
            response_id,
            school,
            word == "forced",
            row["decision_reason"],
            row["decided_by_role"].replace("_", " "),
            int(dose) if dose else None,
            called[school],
            role_he=dictionary().label("decided_by_role", row["decided_by_role"]),
            **_named(city, response_id),
        )


def _of_schools(city: CityFolder, _: Tables) -> Iterator[Rule]:
    """What holds in each school."""
    stated = city.policy.rules
    if stated.every_school_served and stated.every_school_served.value:
        exempt = {school for item in stated.served_exemptions for school in item.schools}
        yield EverySchoolServed(tuple(sorted(exempt)))
    if stated.school_floor_per_pupil:
        yield SchoolFloor(round(AGOROT * stated.school_floor_per_pupil.value))
    if stated.school_cap_per_pupil:
        yield SchoolCap(round(AGOROT * stated.school_cap_per_pupil.value))
    for name, group in stated.exclusive.items():
        yield Exclusive(name, group)


def _shares(city: CityFolder, tables: Tables) -> Iterator[Rule]:
    """For whom and for what a share of the money is set aside (R82, R85, R86, R88)."""
    stated = city.policy.rules
    if stated.excellence_min:
        yield MoneyShare("at_least", stated.excellence_min.value, EXCELLENCE, MUNICIPAL)
    if stated.excellence_max:
        yield MoneyShare("at_most", stated.excellence_max.value, EXCELLENCE, MUNICIPAL)
    if stated.long_term_min:
        long = tuple(name for name, item in city.policy.responses.items() if item.horizon == "long")
        part = Part("long_term", "long-term responses", "מענים לטווח ארוך", responses=long)
        yield MoneyShare("at_least", stated.long_term_min.value, part)
    if stated.neediest_quarter_min:
        # Where a school, or equals together, have more pupils than two quarters, nobody is in the
        # first; the neediest are then whoever come first.
        quartile = pl.col("need_quartile")
        first = with_quartile(tables["mart_need_index"]).filter(quartile == quartile.min())
        part = Part(
            "neediest_quarter",
            "the neediest quarter",
            "רבע התלמידים שבבתי הספר הנזקקים ביותר",
            tuple(first["semel_mosad"]),
        )
        yield MoneyShare("at_least", stated.neediest_quarter_min.value, part)
    if stated.exploration_min or stated.exploration_max:
        part = Part(
            "exploration",
            "responses whose effect is not known but can be evaluated",
            "מענים שהשפעתם אינה ידועה וניתן להעריך אותה",
            responses=_explored(tables),
        )
        if stated.exploration_min:
            yield MoneyShare("at_least", stated.exploration_min.value, part)
        if stated.exploration_max:
            yield MoneyShare("at_most", stated.exploration_max.value, part)
    if stated.stream_tolerance:
        yield from _streams(city, tables, stated.stream_tolerance.value)


def _explored(tables: Tables) -> tuple[str, ...]:
    """Return the responses of which too little is known, and for which a design could tell more."""
    judged = tables["mart_verdict"].filter(
        pl.col("group_id") == "all",
        pl.col("subject") == "all",
        pl.col("verdict") == "insufficient_evidence",
    )
    designs = tables["mart_design_option"].filter(pl.col("design") != "none")
    return tuple(judged.join(designs, on="response_id", how="semi")["response_id"].sort())


def _streams(city: CityFolder, tables: Tables, tolerance_pct: float) -> Iterator[Rule]:
    """Keep each stream near its share of need-weighted pupils: equal money at equal need (R86)."""
    gamma, offset = city.policy.equity_gamma.value, city.policy.need_offset.value
    shares = (
        tables["mart_need_index"]
        .sort("stream", "semel_mosad")
        .with_columns(weighted=pl.col("pupils") * (offset + pl.col("need")) ** gamma)
        .group_by("stream", maintain_order=True)
        .agg("semel_mosad", pl.col("weighted").sum())
        .with_columns(share_pct=100 * pl.col("weighted") / pl.col("weighted").sum())
    )
    label = dictionary().label
    for stream, schools, share in shares.select("stream", "semel_mosad", "share_pct").iter_rows():
        part = Part(
            f"stream_{stream}",
            f"the stream {stream}",
            f"זרם {label('stream', stream)}",
            tuple(schools),
        )
        yield MoneyShare("at_least", round(max(share - tolerance_pct, 0.0), 2), part)
        yield MoneyShare("at_most", round(min(share + tolerance_pct, 100.0), 2), part)


def _changes(city: CityFolder, tables: Tables) -> Iterator[Rule]:
    """How far a school's money may move from last year's (R90)."""
    stated = city.policy.rules
    if not (stated.hold_harmless or stated.neediest_kept or stated.rise_cap):
        return
    last = tables["mart_last_plan"].sort("semel_mosad")
    if last.is_empty():
        raise ValueError(
            "policy.yaml: rules.hold_harmless, rules.neediest_kept and rules.rise_cap compare with"
            " last year's money, but no budget of a former year is reported in this city; take them"
            " off the policy."
        )
    planned = last.join(tables["mart_need_index"], on="semel_mosad", how="semi")
    money = tuple(planned.select("semel_mosad", "last_year_agorot").iter_rows())
    if stated.hold_harmless:
        yield HoldHarmless(money, stated.hold_harmless.value)
    if stated.neediest_kept:
        first = set(surely_neediest(city, tables))
        own = tuple(row for row in money if row[0] in first)
        yield NeediestKept(own, stated.neediest_kept.value)
    if stated.rise_cap:
        yield RiseCap(money, stated.rise_cap.value)


def surely_neediest(city: CityFolder, tables: Tables) -> pl.Series:
    """Return the schools of the first tier of need that surely belong to it (`need.sure`)."""
    first = pl.col("need_tier") == pl.col("need_tier").min()
    sure = pl.col("p_need_tier") >= city.policy.need.sure.value
    return tables["mart_need_index"].filter(first, sure)["semel_mosad"].sort()
