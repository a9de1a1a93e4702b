"""The response map of the generated city against its files and its planted truth (R53–R56, R58,
R63).
"""

import duckdb
import polars as pl
import pytest

from pipelines.aim.tables import aim
from pipelines.decide import response_map
from pipelines.demo.write import write_city
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary
from pipelines.warehouse.checks import run_checks
from pipelines.warehouse.database import create_typed
from pipelines.warehouse.sql_tables import sql_tables
from pipelines.warehouse.suites import checks_of
from tests.made import made

YEAR = 2026
STAGED = {
    "stg_register__pupils": "pupils",
    "stg_programmes__delivery": "delivery",
    "stg_programmes__participation": "participation",
}
# In the order in which they are made.
MADE = (
    "core_pupil_group",
    "core_response_participant",
    "core_participation",
    "core_registry",
    "mart_response_group",
    "mart_response_map",
    "core_need_reach",
    "mart_over_coverage",
    "mart_response_overlap",
    "core_topic_reach",
    "mart_topic_aspect",
    "mart_topic",
)


@pytest.fixture(scope="module")
def city():
    return made(1)


@pytest.fixture(scope="module")
def folder(city, tmp_path_factory):
    """The city's two files as the demonstration writes them; its rows are not needed on disk."""
    path = tmp_path_factory.mktemp("map") / "demo_city"
    write_city(city, path)
    return load_city(path)


class Warehouse:
    """A database in memory with the project's own SQL over the generator's rows."""

    def __init__(self):
        self.connection = duckdb.connect()
        for layer in ("staging", "core", "mart"):
            self.connection.execute(f"CREATE SCHEMA {layer}")

    def put(self, name, frame):
        table = dictionary().tables[name]
        absent = [pl.lit(None).alias(c) for c in table.columns if c not in frame.columns]
        create_typed(self.connection, table, frame.with_columns(absent), f"{table.layer}.{name}")

    def make(self, name):
        sql = next(item for item in sql_tables() if item.table.name == name)
        for read in sql.reads:
            layer, table = read.split(".")
            columns = ", ".join(
                f"{c} {dictionary().fields[c].type}" for c in dictionary().tables[table].columns
            )
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {layer}.{table} ({columns})")
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {sql.table.layer}.{name} AS {sql.text} ORDER BY"
            f" {', '.join(sql.table.key)}"
        )

    def get(self, name):
        return self.connection.sql(f"SELECT * FROM {dictionary().tables[name].layer}.{name}").pl()


def build(city, folder, delivery=None, participation=None):
    """Make the map's tables from the generator's rows; other delivery or participation may be
    given.
    """
    house = Warehouse()
    policy = aim(
        folder,
        {name: response_map.nothing(name) for name in ("stg_aim__goals", "stg_aim__targets")},
    )
    tested = city.truth["true_gap_grade"].filter(
        pl.col("group_id") == "all", pl.col("school_year") == YEAR
    )
    cells = tested.with_columns(pl.lit(True).alias("is_measured"), tested_pupils="pupils")
    frames = {**policy, **response_map.frame(folder, {}), "core_gap_cell": cells}
    for name in (
        "core_city",
        "core_gap_cell",
        "core_response",
        "core_group",
        "core_parameter",
        "core_goal",
        "core_need",
        "core_need_answer",
        "core_topic_aspect",
        "core_topic_answer",
    ):
        house.put(name, frames[name])
    files = {name: city.files[f"{file}_{YEAR}.csv"] for name, file in STAGED.items()}
    files["stg_programmes__delivery"] = (
        files["stg_programmes__delivery"] if delivery is None else delivery
    )
    if participation is not None:
        files["stg_programmes__participation"] = participation
    for name, frame in files.items():
        house.put(name, frame.rename({"pupil_id": "pupil_hash"}, strict=False))
    schools = (
        city.files[f"schools_{YEAR}.xlsx"]
        .select(
            pl.col("סמל מוסד").alias("semel_mosad"),
            pl.col("מדד טיפוח").cast(pl.Float64).alias("nurture_index"),
            pl.col("תלמידים").alias("pupils"),
            pl.col("קואורדינטת מזרח").alias("location_east_m"),
            pl.col("קואורדינטת צפון").alias("location_north_m"),
            pl.lit(YEAR).alias("school_year"),
        )
        .join(city.truth["true_need"].select("semel_mosad", "stream"), on="semel_mosad")
    )
    house.put("core_school", schools.with_columns(pl.lit(True).alias("is_in_plan")))
    house.put("core_school_year", schools)
    house.put(
        "core_school_code",
        schools.select("semel_mosad", pl.col("semel_mosad").alias("semel_mosad_old")),
    )
    for name in MADE:
        house.make(name)
    return house


