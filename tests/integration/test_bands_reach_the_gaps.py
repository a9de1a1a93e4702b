"""A school whose scores of a subject are not known, only its bands: from the SQL to the page."""

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.act.findings import _gaps as gap_sentence
from pipelines.act.not_measured import STEPS, not_measured
from pipelines.act.release import MARTS
from pipelines.diagnose.gaps import gaps
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.pages.diagnosis import render_diagnosis
from pipelines.settings.city import load_city
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.sql_tables import sql_tables

SUBJECT = "science"
ANEW = ("core_school_subject_year", "core_gap_cell", "core_band_cell")
READS = (
    "core_gap_cell",
    "core_band_cell",
    "core_school",
    "core_school_year",
    "core_scale_link",
    "core_city",
)
CONTEXT = ReportContext(
    city_name_he="עיר",
    is_synthetic=True,
    reference_year=2026,
    planning_year=2027,
    scope_he="כול",
    data_years_he="2022–2026",
    notes_he=(),
)


@pytest.fixture(scope="module")
def banded(published, tmp_path_factory):
    """The small city, and what is made of it once one school's science scores are gone."""
    folder = tmp_path_factory.mktemp("banded")
    file = next(Path(published.env["TIKKUN_WORK"]).rglob("warehouse.duckdb"))
    warehouse = Warehouse(path=str(shutil.copy(file, folder)))
    texts = {sql.table.name: sql.text for sql in sql_tables()}
    with duckdb.connect(warehouse.path) as connection:
        school = connection.execute(
            "SELECT semel_mosad FROM core.core_gap_cell WHERE subject = ? AND scale_id <> 'INT'"
            " GROUP BY 1 ORDER BY count(*) DESC, 1",
            [SUBJECT],
        ).fetchone()[0]
        connection.execute(
            "DELETE FROM staging.stg_tests__pupil_scores WHERE subject = ? AND semel_mosad = ?",
            [SUBJECT, school],
        )
        for name in ANEW:
            connection.execute(f"CREATE OR REPLACE TABLE core.{name} AS {texts[name]}")
    city = load_city(published.raw)
    given = warehouse.tables(READS)
    return city, warehouse, school, given, gaps(city, given)


def test_the_school_is_known_only_as_a_band(banded):
    _, _, school, given, made = banded
    own = pl.col("semel_mosad") == school
    cells = made["mart_gap_school_subject"].filter("is_band")
    assert cells.select("semel_mosad", "subject").unique().rows() == [(school, SUBJECT)]
    assert (
        cells.height == given["core_band_cell"].filter(pl.col("scale_id").is_not_null()).height > 0
    )
    assert cells["band"].is_not_null().all()
    # No score is made up: what is shown raw stays empty, what is estimated has an interval.
    assert (
        cells.select("actual_value", "gap_raw_sd", "gap_sampling_sd").null_count().row(0)
        == (cells.height,) * 3
    )
    assert (cells["gap_lo_sd"] < cells["gap_sd"]).all()
    assert (cells["gap_sd"] < cells["gap_hi_sd"]).all()
    assert cells["tested_pupils_is_imputed"].all()
    row = made["mart_gap_school"].filter(own, pl.col("subject") == SUBJECT).row(0, named=True)
    assert row["is_measured"]
    assert row["is_band"]
    assert row["gap_tier"] != "not_measured"
    assert row["tested_pupils"] > 0
    assert made["mart_gap_school"].filter("is_band").height == 1
    assert (
        made["mart_gap_school_subject"]
        .select("semel_mosad", "subject", "grade", "school_year", "scale_id")
        .is_unique()
        .all()
    )


def test_components_rest_on_scores_alone(banded):
    city, _, _, given, made = banded
    without = gaps(city, {**given, "core_band_cell": given["core_band_cell"].clear()})
    assert made["mart_gap_component"].equals(without["mart_gap_component"])
    absent = without["mart_gap_school"].filter(pl.col("gap_tier") == "not_measured")
    still = made["mart_gap_school"].filter(pl.col("gap_tier") == "not_measured")
    assert absent.height == still.height + 1


def test_a_band_nobody_declared_is_not_used(banded):
    city, warehouse, _, given, _ = banded
    silent = city.model_copy(
        update={
            "policy": city.policy.model_copy(
                update={"diagnose": city.policy.diagnose.model_copy(update={"bands": None})}
            )
        }
    )
    made = gaps(silent, given)
    assert not made["mart_gap_school_subject"]["is_band"].any()
    listed = _listed(silent, warehouse, given, made)
    assert listed["bands_unread"]["schools_not_measured"] == 1
    assert "bands_only" not in listed


def _listed(city, warehouse, given, made):
    held = warehouse.tables(STEPS[0].reads)
    tables = {**held, "core_band_cell": given["core_band_cell"], **made}
    return {
        row["item_id"]: row for row in not_measured(city, tables)["mart_not_measured"].to_dicts()
    }


def test_the_pages_say_so(banded):
    city, warehouse, _, given, made = banded
    listed = _listed(city, warehouse, given, made)
    assert listed["bands_only"]["schools_not_measured"] == 1
    assert "bands_unread" not in listed
    he, en, _ = gap_sentence(made)
    assert "(1 of them known only as a band)" in en
    assert "ידועים רק כרצועה" in he
    page = render_diagnosis({**warehouse.tables(MARTS), **made}, CONTEXT)
    assert "צירופים של בית ספר ומקצוע ידועים רק כרצועה" in page
