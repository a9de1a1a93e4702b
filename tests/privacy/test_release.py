"""A published city attacked with plain arithmetic, which knows nothing of the engine."""

import stat
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.publish.marts import read_database

FEW = range(1, 5)
FACES = ("committee", "analyst")


@pytest.fixture(scope="module")
def true(published):
    """The marts of the run as the warehouse holds them."""
    path = published.workspace().warehouse_path
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart'"
        ).fetchall()
        return {name: connection.sql(f"SELECT * FROM mart.{name}").pl() for (name,) in names}


@pytest.fixture(scope="module", params=FACES)
def shown(request, published):
    return read_database(published.current / request.param / "tikkun.duckdb")


def beside(true, shown, mart, key, column):
    """What is true of a column, beside what is shown of it."""
    return (
        true[mart]
        .select(*key, true=column)
        .join(shown[mart].select(*key, shown=column), on=list(key), nulls_equal=True)
    )


@pytest.mark.parametrize(
    ("mart", "key", "count", "of"),
    [
        (
            "mart_pupil_share",
            ("share_id", "place", "group_id", "school_year"),
            "case_pupils",
            "pupils",
        ),
        (
            "mart_response_group",
            ("semel_mosad", "response_id", "group_id"),
            "participants",
            "group_pupils",
        ),
        (
            "mart_climate",
            ("semel_mosad", "school_year", "grade", "facet"),
            "respondents",
            "eligible_pupils",
        ),
    ],
)
def test_no_few_children_are_shown_nor_who_is_left(true, shown, mart, key, count, of):
    counts = beside(true, shown, mart, key, count)
    assert counts.filter(pl.col("true").is_in(FEW), pl.col("shown").is_not_null()).is_empty()
    wholes = beside(true, shown, mart, key, of).rename({"true": "whole", "shown": "whole_shown"})
    left = counts.join(wholes, on=list(key)).filter((pl.col("whole") - pl.col("true")).is_in(FEW))
    assert left.filter(
        pl.col("shown").is_not_null() & pl.col("whole_shown").is_not_null()
    ).is_empty()


def test_all_less_the_shown_is_no_hidden_count(true, shown):
    """Every sum of which one part is hidden: schools of the city, groups of a dimension."""
    dimension = shown["mart_group"].select("group_id", "group_dimension")
    shares = beside(
        true,
        shown,
        "mart_pupil_share",
        ("share_id", "place", "group_id", "school_year"),
        "case_pupils",
    )
    schools = shares.filter(group_id="all").select(
        "share_id", "school_year", "place", "true", "shown"
    )
    whole = schools.filter(place="city").drop("place").rename({"true": "all", "shown": "told"})
    parts = schools.filter(pl.col("place") != "city")
    single_part(parts.join(whole, on=["share_id", "school_year"]), ["share_id", "school_year"])
    key = ("semel_mosad", "response_id", "group_id")
    groups = beside(true, shown, "mart_response_group", key, "participants")
    whole = groups.filter(group_id="all").drop("group_id").rename({"true": "all", "shown": "told"})
    parts = groups.join(dimension, on="group_id")
    by = ["semel_mosad", "response_id", "group_dimension"]
    single_part(parts.join(whole, on=["semel_mosad", "response_id"]), by)


def test_a_stream_less_its_schools_is_no_hidden_count(true, shown):
    key = ("share_id", "place", "group_id", "school_year")
    shares = beside(true, shown, "mart_pupil_share", key, "case_pupils")
    schools = shown["mart_need_index"].select("stream", place="semel_mosad")
    parts = shares.filter(group_id="all").join(schools, on="place")
    whole = shares.filter(place="city").select(
        "share_id", "school_year", all="true", told="shown", stream="group_id"
    )
    by = ["share_id", "school_year", "stream"]
    rows = parts.join(whole, on=by)
    assert rows.select(by).n_unique() > 10
    single_part(rows, by)


def single_part(rows, by):
    """Where the parts make the whole and it is told, no count is the only one hidden; and of two
    that are hidden neither can be told from their sum.
    """
    sums = (
        rows.group_by(by)
        .agg(
            pl.col("true").sum().alias("sum"),
            pl.col("all").first(),
            pl.col("told").first(),
            pl.col("shown").is_null().sum().alias("hidden"),
            pl.col("true").filter(pl.col("shown").is_null()).sum().alias("hidden_sum"),
        )
        .filter(pl.col("sum") == pl.col("all"), pl.col("told").is_not_null(), pl.col("hidden") > 0)
    )
    assert sums.filter(pl.col("hidden") == 1).is_empty()
    # Two counts of at least one each may be split in hidden_sum - 1 ways.
    assert sums.filter(pl.col("hidden") == 2, pl.col("hidden_sum") - 1 < 4).is_empty()