@pytest.fixture(scope="module")
def house(city, folder):
    return build(city, folder)


@pytest.fixture(scope="module")
def decided(city, folder, house):
    """The two steps over the true gaps of the last year, known to .05 SD."""
    true = city.truth["true_gap"].filter(pl.col("school_year") == YEAR)
    gaps = true.select(
        "semel_mosad",
        "subject",
        "group_id",
        pl.col("gap_reference_sd").alias("gap_sd"),
        pl.lit(0.05).alias("gap_se_sd"),
        (pl.col("gap_reference_sd") - 0.082).alias("gap_lo_sd"),
        (pl.col("gap_reference_sd") + 0.082).alias("gap_hi_sd"),
        (pl.col("gap_reference_sd") > 0.064).cast(pl.Float64).alias("p_below_target"),
        pl.lit(60).cast(pl.Int32).alias("tested_pupils"),
        pl.lit(True).alias("is_measured"),
    )
    need = city.truth["true_need"].join(house.get("core_school_year"), on="semel_mosad")
    tables = {
        name: house.get(name)
        for name in (
            "core_need",
            "core_need_answer",
            "core_need_reach",
            "core_response",
            "mart_response_map",
            "core_school",
            "core_school_year",
        )
    } | {
        "mart_gap_school": gaps.filter(pl.col("group_id") == "all"),
        "mart_gap_group_school": gaps.filter(pl.col("group_id") != "all"),
        "mart_need_indicator": pl.DataFrame(
            schema={
                "semel_mosad": pl.String,
                "indicator_id": pl.String,
                "is_measured": pl.Boolean,
                "indicator_value": pl.Float64,
                "indicator_need": pl.Float64,
                "p_need": pl.Float64,
                "indicator_n": pl.Int32,
            }
        ),
        # Need on [0, 1] in the order of the truth.
        "mart_need_index": need.select(
            "semel_mosad", "pupils", (1 - (pl.col("rank") - 0.5) / pl.len()).alias("need")
        ),
    }
    tables |= response_map.unmet(folder, tables)
    return tables | response_map.pooling(folder, tables)


def listed(city, **groups):
    """Count the participation file directly: school, response, participants of a group."""
    rows = city.files[f"participation_{YEAR}.csv"].filter(pl.col("dose") > 0)
    pupils = city.files[f"pupils_{YEAR}.csv"].drop("semel_mosad", "school_year")
    held = rows.join(pupils, on="pupil_id").filter(**groups)
    return held.group_by("semel_mosad", "response_id").agg(
        pl.len().cast(pl.Int32).alias("counted"), pl.col("dose").mean().alias("mean_dose")
    )


@pytest.mark.parametrize(
    ("group_id", "rule"),
    [
        ("all", {}),
        ("girls", {"sex": "f"}),
        ("gifted", {"is_gifted": True}),
        ("sen_integration", {"is_sen_integration": True}),
    ],
)
def test_cells_equal_the_participation_file(city, house, group_id, rule):
    cells = house.get("mart_response_group").filter(pl.col("group_id") == group_id)
    targeted = city.files[f"participation_{YEAR}.csv"]["response_id"].unique()
    own = cells.filter(pl.col("response_id").is_in(targeted.implode()))
    assert own.height == 36 * targeted.len()
    both = own.join(listed(city, **rule), on=["semel_mosad", "response_id"], how="left")
    assert (both["participants"] == both["counted"].fill_null(0)).all()
    assert both["is_measured"].all()
    doses = both.filter(pl.col("participants") > 0)
    assert (doses["dose"] - doses["mean_dose"]).abs().max() < 1e-9


def test_whole_schools_take_part_with_all_pupils_of_each_group(city, house):
    cells = house.get("mart_response_group").filter(pl.col("response_id") == "tikshuv")
    assert (cells["participants"] == cells["group_pupils"]).all()
    assert cells.filter(pl.col("group_id") == "all")["participants"].sum() == 14_054


