"""What the city has beyond its budget: cheaper options, only as far as its hours go (R79)."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from models.allocation import Problem, solve
from pipelines.decide.assets import asset_rules, uses, with_assets
from pipelines.settings.city import CityError
from pipelines.settings.policy import AssetUse

OPTION = ["semel_mosad", "response_id", "dose_level"]
CITED = {"source": "test", "reason": "test"}
USE = AssetUse.model_validate(
    {
        "hours": {"value": 1.5, "unit": "hours per week and participant", **CITED},
        "saves": {"value": 40, "unit": "percent", **CITED},
    }
)
PEOPLE = {"a": 10, "b": 20, "c": 7}


def city(**assets):
    return SimpleNamespace(policy=SimpleNamespace(assets=assets))


def inventory(school=None, places=20, free=1.0):
    rows = [("mentors", "חונכים", school, places, free)]
    names = ["asset_id", "asset_name_he", "semel_mosad", "capacity_pupils", "hours_free_per_week"]
    types = [pl.String, pl.String, pl.String, pl.Int32, pl.Float64]
    schema = dict(zip(names, types, strict=True))
    return {"mart_asset": pl.DataFrame(rows, schema=schema, orient="row")}


def choices(eligible="abc", hosted=""):
    """Three schools × two doses; `hosted` schools have a shared option only."""
    return pl.DataFrame(
        [
            (
                school,
                "tutoring",
                level,
                level / 2,
                n,
                school in eligible,
                1000,
                100,
                n * level,
                "z" if school in hosted else None,
            )
            for school, n in PEOPLE.items()
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
            "host_semel_mosad": pl.String,
        },
        orient="row",
    )


def priced(found):
    price = pl.col("fixed_agorot") + (
        pl.col("unit_agorot") * pl.col("participants") * pl.col("dose")
    ).cast(pl.Int64)
    return found.select(*OPTION, cost_agorot=price)


def problem(found, tables, budget=100_000):
    reasons = [pl.lit(None, pl.String).alias(f"eligibility_reason_{x}") for x in ("en", "he")]
    return Problem(
        schools=pl.DataFrame(
            {
                "semel_mosad": list(PEOPLE),
                "school_name_he": list(PEOPLE),
                "pupils": [100] * 3,
                "need": [0.5] * 3,
            }
        ),
        options=found.with_columns(*reasons, is_excellence=pl.lit(False)),
        costs=priced(found).select(
            *OPTION, funding_channel=pl.lit("own"), amount_agorot="cost_agorot"
        ),
        channels=pl.DataFrame({"funding_channel": ["own"], "budget_agorot": [budget]}),
        school_channels=pl.DataFrame(
            schema={
                "funding_channel": pl.String,
                "semel_mosad": pl.String,
                "budget_agorot": pl.Int64,
            }
        ),
        rules=asset_rules(tables, found),
    )


def test_without_assets_the_options_are_as_before():
    found = with_assets(city(), inventory(), choices())
    assert found.drop("asset_id", "asset_hours").equals(choices())
    assert found["asset_id"].null_count() == found.height
    assert asset_rules(inventory(), found) == ()


def test_the_asset_spares_its_share_of_the_cost_per_participant_and_takes_its_hours():
    found = with_assets(city(mentors={"tutoring": USE}), inventory(), choices())
    leant = found.drop_nulls("asset_id")
    assert leant["unit_agorot"].unique().to_list() == [60]
    assert leant["fixed_agorot"].unique().to_list() == [1000]
    expected = [
        ("a", 0.5, 8),
        ("a", 1.0, 15),
        ("b", 0.5, 15),
        ("b", 1.0, 30),
        ("c", 0.5, 6),
        ("c", 1.0, 11),
    ]
    assert leant.select("semel_mosad", "dose", "asset_hours").rows() == expected
    assert not found.select(OPTION).is_duplicated().any()


def test_only_who_is_eligible_by_itself_and_where_the_asset_can_serve():
    uses_of = city(mentors={"tutoring": USE})
    found = with_assets(uses_of, inventory(), choices(eligible="ab", hosted="b"))
    assert set(found.drop_nulls("asset_id")["semel_mosad"]) == {"a"}
    found = with_assets(uses_of, inventory(school="c"), choices())
    assert set(found.drop_nulls("asset_id")["semel_mosad"]) == {"c"}


def test_the_plan_leans_on_the_asset_as_far_as_its_hours_go():
    tables = inventory(places=20, free=1.0)
    found = with_assets(city(mentors={"tutoring": USE}), tables, choices())
    posed = problem(found, tables)
    plan = solve(posed, gap_pct=0)
    # Money is plenty, so everyone gets the full dose; of equal worth the cheaper plan is taken:
    # 20 hours are enough for a (15, saving 400), or for b at half dose only, which is worth less.
    held = plan.lines.join(found, on=OPTION).sort("semel_mosad")
    assert held["dose"].to_list() == [1.0, 1.0, 1.0]
    assert held["asset_id"].to_list() == ["mentors", None, None]
    rule = plan.rules.filter(pl.col("rule_id") == "asset_hours:mentors").row(0, named=True)
    assert rule["is_satisfied"]
    told = uses(tables, found, priced(found), plan.lines).row(0, named=True)
    assert told == {
        "asset_id": "mentors",
        "response_id": "tutoring",
        "schools": 1,
        "participants": 10,
        "asset_hours": 15,
        "asset_saving_agorot": 400,
        "asset_name_he": "חונכים",
        "asset_hours_free": 20,
    }


def test_an_asset_that_the_plan_leaves_is_told_too():
    tables = inventory(places=1, free=1.0)
    found = with_assets(city(mentors={"tutoring": USE}), tables, choices())
    plan = solve(problem(found, tables), gap_pct=0)
    told = uses(tables, found, priced(found), plan.lines).row(0, named=True)
    assert (told["schools"], told["asset_hours"], told["asset_hours_free"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("asset", "places", "said"), [("pool", 20, "no 'pool'"), ("mentors", None, "capacity_pupils")]
)
def test_what_the_inventory_does_not_know_is_refused(asset, places, said):
    with pytest.raises(CityError, match=said):
        with_assets(city(**{asset: {"tutoring": USE}}), inventory(places=places), choices())
