"""Plans side by side, worked by hand (R98)."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.allocation.account.comparison import compare_plans

SCHOOLS = pl.DataFrame(
    {"semel_mosad": ["1", "2", "3"], "pupils": [100, 200, 100], "need": [0.9, 0.5, 0.1]}
)
SPREAD = pl.DataFrame({"response_id": ["a", "b"], "effect_se_sd": [0.1, 0.2]})
MEMBERS = pl.DataFrame(
    [
        ("stream", "x", "1", 1.0, 100),
        ("stream", "x", "2", 1.0, 200),
        ("stream", "y", "3", 1.0, 100),
        ("group", "g", "2", 0.25, 50),
    ],
    schema=["scenario_dimension", "division_id", "semel_mosad", "member_share", "member_pupils"],
    orient="row",
)
LINES = pl.DataFrame(
    [
        ("base", "1", "a", 2, 80, 1.0, 8.0, 1000, 400, 30),
        ("base", "1", "b", 1, 40, 0.6, 4.0, 500, 500, 0),
        ("base", "2", "a", 1, 100, 0.6, 6.0, 900, 100, 50),
        ("other", "1", "a", 1, 80, 0.6, 5.0, 700, 300, 10),
        ("other", "3", "b", 1, 50, 0.6, 3.0, 600, 600, 0),
    ],
    schema=[
        "scenario_id",
        "semel_mosad",
        "response_id",
        "dose_level",
        "participants",
        "benefit_share",
        "benefit_sd_pupils",
        "cost_agorot",
        "municipal_agorot",
        "parents_agorot",
    ],
    orient="row",
)
MONEY = ["cost_agorot", "municipal_agorot", "parents_agorot"]
Z = 1.6448536269514722


@pytest.fixture
def compared():
    return compare_plans(
        LINES, SCHOOLS, MEMBERS, SPREAD, plans=["base", "other", "empty"], base="base", seed=1
    )


def row(frame, **key):
    return frame.filter(**key).row(0, named=True)


def test_money_pupils_and_moves(compared):
    base, other = (row(compared.plans, scenario_id=name) for name in ("base", "other"))
    assert (
        base["cost_agorot"],
        base["municipal_agorot"],
        base["lines_count"],
        base["participants"],
    ) == (2400, 1000, 3, 220)
    # School 1: 80 and 40 places among 100 pupils are 80 to 100 pupils; school 2: 100.
    assert (base["reached_lo_pupils"], base["reached_hi_pupils"]) == (180, 200)
    assert (
        base["schools"],
        base["schools_without"],
        base["schools_moved"],
        base["pairs_changed"],
    ) == (3, 1, 0, 0)
    assert (other["cost_change_agorot"], other["municipal_change_agorot"]) == (-1100, -100)
    assert (
        other["schools_moved"],
        other["schools_gaining"],
        other["schools_losing"],
        other["gained_agorot"],
    ) == (3, 1, 2, 600)
    # One at another dose, two only in the base, one only here.
    assert other["pairs_changed"] == 4


def test_progress_and_its_error(compared):
    base, other = (row(compared.plans, scenario_id=name) for name in ("base", "other"))
    # Exposure: a 80 + 60 = 140, b 24; errors independent between responses.
    error = Z * ((140 * 0.1) ** 2 + (24 * 0.2) ** 2) ** 0.5
    assert base["benefit_sd_pupils"] == pytest.approx(18)
    assert base["benefit_hi_sd_pupils"] - 18 == pytest.approx(error)
    assert 18 - base["benefit_lo_sd_pupils"] == pytest.approx(error)
    # The difference: a 48 − 140, b 30 − 24; the same effects hold in both plans.
    change = Z * ((92 * 0.1) ** 2 + (6 * 0.2) ** 2) ** 0.5
    assert other["benefit_change_sd_pupils"] == pytest.approx(-10)
    assert other["benefit_change_hi_sd_pupils"] + 10 == pytest.approx(change)
    assert base["benefit_change_lo_sd_pupils"] == base["benefit_change_hi_sd_pupils"] == 0


def test_groups_add_up_to_the_plan(compared):
    streams = compared.groups.filter(scenario_dimension="stream", scenario_id="base")
    assert streams["cost_agorot"].sum() == 2400
    assert streams["benefit_sd_pupils"].sum() == pytest.approx(18)
    assert streams["benefit_share_pct"].sum() == pytest.approx(100)
    assert streams["pupils"].to_list() == [300, 100]
    group = row(compared.groups, scenario_dimension="group", scenario_id="base")
    # A quarter of school 2: of its 100 places and 6 SD × pupils; its money is the school's, not the
    # group's.
    assert (group["participants"], group["pupils"], group["cost_agorot"]) == (25, 50, None)
    assert group["benefit_sd_pupils"] == pytest.approx(1.5)
    gone = row(compared.groups, scenario_dimension="group", scenario_id="other")
    assert gone["benefit_change_sd_pupils"] == pytest.approx(-1.5)


def test_schools_and_responses(compared):
    school = row(compared.schools, scenario_id="other", semel_mosad="1")
    assert (school["cost_agorot"], school["cost_change_agorot"], school["money_direction"]) == (
        700,
        -800,
        "loses",
    )
    response = row(compared.responses, scenario_id="other", response_id="a")
    assert (
        response["schools_served"],
        response["schools_change"],
        response["cost_change_agorot"],
    ) == (1, -1, -1200)
    assert compared.responses.height == 6


def test_services_of_the_city_are_in_the_money_and_in_no_school():
    services = pl.DataFrame(
        [("base", "s", 9, 900, 300, 90), ("other", "s", 4, 400, 400, 0)],
        schema=["scenario_id", "response_id", "participants", *MONEY],
        orient="row",
    )
    with_them, without = (
        compare_plans(
            LINES, SCHOOLS, MEMBERS, SPREAD, plans=["base", "other"], base="base", seed=1, **more
        )
        for more in ({"services": services}, {})
    )
    base, other = (row(with_them.plans, scenario_id=name) for name in ("base", "other"))
    assert [base[name] for name in MONEY] == [3300, 1300, 170]
    assert (base["city_services_agorot"], other["city_services_agorot"]) == (900, 400)
    assert (other["cost_change_agorot"], other["parents_change_agorot"]) == (-1600, -160)
    assert base["participants"] == 220, "places of schools alone"
    line = row(with_them.responses, scenario_id="other", response_id="s")
    assert (line["participants"], line["cost_change_agorot"], line["schools_served"]) == (
        4,
        -500,
        0,
    )
    assert_frame_equal(with_them.schools, without.schools)
    assert_frame_equal(with_them.groups, without.groups)


def test_parents_are_told_of_whole_schools_only(compared):
    streams = compared.groups.filter(scenario_dimension="stream", scenario_id="base")
    assert streams["parents_agorot"].to_list() == [80, 0]
    group = row(compared.groups, scenario_dimension="group", scenario_id="base")
    assert group["parents_agorot"] is None


def test_a_plan_that_buys_nothing_has_no_indices(compared):
    empty = row(compared.plans, scenario_id="empty")
    assert (empty["cost_agorot"], empty["lines_count"], empty["schools_without"]) == (0, 0, 3)
    assert empty["concentration"] is None
    assert row(compared.plans, scenario_id="base")["concentration"] > 0


def test_the_order_of_rows_decides_nothing(compared):
    mixed = compare_plans(
        *(
            frame.sample(fraction=1, shuffle=True, seed=5)
            for frame in (LINES, SCHOOLS, MEMBERS, SPREAD)
        ),
        plans=["base", "other", "empty"],
        base="base",
        seed=1,
    )
    for name in ("plans", "groups", "schools", "responses"):
        assert_frame_equal(getattr(compared, name), getattr(mixed, name), check_exact=True)


def test_a_base_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="base plan"):
        compare_plans(LINES, SCHOOLS, MEMBERS, SPREAD, plans=["other"], base="base", seed=1)