def test_the_map_by_school_stays_what_it_was(city, house):
    served = house.get("mart_response_map").filter("is_served")
    counts = dict(served.group_by("response_id").len().iter_rows())
    assert {
        k: counts[k] for k in ("milat", "merchav", "rvadim", "icei", "makom_balev", "amirim")
    } == {
        "milat": 10,
        "merchav": 7,
        "rvadim": 9,
        "icei": 2,
        "makom_balev": 2,
        "amirim": 36,
    }


def test_the_nineteen_schools_eligible_for_milat_come_out(city, decided):
    found = decided["mart_unmet_need"].filter(pl.col("need_id") == "eligible_milat")
    without = found.filter(pl.col("need_coverage") == "no_response")
    assert without.height == 19
    # Where places were offered by lot or by score some declined: served, but below the need.
    below = found.filter(pl.col("need_coverage") == "below_need")
    assert below["semel_mosad"].sort().to_list() == ["900010", "900014"]
    assert found.height == without.height + below.height
    planted = city.truth["true_unmet_need"].filter(pl.col("response_id") == "milat")
    assert set(planted["semel_mosad"]) <= set(without["semel_mosad"])


def test_planted_needs_come_out_in_order_and_covered_ones_do_not(city, decided, house):
    unmet = decided["mart_unmet_need"].sort("unmet_order")
    # Science is a need without any registered response; whole-school literacy covers Hebrew in two
    # schools.
    science = unmet.filter(pl.col("need_id") == "gap_science")
    assert science.height > 5
    assert science["need_coverage"].unique().to_list() == ["no_response"]
    assert science["answers_he"].null_count() == science.height
    icei = (
        house.get("mart_response_map")
        .filter("is_served", pl.col("response_id") == "icei")
        .select("semel_mosad")
    )
    hebrew = unmet.filter(pl.col("need_id") == "gap_hebrew")
    assert hebrew.join(icei, on="semel_mosad").is_empty()
    assert not unmet["need_id"].is_in(["special_needs"]).any()  # the psychology service reaches all
    # Of one need, order follows need × pupils not reached, computed here from the truth.
    assert unmet["unmet_order"].to_list() == list(range(1, unmet.height + 1))
    truth = (
        city.truth["true_gap"]
        .filter(pl.col("school_year") == YEAR, pl.col("group_id") == "all")
        .join(science.select("semel_mosad", "subject"), on=["semel_mosad", "subject"])
        .join(
            decided["core_school_year"].select("semel_mosad", pl.col("pupils").alias("enrolled")),
            on="semel_mosad",
        )
    )
    worst = science.row(0, named=True)["semel_mosad"]
    gap, size = (
        truth.filter(pl.col("semel_mosad") == worst).select("gap_reference_sd", "enrolled").row(0)
    )
    dominated = truth.filter(pl.col("gap_reference_sd") > gap, pl.col("enrolled") > size)
    assert dominated.is_empty()


def test_removing_a_response_plants_an_unmet_need(city, folder, decided):
    """MILAT and all tutoring leave one school: its gap in mathematics turns into one without a
    response.
    """
    before = decided["mart_unmet_need"].filter(pl.col("need_id") == "gap_math")
    school = before.filter(pl.col("need_coverage") == "below_need").sort("unmet_order")[
        "semel_mosad"
    ][0]
    gone = (pl.col("semel_mosad") == school) & pl.col("response_id").is_in(
        ["milat", "rvadim", "posh", "perach"]
    )
    other = build(
        city,
        folder,
        delivery=city.files[f"delivery_{YEAR}.csv"].filter(~gone),
        participation=city.files[f"participation_{YEAR}.csv"].filter(~gone),
    )
    again = {
        name: other.get(name) if name.startswith(("core_need_reach", "mart_response")) else frame
        for name, frame in decided.items()
        if not name.startswith(("mart_unmet", "mart_pooling"))
    }
    after = response_map.unmet(folder, again)["mart_unmet_need"].filter(
        pl.col("need_id") == "gap_math", pl.col("semel_mosad") == school
    )
    was = before.filter(pl.col("semel_mosad") == school)
    assert after["need_coverage"].item() == "no_response"
    assert after["unmet_pupils"].item() == pytest.approx(
        was["unmet_pupils"].item() + was["participants_full"].item()
    )


