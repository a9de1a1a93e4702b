"""The real public data: a published allocation whose figures a direct computation repeats."""

from html import unescape
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
import yaml

from pipelines.definitions import CHAIN, all_years, build
from pipelines.publish.release import current_release
from pipelines.settings.workspace import Workspace
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.tables import asset_key
from tests.conftest import QUICK_ACCOUNT
from tests.runs import PROJECT


def run_city(folder, tmp, authority=None, up_to=None):
    """Run the chain for a copy of the real city's two files, perhaps for another authority or up to
    some tables.
    """
    city = tmp / "raw" / "ashkelon_public"
    city.mkdir(parents=True)
    for name in ("city.yaml", "policy.yaml"):
        (city / name).write_bytes((PROJECT / "data_raw" / "ashkelon_public" / name).read_bytes())
    with (city / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
    raw = yaml.safe_load((city / "city.yaml").read_text(encoding="utf-8"))
    raw["roots"] = [str(path) for path in sorted((folder / "israel").iterdir())]
    if authority:
        raw["city"]["authority"] = authority
    (city / "city.yaml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    space = Workspace(
        city_folder=str(city), marts_folder=str(tmp / "marts"), work_folder=str(tmp / "work")
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(space).resolve_job_def(CHAIN)
        wanted = up_to and sorted(
            dg.AssetSelection.assets(*map(asset_key, up_to))
            .upstream()
            .required_multi_asset_neighbors()
            .resolve(job.asset_layer.asset_graph)
        )
        result = job.execute_in_process(
            instance=instance,
            tags=all_years(space.city()),
            run_config={"loggers": {"progress": {}}},
            asset_selection=wanted,
        )
    assert result.success
    return space


@pytest.fixture(scope="module")
def ashkelon(shared_data, tmp_path_factory):
    return current_release(
        Path(run_city(shared_data, tmp_path_factory.mktemp("ashkelon")).marts_folder)
    )


def mart(release, name, audience="analyst"):
    return pl.read_parquet(release / audience / f"{name}.parquet")


@pytest.fixture(scope="module")
def meitzav(shared_data):
    folder = shared_data / "israel" / "rama_meitzav_scores_background"
    scores = pl.read_csv(folder / "school_results.utf8.csv")
    background = pl.read_csv(folder / "school_background_info.utf8.csv")
    ours = background.filter(pl.col("rashut_teur") == "אשקלון")["semel_mosad"]
    # The same standardisation, written directly: within year × grade × subject over the country.
    cell = ["year", "shichva", "subject_id"]
    spread = scores.group_by(cell).agg(
        pl.col("score").mean().alias("mean"),
        pl.col("score").var().alias("var"),
        pl.col("score").count().alias("n"),
    )
    known = spread.filter(pl.col("n") >= 2)
    pooled = np.sqrt(((known["n"] - 1) * known["var"]).sum() / (known["n"] - 1).sum())
    return (
        scores.filter(pl.col("semel_mosad").is_in(ours.implode()))
        .join(known, on=cell)
        .with_columns(
            ((pl.col("mean") - pl.col("score")) / (100 * pl.col("var").sqrt() / pooled)).alias(
                "gap"
            )
        )
        .select(
            pl.col("semel_mosad").cast(pl.String),
            pl.col("year").alias("school_year"),
            pl.col("shichva").alias("grade"),
            pl.col("subject_id")
            .replace_strict(
                {"H": "hebrew", "M": "math", "E": "english", "S": "science", "A": "arabic"}
            )
            .alias("subject"),
            "score",
            "gap",
        )
    )


def test_thirty_four_schools_have_scores(ashkelon):
    gaps = mart(ashkelon, "mart_gap_school_subject")
    assert gaps["semel_mosad"].n_unique() == 34
    assert gaps.height == 281
    assert gaps.filter(~pl.col("is_measured")).height == 1


def test_raw_gaps_equal_the_direct_computation(ashkelon, meitzav):
    gaps = mart(ashkelon, "mart_gap_school_subject").with_columns(
        pl.col("school_year", "grade").cast(pl.Int64)
    )
    both = gaps.join(
        meitzav, on=["semel_mosad", "school_year", "grade", "subject"], how="full", coalesce=True
    )
    assert both.height == 281
    np.testing.assert_allclose(
        both["actual_value"].fill_null(0), both["score"].fill_null(0), atol=1e-9
    )
    np.testing.assert_allclose(both["gap_raw_sd"].fill_null(0), both["gap"].fill_null(0), atol=1e-9)


def test_the_plan_covers_the_regular_elementary_schools(ashkelon, shared_data):
    budget = pl.read_csv(
        shared_data / "israel" / "moe_school_budget_2014_15" / "budget_clean.csv",
        infer_schema_length=None,
    )
    plan = budget.filter(
        pl.col("authority_name") == "אשקלון",
        pl.col("education_stage") == "יסודי בלבד",
        pl.col("education_type") == "רגיל",
    )
    need = mart(ashkelon, "mart_need_index")
    assert set(need["semel_mosad"]) == set(plan["semel"].cast(pl.String)) - {""}
    assert need["pupils"].sum() == plan["students_regular"].sum() == 11_028
    totals = {
        (r["scope"], r["stream"]): r["pupils"]
        for r in mart(ashkelon, "mart_pupil_total").to_dicts()
    }
    assert totals["all", "total"] == 11_028
    assert totals["official", "total"] + totals["unofficial", "total"] == 11_028


def test_money_stays_within_the_envelope_and_adds_up(ashkelon):
    policy = yaml.safe_load((ashkelon / "analyst" / "policy.yaml").read_text(encoding="utf-8"))
    envelope = round(100 * policy["channels"]["municipal_own"]["budget"]["value"])
    money = mart(ashkelon, "mart_allocation_money")
    assert (
        0
        < money.filter(pl.col("funding_channel") == "municipal_own")["amount_agorot"].sum()
        <= envelope
    )
    assert money["amount_agorot"].sum() == mart(ashkelon, "mart_allocation")["cost_agorot"].sum()
    assert mart(ashkelon, "mart_allocation_formula")["formula_agorot"].sum() == envelope
    assert mart(ashkelon, "mart_allocation_certificate")["optimality_gap_pct"].item() <= 0.01
    eligible = (
        mart(ashkelon, "mart_response_map")
        .filter("is_eligible")
        .select("semel_mosad", "response_id")
    )
    assert (
        mart(ashkelon, "mart_allocation")
        .join(eligible, on=["semel_mosad", "response_id"], how="anti")
        .is_empty()
    )


def test_what_is_missing_is_named_beside_what_it_weakens(ashkelon):
    items = {row["item_id"]: row for row in mart(ashkelon, "mart_not_measured").to_dicts()}
    for item in (
        "participation",
        "attendance",
        "climate",
        "indicator.overt_dropout",
        "tested_pupils",
        "local_effects",
    ):
        assert items[item]["schools_not_measured"] > 0
        assert "mart_allocation" in items[item]["weakens"] or item == "tested_pupils"
    assert not mart(ashkelon, "mart_effect")["is_measured"].any()
    sides = mart(ashkelon, "mart_effect_side")
    assert sides.height > 20
    assert not sides["is_measured"].any()
    assert (
        sides.select("local_sd", "local_lo_sd", "designs").null_count().row(0)
        == (sides.height,) * 3
    )
    assert (sides["effect_sd"] == sides["literature_sd"]).all()
    assert (sides["effect_lo_sd"] - sides["literature_lo_sd"]).abs().max() < 1e-9
    responses = (ashkelon / "committee" / "responses.html").read_text(encoding="utf-8")
    said = "אין אומדן מקומי, ולכן האומדן המשולב שווה לספרות לאחר הפחתה"
    assert responses.count(said) == sides["response_id"].n_unique()
    assert mart(ashkelon, "mart_need_index")["measured_weight_pct"].max() == 85
    report = (ashkelon / "committee" / "report.html").read_text(encoding="utf-8")
    assert "2017" in report
    assert report.count("מה מחליש את התוצאה הזאת") >= 4
    assert "נתונים סינתטיים" not in report


def test_schools_without_scores_are_not_measured_but_planned_for(ashkelon):
    schools = mart(ashkelon, "mart_need_index")
    gaps = mart(ashkelon, "mart_gap_school").filter(pl.col("subject") == "all")
    unmeasured = schools.join(gaps.filter(~pl.col("is_measured")), on="semel_mosad", how="semi")
    assert unmeasured.height >= 5
    measured = schools.join(unmeasured, on="semel_mosad", how="anti")
    width = (pl.col("need_hi") - pl.col("need_lo")).mean()
    assert unmeasured.select(width).item() > 1.5 * measured.select(width).item()
    # Silence puts nobody first: their places may be almost any, and none of them is in front.
    first = schools.sort("need", descending=True).head(5)
    assert first.join(unmeasured, on="semel_mosad").is_empty()
    report = (ashkelon / "committee" / "report.html").read_text(encoding="utf-8")
    named = unescape(report.partition("לא נמדדה אף תוצאה")[2].partition("</p>")[0])
    assert all(name in named for name in unmeasured["school_name_he"])


def planned_as_reported(shared_data, authority, need, not_measured, plan):
    """All elementary schools of the authority's budget are planned for, those too that nothing is
    known of.
    """
    budget = pl.read_csv(
        shared_data / "israel" / "moe_school_budget_2014_15" / "budget_clean.csv",
        infer_schema_length=None,
    )
    elementary = budget.filter(
        pl.col("authority_name") == authority,
        pl.col("education_stage") == "יסודי בלבד",
        pl.col("education_type") == "רגיל",
        pl.col("students_regular") > 0,
    )
    assert need.height == elementary.height > 20
    unknown = not_measured.filter(pl.col("item_id") == "schools_without_outcome")
    assert unknown["schools_not_measured"].sum() == need["outcome_need"].null_count()
    assert plan["cost_agorot"].sum() > 0


MADE = ("mart_need_index", "mart_not_measured", "mart_allocation")


def test_another_authority_by_one_line(shared_data, tmp_path):
    """Up to the plan; that it is published too is a matter of validation (below)."""
    space = run_city(shared_data, tmp_path, "באר שבע", MADE)
    tables = Warehouse(path=str(space.warehouse_path)).tables(MADE)
    planned_as_reported(shared_data, "באר שבע", *(tables[name] for name in MADE))


@pytest.mark.slow
def test_another_authority_is_published(shared_data, tmp_path):
    release = current_release(Path(run_city(shared_data, tmp_path, "נתניה").marts_folder))
    planned_as_reported(shared_data, "נתניה", *(mart(release, name) for name in MADE))
