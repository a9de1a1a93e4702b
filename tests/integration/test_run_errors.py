"""What goes wrong is said to a person: what, where, what to do; and the last release stays."""

import polars as pl
import pytest
import yaml
from dagster import AssetSelection

from pipelines.publish.release import current_release
from pipelines.warehouse.assets import asset_key
from tests.integration.conftest import change_policy
from tests.runs import PROJECT, make_place


def assets(name):
    return AssetSelection.assets(asset_key(name))


def expect_error(place, *said):
    """The run fails, says each of these, and leaves the last release."""
    release = current_release(place.marts)
    done = place.call()
    assert done.returncode == 1
    for words in said:
        assert words in done.stdout, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert current_release(place.marts) == release


def test_without_the_national_files_it_says_how_to_get_them(tmp_path):
    place = make_place(tmp_path, PROJECT / "data_raw" / "ashkelon_public")
    place.env["TIKKUN_SHARED_DATA"] = str(tmp_path / "nowhere")
    done = place.call()
    assert done.returncode == 1
    assert "budget_clean.csv" in done.stdout
    assert "To get it" in done.stdout
    raw = yaml.safe_load((place.raw / "city.yaml").read_text(encoding="utf-8"))
    assert raw["sources"]["tests__school_means"]["how_to_get"] == "make fetch"


def test_every_source_that_cannot_be_read_is_said_at_once(place):
    """A file that is missing, one without a column that its mapping names, and one without rows
    in a year.
    """
    files = place.raw / "files"
    (files / "climate_2025.csv").unlink()
    delivery, attendance = files / "delivery_2026.csv", files / "attendance_2024.csv"
    text = delivery.read_text(encoding="utf-8").replace("participants", "people", 1)
    delivery.write_text(text, encoding="utf-8")
    heads = attendance.read_text(encoding="utf-8").splitlines()[0]
    attendance.write_text(heads + "\n", encoding="utf-8")
    column = ("delivery_2026.csv", "'participants'", "Columns there")
    year = ("attendance_2024.csv", "2024", "no rows")
    missing = ("climate_2025.csv", "is not in any of", "climate__facets", "לא נמצא")
    expect_error(place, *column, *year, *missing, "Nothing was published")


def test_an_invalid_policy(place):
    change_policy(place, "equity_gamma", "value", value="much")
    expect_error(place, "policy.yaml", "equity_gamma.value", "אינם תקינים")


def test_a_budget_below_the_must_keeps(place, make_only):
    make_only(assets("mart_allocation").required_multi_asset_neighbors().downstream())
    change_policy(place, "channels", "municipal_own", "budget", "value", value=10_000)
    for rule in ("every_school_served", "decisions"):
        change_policy(place, "rules", rule, "value", value=False)
    change_policy(place, "rules", "hold_harmless", value=None)
    expect_error(place, "budget:municipal_own", "NIS", "Nothing was published")


def test_an_output_folder_that_cannot_be_written(published, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "x").mkdir()
    blocked = make_place(tmp_path / "x", published.raw)
    blocked.env["TIKKUN_DATA_MARTS"] = str(tmp_path / "file")
    done = blocked.call()
    assert done.returncode == 1
    assert "cannot be written" in done.stdout
    assert "TIKKUN_DATA_MARTS" in done.stdout


def test_a_count_that_does_not_reconcile_blocks_and_names_it(place, make_only):
    counts = assets("core_reconciliation").downstream()
    make_only(assets("core_expected").required_multi_asset_neighbors() | counts)
    file = place.raw / "city.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("pupils.state: 1437", "pupils.state: 1438"),
        encoding="utf-8",
    )
    expect_error(place, "core_reconciliation", "pupils.state", "Nothing was published")


@pytest.mark.slow  # a wrong count, above, stops a run in the same way
def test_a_reversed_nurture_index_blocks(place):
    """Six schools are too few for `core_direction`; what their responses ask for tells it."""
    import xlsxwriter

    for year in range(2022, 2027):
        path = place.raw / "files" / f"schools_{year}.xlsx"
        rows = pl.read_excel(path, infer_schema_length=0)
        rows = rows.with_columns(
            (11 - pl.col("מדד טיפוח").cast(pl.Float64)).cast(pl.String).alias("מדד טיפוח")
        )
        with xlsxwriter.Workbook(str(path)) as book:
            rows.write_excel(book, worksheet="s")
    expect_error(place, "core_participation", "milat", "the school's nurture index")