def test_overlaps_equal_the_truth(city, house):
    planted = city.truth["true_overlap"].filter(pl.col("shared_pupils") > 0)
    found = house.get("mart_response_overlap")
    pairs = {
        frozenset((a, b)): n
        for a, b, n in planted.select("response_id", "response_id_b", "shared_pupils").rows()
    }
    assert {
        frozenset((a, b)): n
        for a, b, n in found.select("response_id", "other_response_id", "shared_pupils").rows()
    } == pairs


def test_five_topics(house):
    topics = house.get("mart_topic")
    assert topics["topic_id"].to_list() == [
        "digital_literacy",
        "gifted",
        "language",
        "other_skills",
        "special_education",
    ]
    assert (
        topics.filter(pl.col("topic_id") == "language")["topic_coverage"].item() == "partly_covered"
    )


def test_pooled_sets_keep_the_limits_of_the_policy(folder, decided):
    limits = folder.policy.response_map.pooling
    sets, members = decided["mart_pooling_set"], decided["mart_pooling_school"]
    assert sets.height > 3
    assert (sets["pooled_agorot"] < sets["separate_agorot"]).all()
    near = sets.filter(pl.col("pooling_kind") == "near")
    assert (near["host_distance"] <= limits.max_distance.value).all()
    assert (near["participants"] <= limits.max_participants.value).all()
    assert (sets["schools"] <= limits.max_schools.value).all()
    served = decided["mart_response_map"].filter("is_served")
    assert members.join(served, on=["semel_mosad", "response_id"]).is_empty()
    total = decided["mart_pooling"].drop_nulls("saving_agorot")["saving_agorot"].sum()
    assert total == sets["saving_agorot"].sum()


def test_without_any_report_nothing_is_measured(city, folder, decided):
    empty = build(
        city,
        folder,
        delivery=city.files[f"delivery_{YEAR}.csv"].clear(),
        participation=city.files[f"participation_{YEAR}.csv"].clear(),
    )
    cells = empty.get("mart_response_group")
    assert not cells["is_measured"].any()
    assert cells["participants"].null_count() == cells.height
    assert empty.get("mart_response_overlap").is_empty()
    over = empty.get("mart_over_coverage")
    assert over.height >= 36
    assert not over["is_measured"].any()
    assert over["several_pupils"].null_count() == over.height
    assert empty.get("mart_topic")["topic_coverage"].to_list() == ["not_measured"] * 5
    assert empty.get("mart_topic")["participants"].null_count() == 5
    tables = {
        name: empty.get(name) if name.startswith(("core_need_reach", "mart_response")) else frame
        for name, frame in decided.items()
        if not name.startswith(("mart_unmet", "mart_pooling"))
    }
    unmet = response_map.unmet(folder, tables)["mart_unmet_need"]
    assert unmet["need_coverage"].unique().to_list() == ["not_measured"]
    for column in ("unmet_pupils", "participants", "unmet_order"):
        assert unmet[column].null_count() == unmet.height
    pooled = response_map.pooling(folder, tables | {"mart_unmet_need": unmet})
    assert not pooled["mart_pooling"]["is_measured"].any()
    assert pooled["mart_pooling"]["schools_lacking"].null_count() == pooled["mart_pooling"].height
    assert pooled["mart_pooling_set"].is_empty()


def test_participation_without_an_assignment_is_a_warning(city, folder, house):
    table = dictionary().tables["core_participation"]

    def failing(own):
        results = run_checks(
            own.connection,
            table,
            "core.core_participation",
            [c for c in checks_of(table) if c.id in ("assignment", "list_agrees")],
        )
        return {r.check.id: (r.check.severity, r.failing_keys) for r in results if not r.is_passed}

    assert failing(house) == {}
    rows = city.files[f"participation_{YEAR}.csv"]
    one = rows.row(0, named=True)
    silent = rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.lit("unknown"))
        .otherwise("assignment_mechanism")
        .alias("assignment_mechanism")
    )
    keys = (f"{one['semel_mosad']}/{YEAR}/{one['response_id']}",)
    assert failing(build(city, folder, participation=silent)) == {"assignment": ("WARN", keys)}
    short = rows.filter(pl.int_range(pl.len()) != 0)
    assert failing(build(city, folder, participation=short)) == {"list_agrees": ("WARN", keys)}
