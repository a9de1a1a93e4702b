"""No count of children is published that nobody thought of."""

from pipelines.settings.fields import dictionary

KNOWN = "how many pupils a school, a stream or the city has everybody knows"
PLANNED = "a number of the plan: who will take part is not known to anybody yet"
BEHIND = "tests or pupils behind an estimate over many schools; fewer than `mean_pupils` hide it"
SAT = "tests sat or listed in a school; who was not tested is told by rounded shares alone"
ESTIMATE = "an estimate, no count of anybody"
OWN = "the fewest pupils a row could tell of; it hides the row by itself, and no reader needs it"
PLACES = "places or applicants that are registered before anybody has them"
ADULTS = "adults who rated, told of a role from `least_raters` on (3 at least, in code; R78)"

EXEMPT = {
    KNOWN: """mart_need_index.pupils mart_allocation_school.pupils mart_audit_group.pupils
        mart_audit_without.pupils mart_audit_stream.pupils mart_allocation_remaining.pupils
        mart_scenario_group.pupils mart_scenario_school.pupils mart_school_money.pupils
        mart_plan_progress.pupils mart_pupil_total.pupils mart_parents_payment.pupils
        mart_parents_plan.pupils mart_parents_plan.last_year_pupils
        mart_authority.pupils mart_authority_tier.pupils
        mart_need_area.pupils mart_need_index.last_registered_pupils mart_planned_pupils.pupils
        mart_planned_pupils.last_registered_pupils""",
    PLANNED: """mart_allocation.participants mart_allocation_asset.participants
        mart_plan_line.participants mart_plan_progress.participants mart_work_plan.participants
        mart_plan_progress.banded_participants mart_pooling_set.participants
        mart_pooling_school.participants mart_scenario.participants mart_scenario_line.participants
        mart_scenario_group.participants mart_scenario_school.participants
        mart_scenario_response.participants mart_line_tracking.participants
        mart_decided.decided_participants mart_decided_line.decided_participants
        mart_city_service.places mart_city_service.places_kept
        mart_planned_pupils.forecast_pupils mart_planned_pupils.forecast_change_pupils""",
    BEHIND: """mart_effect.treated_pupils mart_effect_side.treated_pupils
        mart_effect_design.treated_pupils mart_effect_design.control_pupils
        mart_effect_absence.treated_pupils mart_effect_absence.control_pupils
        mart_design_option.treated_pupils mart_design_option.control_pupils
        mart_gap_decomposition.decomposition_pupils mart_early_warning_bin.bin_pupils
        mart_gap_area.tested_pupils
        mart_allocation_remaining.tested_pupils""",
    SAT: """mart_gap_school_subject.tested_pupils mart_gap_school.distinct_pupils
        mart_test_participation.listed_pupils mart_unmet_need.need_n mart_goal.baseline_n""",
    ESTIMATE: """mart_scenario.reached_lo_pupils mart_scenario.reached_hi_pupils
        mart_scenario_group.reached_lo_pupils mart_scenario_group.reached_hi_pupils""",
    OWN: "mart_city_service.small_pupils mart_test_participation.small_pupils",
    ADULTS: """mart_ladder_agreement.ladder_participants mart_perception.raters mart_rating.raters
        mart_rating_evidence.raters mart_rating_role.raters mart_rating_family.raters
        mart_rating.green_raters mart_rating.yellow_raters mart_rating.red_raters
        mart_rating_family.green_raters mart_rating_family.yellow_raters
        mart_rating_family.red_raters""",
    PLACES: "mart_evaluation.places mart_evaluation.applicants mart_asset.capacity_pupils",
}


# Of these it does not matter to the count whether any child is in them.
UNRELATED = {
    *("mart_topic.schools", "mart_topic.aspects", "mart_topic.aspects_covered"),
    "mart_response_money.schools_unmatched",
}
OF_ALL = {"mart_parents_plan.parents_per_pupil_agorot"}  # of the plan, by all registered pupils


def told():
    """Every column that counts pupils in what audiences get: table, column."""
    fields = dictionary().fields
    return {
        f"{name}.{column}"
        for name, table in dictionary().tables.items()
        if name.startswith("mart_")
        for column in table.columns
        if fields[column].unit in ("pupils", "children", "participants")
        and fields[column].privacy != "personal"
    }


def declared():
    counts = dictionary().counts
    return {f"{t.table}.{column}" for t in counts for column in (t.column, *t.hides)}


def exempt():
    return [name for names in EXEMPT.values() for name in names.split()]


def test_every_count_of_pupils_is_declared_or_exempt_with_a_reason():
    missing = told() - declared() - set(exempt())
    assert not missing, (
        f"{sorted(missing)}: say in `counts:` of sql/fields.yaml what they count, so that the"
        " intruder reads them, or here why they tell of no few children"
    )


def test_the_exempt_are_there_once_and_are_not_declared():
    names = exempt()
    assert len(names) == len(set(names))
    assert set(names) <= told()
    assert not set(names) & declared()


def test_what_hides_its_own_row_is_the_count_behind_something():
    for name in EXEMPT[OWN].split():
        assert dictionary().fields[name.split(".")[1]].n_for


def beside(units):
    """Table, column of every column of some units that stands beside counts that may be hidden."""
    fields = dictionary().fields
    for name in sorted({t.table for t in dictionary().counts if t.number and t.loss}):
        table = dictionary().tables[name]
        for column in (c for c in table.columns if c not in table.key):
            if units(fields[column].unit):
                yield name, column


def is_hidden_with_a_count(name, column):
    return any(t.table == name and t.number and column in t.hides for t in dictionary().counts)


def test_places_that_each_hold_a_child_are_hidden_with_the_children():
    """Fewer than five children of four schools are four."""
    found = {f"{n}.{c}": (n, c) for n, c in beside(lambda u: u in ("schools", "cells", "aspects"))}
    related = found.keys() - UNRELATED
    assert len(related) > 4
    assert [name for name in sorted(related) if not is_hidden_with_a_count(*found[name])] == []


def test_what_one_costs_is_hidden_with_how_many_there_are():
    found = {f"{n}.{c}": (n, c) for n, c in beside(lambda unit: unit.startswith("agorot per"))}
    related = found.keys() - OF_ALL
    assert len(related) > 4
    assert [name for name in sorted(related) if not is_hidden_with_a_count(*found[name])] == []


def test_the_ends_of_a_share_say_no_more_than_the_share():
    """An interval made of the share as it was gives it back to all digits."""
    fields, checked = dictionary().fields, 0
    for rule in (r for r in dictionary().rounded if r.share_of):
        held = dictionary().tables[rule.table].columns
        for column in rule.columns:
            ends = [end for end in fields[column].interval if end in held]
            checked += bool(ends)
            assert {*ends} <= {*rule.ends[:2], *rule.columns}, f"{rule.table}.{column}"
    assert checked >= 4