def test_a_share_of_some_years_gives_back_no_year(true, shown):
    """The share of the window times its n, less the years that are shown."""
    city = shown["mart_city"].row(0, named=True)
    inside = pl.col("school_year").is_between(city["window_first_year"], city["window_last_year"])
    years = beside(
        true,
        shown,
        "mart_pupil_share",
        ("share_id", "place", "group_id", "school_year"),
        "case_pupils",
    ).filter(inside, group_id="all")
    whole = shown["mart_need_indicator"].select(
        "indicator_value", "indicator_n", place="semel_mosad", share_id="indicator_id"
    )
    rest = (
        years.group_by("share_id", "place")
        .agg(
            pl.col("shown").is_null().sum().alias("hidden"),
            pl.col("shown").sum().alias("known"),
            pl.col("true").filter(pl.col("shown").is_null()).sum().alias("unknown"),
        )
        .filter(pl.col("hidden") == 1)
        .join(whole, on=["share_id", "place"])
        .drop_nulls("indicator_value")
    )
    found = (rest["indicator_value"] * rest["indicator_n"] / 100 - rest["known"]).round()
    # A rounded share may happen to hit; it may not hit as a rule.
    hits = (found == rest["unknown"]).sum()
    assert hits <= 0.4 * max(rest.height, 3)


def test_answers_shown_as_a_share_leave_no_few_who_gave_them(true, shown):
    """A share of few is told as the middle of its band, whatever their number, or not at all."""
    key = ["semel_mosad", "school_year", "grade", "facet"]
    exact = true["mart_climate"].select(*key, true_pct="agree_pct")
    rows = (
        shown["mart_climate"]
        .drop_nulls(["agree_pct", "respondents"])
        .join(exact, on=key, nulls_equal=True)
        .with_columns(
            few=pl.min_horizontal("true_pct", 100 - pl.col("true_pct"))
            .mul(pl.col("respondents") / 100)
            .round()
            .cast(pl.Int32)
        )
    )
    middle = 50 * FEW.stop / pl.col("respondents")
    is_low = pl.col("true_pct") < 50
    band = pl.when(is_low).then(middle).otherwise(100 - middle)
    of_few = rows.filter(pl.col("few").is_in(FEW)).with_columns(
        off=(pl.col("agree_pct") - band).abs()
    )
    assert of_few.height > 0
    assert of_few["off"].max() < 1e-6
    assert of_few["few"].n_unique() > 1


def test_who_was_not_tested_is_not_read_off_the_share(true, shown):
    """Tests sat and their share of those listed: how many were not sat, to within one."""
    key = ["semel_mosad", "subject", "grade", "school_year", "scale_id"]
    rows = (
        true["mart_gap_school_subject"]
        .select(*key, "tested_pupils", share="tested_share_pct")
        .join(shown["mart_gap_school_subject"].select(*key, "tested_share_pct"), on=key)
    )
    rows = rows.drop_nulls().filter(pl.col("tested_share_pct") > 0)
    tested = rows["tested_pupils"]
    untested = (100 * tested / rows["share"] - tested).round()
    found = (100 * tested / rows["tested_share_pct"] - tested).round()
    few = untested.is_between(1, 4)
    near = ((found - untested).abs() <= 1) & few
    certain = near & found.is_between(1, 4)
    # A coarse share says 100, or a step below it: it is right about few by luck alone.
    assert few.sum() > 20
    assert certain.sum() < 0.5 * few.sum()


def test_most_of_what_was_shown_stays_shown(true, shown):
    cells = kept = 0
    for mart, frame in shown.items():
        if mart not in true:
            continue
        for column in (c for c in frame.columns if c in true[mart].columns):
            cells += frame.height - true[mart][column].null_count()
            kept += frame.height - frame[column].null_count()
    assert kept / cells > 0.95


def test_the_analyst_is_told_what_was_hidden_and_why(true, published):
    shown = read_database(published.current / "analyst" / "tikkun.duckdb")
    told = shown["mart_suppressed"]
    assert {"few_children", "would_be_found", "rounded"} <= set(told["suppression_reason"])
    hidden = told.filter(pl.col("suppression_reason") != "rounded", pl.col("table_name") != "all")
    by_column = hidden.group_by("table_name", "published_column").agg(
        pl.col("suppressed_cells").sum()
    )
    for mart, column, cells in by_column.iter_rows():
        now, was = shown[mart][column].null_count(), true[mart][column].null_count()
        assert now - was == cells, (mart, column)
    assert "mart_suppressed" not in read_database(published.current / "committee" / "tikkun.duckdb")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_tells_of_pupils_is_its_owners_alone(published):
    space = published.workspace()
    assert mode(space.warehouse_path) == 0o600
    history_folder = Path(published.env["DAGSTER_HOME"])
    archives = list(space.warehouse_path.parent.rglob("*.arrow"))
    of_analysts = [p for p in (published.current / "analyst").rglob("*") if p.is_file()]
    history = [p for p in history_folder.rglob("*") if p.suffix in (".db", ".out", ".err")]
    assert any(p.name == "tikkun.duckdb" for p in of_analysts)
    for files in (archives, of_analysts, history):
        assert files
        assert {mode(path) for path in files} == {0o600}
    assert mode(published.current / "analyst") == mode(history_folder) == 0o700


def test_what_is_published_is_there_for_others_to_read(published):
    release = published.current.resolve()
    folders = [release, release.parent, release / "committee"]
    files = [release / "manifest.json", *(release / "committee").iterdir()]
    assert {mode(path) & 0o005 for path in folders} == {0o005}
    assert {mode(path) & 0o004 for path in files} == {0o004}
