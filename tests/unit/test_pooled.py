"""Shared responses: one fixed cost, split to the agora, for all schools or none (R87)."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.decide.pooled import together, with_pooled

FIXED, UNIT, TRAVEL = 1_000_001, 50_000, 300


def city(is_offered):
    pooling = None if is_offered is None else SimpleNamespace(value=is_offered)
    return SimpleNamespace(
        policy=SimpleNamespace(
            rules=SimpleNamespace(pooling=pooling),
            response_map=SimpleNamespace(
                pooling=SimpleNamespace(travel_cost=SimpleNamespace(value=TRAVEL))
            ),
        )
    )


def choices(eligible="abc"):
    """Three schools × two doses of one response."""
    people = {"a": 10, "b": 20, "c": 7}
    return pl.DataFrame(
        [
            (
                school,
                "tutoring",
                level,
                level / 2,
                n,
                school in eligible,
                FIXED,
                UNIT,
                n * level / 10,
            )
            for school, n in people.items()
            for level in (1, 2)
        ],
        schema={
            "semel_mosad": pl.String,
            "response_id": pl.String,
            "dose_level": pl.Int32,
            "dose": pl.Float64,
            "participants": pl.Int32,
            "is_eligible": pl.Boolean,
            "fixed_agorot": pl.Int64,
            "unit_agorot": pl.Int64,
            "benefit_sd_pupils": pl.Float64,
        },
        orient="row",
    )


def tables(kind="near"):
    """Schools a and b could share, b being the host; c stands alone."""
    return {
        "mart_pooling_set": pl.DataFrame(
            {"response_id": ["tutoring"], "host_semel_mosad": ["b"], "pooling_kind": [kind]}
        ),
        "mart_pooling_school": pl.DataFrame(
            {
                "response_id": ["tutoring"] * 2,
                "host_semel_mosad": ["b"] * 2,
                "semel_mosad": ["a", "b"],
                "is_host": [False, True],
            }
        ),
    }


@pytest.mark.parametrize("is_offered", [None, False])
def test_what_is_not_offered_is_no_option(is_offered):
    found = with_pooled(city(is_offered), tables(), choices())
    assert found.drop("host_semel_mosad").equals(choices())
    assert together(found) == ()


def test_the_fixed_cost_is_paid_once_and_split_to_the_agora():
    pooled = with_pooled(city(True), tables(), choices()).drop_nulls("host_semel_mosad")
    assert set(pooled["semel_mosad"]) == {"a", "b"}
    for _, own in pooled.group_by("dose_level"):
        assert own["fixed_agorot"].sum() == FIXED
    assert pooled.filter(semel_mosad="a")["fixed_agorot"].unique().to_list() == [333_334]


def test_dose_people_and_benefit_are_those_of_the_school_by_itself():
    found = with_pooled(city(True), tables(), choices())
    same = ["semel_mosad", "response_id", "dose", "participants", "benefit_sd_pupils"]
    pooled = found.drop_nulls("host_semel_mosad")
    assert pooled["dose_level"].unique().sort().to_list() == [3, 4]
    assert pooled.select(same).join(choices().select(same), on=same, how="anti").is_empty()


@pytest.mark.parametrize(("kind", "way"), [("near", 100 * TRAVEL), ("profile", 0)])
def test_only_who_travels_pays_the_way(kind, way):
    pooled = with_pooled(city(True), tables(kind), choices()).drop_nulls("host_semel_mosad")
    unit = dict(pooled.select("semel_mosad", "unit_agorot").unique().iter_rows())
    assert unit == {"a": UNIT + way, "b": UNIT}


def test_a_set_with_a_school_that_is_not_eligible_is_none():
    found = with_pooled(city(True), tables(), choices(eligible="bc"))
    assert found["host_semel_mosad"].null_count() == found.height


def test_each_dose_of_a_set_is_one_decision():
    (rule,) = together(with_pooled(city(True), tables(), choices()))
    assert rule.sets == tuple(
        (("a", "tutoring", level), ("b", "tutoring", level)) for level in (3, 4)
    )
