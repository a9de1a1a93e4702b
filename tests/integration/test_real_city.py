"""The real public data: a published allocation whose figures a direct computation repeats."""

import json
import re
import shutil
from html import unescape

import dagster as dg
import duckdb
import numpy as np
import polars as pl
import pytest
import yaml

from pipelines.commands.run import _reason
from pipelines.definitions import CHAIN, all_years, build
from pipelines.publish.release import current_release
from pipelines.settings.workspace import Workspace
from pipelines.warehouse.database import LAYERS
from tests.conftest import QUICK_ACCOUNT
from tests.runs import PROJECT, run_of


def city_of(folder, authority=None):
    """Copy the real city's two files, perhaps with another authority in its one line."""
    city = folder / "ashkelon_public"
    shutil.copytree(PROJECT / "data_raw" / "ashkelon_public", city)
    with (city / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
    if authority:
        text = (city / "city.yaml").read_text(encoding="utf-8")
        changed = text.replace("authority: אשקלון\n", f"authority: {json.dumps(authority)}\n")
        assert changed != text
        (city / "city.yaml").write_text(changed, encoding="utf-8")
    return city


@pytest.fixture(scope="module")
def ran(shared_data, tmp_path_factory):
    run = run_of(city_of(tmp_path_factory.mktemp("ashkelon")))
    assert run.code == 0, run.said
    return run.place


@pytest.fixture(scope="module")
def ashkelon(ran):
    return ran.current


def mart_names(release):
    return sorted(path.stem for path in (release / "analyst").glob("mart_*.parquet"))


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


@pytest.fixture(scope="module")
def plan(shared_data):
    """The schools that the plan counts, by the register."""
    return elementary(shared_data, "אשקלון")


def elementary(shared_data, authority):
    """The regular elementary schools of an authority that have pupils.

    A school is the authority's if either national register says so.
    """
    budget = pl.read_csv(
        shared_data / "israel" / "moe_school_budget_2014_15" / "budget_clean.csv",
        infer_schema_length=None,
    )
    background = pl.read_csv(
        shared_data / "israel" / "rama_meitzav_scores_background" / "school_background_info.csv",
        encoding="cp1255",
        infer_schema=False,
    )
    named = background.filter(rashut_teur=authority)["semel_mosad"].cast(pl.Int64).to_list()
    return budget.filter(
        (pl.col("authority_name") == authority) | pl.col("semel").is_in(named),
        pl.col("education_stage") == "יסודי בלבד",
        pl.col("education_type") == "רגיל",
        pl.col("students_regular") > 0,
    ).select(pl.col("semel").cast(pl.String).alias("semel_mosad"), "students_regular")


def test_only_schools_of_the_plan_are_counted(ashkelon, meitzav, plan):
    """Nine schools of other stages have scores too; they enter no gap, count or denominator."""
    counted = meitzav.join(plan, on="semel_mosad", how="semi")
    assert meitzav["semel_mosad"].n_unique() - counted["semel_mosad"].n_unique() == 9
    cells = mart(ashkelon, "mart_gap_school_subject")
    assert cells.height == counted.height
    assert cells["semel_mosad"].n_unique() == 25
    gaps = mart(ashkelon, "mart_gap_school")
    assert set(gaps["semel_mosad"]) == set(plan["semel_mosad"])
    pairs = gaps.filter(pl.col("subject") != "all", pl.col("is_measured"))
    assert pairs.height == 74
    city = mart(ashkelon, "mart_gap_city").filter(pl.col("subject") != "all")
    assert city["schools_measured"].sum() == 74
    others = mart(ashkelon, "mart_not_measured").filter(item_id="schools_not_counted")
    assert others["schools_not_measured"].item() > 9
    for name in mart_names(ashkelon):
        frame = mart(ashkelon, name)
        if {"schools", "schools_measured"} <= set(frame.columns):
            assert (frame["schools_measured"] <= frame["schools"]).all(), name
        if "semel_mosad" in frame.columns and name != "mart_school_money":
            assert set(frame["semel_mosad"].drop_nulls()) <= set(plan["semel_mosad"]), name


def test_raw_gaps_equal_the_direct_computation(ashkelon, meitzav, plan):
    gaps = mart(ashkelon, "mart_gap_school_subject").with_columns(
        pl.col("school_year", "grade").cast(pl.Int64)
    )
    counted = meitzav.join(plan, on="semel_mosad", how="semi")
    both = gaps.join(
        counted, on=["semel_mosad", "school_year", "grade", "subject"], how="full", coalesce=True
    )
    assert both.height == gaps.height
    np.testing.assert_allclose(
        both["actual_value"].fill_null(0), both["score"].fill_null(0), atol=1e-9
    )
    np.testing.assert_allclose(both["gap_raw_sd"].fill_null(0), both["gap"].fill_null(0), atol=1e-9)


def test_the_plan_covers_the_regular_elementary_schools(ashkelon, plan):
    need = mart(ashkelon, "mart_need_index")
    assert set(need["semel_mosad"]) == set(plan["semel_mosad"])
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
    told = mart(ashkelon, "mart_allocation_certificate").row(0, named=True)
    assert told["optimality_gap_pct"] <= 0.01 + told["fair_band_pct"]  # both together are told
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
    responses = (ashkelon / "committee" / "annex/responses.html").read_text(encoding="utf-8")
    said = "אין אומדן מקומי, ולכן האומדן המשולב שווה לספרות לאחר הפחתה"
    assert responses.count(said) == sides["response_id"].n_unique()
    assert mart(ashkelon, "mart_need_index")["measured_weight_pct"].max() == 85
    report = (ashkelon / "committee" / "annex/report.html").read_text(encoding="utf-8")
    assert "2017" in report
    assert report.count("מה מחליש את התוצאה הזאת") >= 4
    assert "נתונים סינתטיים" not in report


def test_where_nobody_spoke_the_release_says_so(ashkelon):
    items = set(mart(ashkelon, "mart_not_measured")["item_id"])
    absent = {"cards", "considerations", "forms", "wheel", "practices"}
    assert absent <= items
    for name in (
        "mart_voice_plan",
        "mart_voice_conflict",
        "mart_voice_family",
        "mart_acceptability",
    ):
        assert mart(ashkelon, name).is_empty()
    responses, allocation = (
        (ashkelon / "committee" / f"annex/{name}.html").read_text(encoding="utf-8")
        for name in ("responses", "allocation")
    )
    assert all(f'data-item="{item}"' in responses for item in absent)
    assert 'data-item="cards"' in allocation
    assert "mart_voice_conflict" not in set(mart(ashkelon, "mart_finding")["table_name"])


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
    report = (ashkelon / "committee" / "annex/report.html").read_text(encoding="utf-8")
    named = unescape(report.partition("לא נמדדה אף תוצאה")[2].partition("</p>")[0])
    assert all(name in named for name in unmeasured["school_name_he"])


def planned_or_answered(shared_data, authority, release, said):
    """Either all the authority's elementary schools are in a release, those too that nothing is
    known of; or what is said names the reason, in both languages.
    """
    if release is None:
        assert re.search("[א-ת]{2,} [א-ת]{2,}", said), said
        assert not re.search("Traceback|[A-Z][a-z]+Error", said), said
        return
    need, unmeasured = mart(release, "mart_need_index"), mart(release, "mart_not_measured")
    unknown = unmeasured.filter(pl.col("item_id") == "schools_without_outcome")
    planned = elementary(shared_data, authority)
    assert need.height == planned.height
    assert unknown["schools_not_measured"].sum() == need["outcome_need"].null_count()
    assert set(mart(release, "mart_gap_school")["semel_mosad"]) == set(planned["semel_mosad"])
    assert mart(release, "mart_allocation_money")["amount_agorot"].sum() >= 0


CHOSEN = 10
"""As many of the largest authorities as of the smallest; twice as many are drawn at random."""


@pytest.fixture(scope="module")
def authorities(shared_data):
    """The largest, the smallest and some drawn at random (seed 1), by pupils in the register."""
    register = pl.read_csv(
        shared_data / "israel" / "moe_school_budget_2014_15" / "budget_clean.csv",
        infer_schema_length=None,
    )
    sized = register.group_by("authority_name").agg(pl.col("students_regular").sum())
    names = sized.sort("students_regular", "authority_name", descending=True)["authority_name"]
    ends = [*names.head(CHOSEN), *names.tail(CHOSEN)]
    drawn = names.filter(~names.is_in(ends)).sample(2 * CHOSEN, seed=1)
    return [*ends, *drawn]


@pytest.fixture(scope="module")
def staged(ran, tmp_path_factory):
    """The warehouse of the run with the national files staged, which is the same for every
    authority, and nothing that is the city's own.
    """
    folder = tmp_path_factory.mktemp("staged")
    held = shutil.copy(ran.workspace().warehouse_path, folder)
    with duckdb.connect(held) as connection:
        for layer in set(LAYERS) - {"raw", "staging"}:
            connection.execute(f"DROP SCHEMA {layer} CASCADE")
    return folder


def published_for(authority, staged, folder):
    """The release of another authority, by its one line; or None, and all that is said."""
    shutil.copytree(staged, folder / "work")
    city = city_of(folder / "raw", authority)
    space = Workspace(
        city_folder=str(city), marts_folder=str(folder / "marts"), work_folder=str(folder / "work")
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(space).resolve_job_def(CHAIN)
        result = job.execute_in_process(
            instance=instance,
            tags=all_years(space.city()),
            run_config={"loggers": {"progress": {}}},
            asset_selection=[
                key
                for key in job.asset_layer.asset_graph.executable_asset_keys
                if key.path[0] not in ("raw", "staging")
            ],
            raise_on_error=False,
        )
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    release = current_release(folder / "marts") if result.success else None
    return release, " ".join(map(_reason, errors))


@pytest.mark.parametrize(
    ("authority", "schools"),
    [
        pytest.param("תמר", 1, marks=pytest.mark.slow),
        pytest.param("שדרות", 8, marks=pytest.mark.slow),
        ("מעלה אפרים", 0),
    ],
)
def test_another_authority_by_one_line(shared_data, staged, tmp_path, authority, schools):
    """One school; few of them; none of the plan's stage."""
    release, said = published_for(authority, staged, tmp_path)
    assert (release is not None) == (schools > 0), said
    planned_or_answered(shared_data, authority, release, said)
    if release:
        assert authority in mart(release, "mart_city")["city_name_he"].item()
        components = mart(release, "mart_gap_component")["component_sd"]
        measured = mart(release, "mart_gap_school").filter(pl.col("subject") == "all")
        assert components.is_null().all() == (measured["is_measured"].sum() < 6)
        assert measured.height == schools


@pytest.mark.slow
@pytest.mark.parametrize("place", range(4 * CHOSEN))
def test_any_authority_is_published_or_answered(shared_data, staged, authorities, tmp_path, place):
    authority = authorities[place]
    planned_or_answered(shared_data, authority, *published_for(authority, staged, tmp_path))
