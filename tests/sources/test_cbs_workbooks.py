"""Four real CBS workbooks, staged by data_raw/cbs_workbooks, against the tidy panel.

The panel was made from the same workbooks by other code, so agreement cell by cell says that the
mappings point at the right sheets, header rows, columns and units.
"""

import polars as pl
import pytest
import yaml

from pipelines.commands import check
from pipelines.rehearsal import rehearse
from pipelines.settings.city import CityError, load_sources
from tests.runs import PROJECT

SOURCE = "context__authority_years"
FOLDER = PROJECT / "data_raw" / "cbs_workbooks"
IN_PANEL = {
    "population": "population",
    "pupils": "pupils_total",
    "pupils_elementary": "pupils_elementary",
    "dropout_pct": "dropout_pct",
    "bagrut_pct": "bagrut_pct",
    "ses_cluster_cbs": "ses_cluster",
    "ses_value_cbs": "ses_value",
    "education_expenditure_nis": "exp_education_k_nis",
}
# file → year, authorities, measures that both its main sheet and the panel hold
PHYSICAL = {
    "2013.xls": (
        2013,
        201,
        ["population", "pupils", "pupils_elementary", "bagrut_pct", "ses_cluster_cbs"],
    ),
    "2016.xlsx": (
        2016,
        255,
        [
            "population",
            "pupils",
            "pupils_elementary",
            "bagrut_pct",
            "ses_cluster_cbs",
            "ses_value_cbs",
        ],
    ),
    "2021.xlsx": (
        2021,
        255,
        [
            "population",
            "pupils",
            "pupils_elementary",
            "dropout_pct",
            "bagrut_pct",
            "ses_cluster_cbs",
            "ses_value_cbs",
        ],
    ),
}
# Rows of each file that are no authority with a code: remarks and legend; regional councils,
# footnotes.
LEFT_OUT = {"2013.xls": 14, "t02.xls": 54 + 5}


@pytest.fixture(scope="module")
def folder(shared_data):
    found = shared_data / "israel" / "cbs_local_authorities_2013_2021"
    if not (found / "raw").is_dir():
        pytest.skip(f"the CBS workbooks are not at {found}/raw")
    return found


@pytest.fixture(scope="module")
def rehearsed(folder):
    return rehearse(load_sources(FOLDER))


@pytest.fixture(scope="module")
def staged(rehearsed) -> pl.DataFrame:
    return rehearsed.table(f"SELECT * FROM staging.stg_{SOURCE}")


@pytest.fixture(scope="module")
def panel(folder) -> pl.DataFrame:
    frame = pl.read_csv(folder / "cbs_authority_education_panel_2013_2021.csv", infer_schema=False)
    return frame.select(
        pl.col("year").cast(pl.Int32),
        "authority_code",
        "authority",
        *(pl.col(name).cast(pl.Float64).alias(f"panel_{name}") for name in IN_PANEL.values()),
    )


def _differences(rows: pl.DataFrame, panel: pl.DataFrame, measure: str, scale: float = 1):
    ours = pl.col(measure).cast(pl.Float64)
    theirs = pl.col(f"panel_{IN_PANEL[measure]}") * scale
    # Numbers of a workbook come as texts of nine decimals, hence the absolute part.
    near = (ours - theirs).abs() <= 1e-6 * theirs.abs() + 1e-9
    both = rows.join(panel, on="authority_code", how="left", validate="1:1")
    assert both[f"panel_{IN_PANEL[measure]}"].count() > 0
    same = pl.when(ours.is_null() | theirs.is_null()).then(ours.is_null() & theirs.is_null())
    return both.filter(~same.otherwise(near)).select("authority_name", measure).rows()


def test_every_row_is_staged_or_left_out_by_the_mapping(rehearsed):
    assert not rehearsed.unreadable
    assert [
        f"{name}.{result.check.id}" for name, result in rehearsed.results if not result.is_passed
    ] == []
    aside = rehearsed.table(
        "SELECT file_name, reason_code, count(DISTINCT file_row) FROM core.core_quarantine GROUP"
        " BY ALL"
    )
    assert set(aside.rows()) == {(name, "skipped", n) for name, n in LEFT_OUT.items()}
    held = rehearsed.table(f"SELECT file_name, count(*) FROM raw.raw_{SOURCE} GROUP BY ALL")
    files = dict(rehearsed.table("SELECT file_name, rows_in FROM core.core_source_file").rows())
    authorities = {name: n for name, (_, n, _) in PHYSICAL.items()} | {"t02.xls": 201}
    assert dict(held.rows()) == authorities
    assert files == {name: n + LEFT_OUT.get(name, 0) for name, n in authorities.items()}
    assert rehearsed.table(f"SELECT count(*) FROM staging.stg_{SOURCE}").item() == sum(
        authorities.values()
    )


@pytest.mark.parametrize(
    ("workbook", "measure"),
    [(workbook, measure) for workbook, (_, _, held) in PHYSICAL.items() for measure in held],
)
def test_every_value_is_the_panels(staged, panel, workbook, measure):
    year, _, _ = PHYSICAL[workbook]
    rows = staged.filter(pl.col("school_year") == year)
    assert _differences(rows, panel.filter(pl.col("year") == year), measure) == []


@pytest.mark.parametrize("workbook", PHYSICAL)
def test_every_authority_is_there_once_under_its_name(staged, panel, workbook):
    year, authorities, _ = PHYSICAL[workbook]
    rows, named = staged.filter(pl.col("school_year") == year), panel.filter(pl.col("year") == year)
    assert len(rows) == authorities
    assert sorted(rows.select("authority_code", "authority_name").rows()) == sorted(
        named.select("authority_code", "authority").rows()
    )


@pytest.mark.parametrize("workbook", PHYSICAL)
def test_education_expenditure_of_the_budget_sheets(staged, panel, workbook):
    year, _, _ = PHYSICAL[workbook]
    rows, held = staged.filter(pl.col("school_year") == year), panel.filter(pl.col("year") == year)
    assert rows["education_expenditure_nis"].count() > 190
    assert _differences(rows, held, "education_expenditure_nis", scale=1000) == []


def test_the_index_of_2013_is_the_one_of_the_workbooks_of_2015_and_2016(staged, panel):
    index = staged.filter(pl.col("school_year") == 2015)
    assert len(index) == 201
    assert _differences(index, panel.filter(pl.col("year") == 2015), "ses_cluster_cbs") == []
    later = index.join(panel.filter(pl.col("year") == 2016), on="authority_code", validate="1:1")
    # The yearly workbook gives the value to three decimals, the table of the index to five.
    off = (later["ses_value_cbs"] - later["panel_ses_value"]).abs()
    assert off.len() == 201
    assert off.max() < 0.0005 + 1e-9


def test_the_index_of_2008_agrees_with_its_own_clusters(staged):
    """The panel has no value of 2008; its clusters are intervals of the value, in order."""
    bounds = (
        staged.filter(pl.col("school_year") == 2013, pl.col("ses_value_cbs").is_not_null())
        .group_by("ses_cluster_cbs")
        .agg(
            pl.col("ses_value_cbs").min().alias("low"), pl.col("ses_value_cbs").max().alias("high")
        )
        .sort("ses_cluster_cbs")
    )
    assert bounds["ses_cluster_cbs"].to_list() == list(range(1, 11))
    assert (bounds["low"][1:] > bounds["high"][:-1]).all()


def test_the_command_needs_no_policy_and_tells_what_was_left_out(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert check.main(["cbs_workbooks", "--source", SOURCE]) == 0
    told = capsys.readouterr().out
    assert "Everything passes" in told
    for workbook, (_, authorities, _) in PHYSICAL.items():
        left = LEFT_OUT.get(workbook, 0)
        parts = f"{authorities} staged + 0 set aside + {left} left out by design"
        assert f"{SOURCE}, {workbook}: {authorities + left} rows = {parts}" in told
    line = next(line for line in told.splitlines() if "t02.xls" in line and "skip_where" in line)
    numbered = (FOLDER / "city.yaml").read_text(encoding="utf-8").splitlines()
    at = [number for number, text in enumerate(numbered, start=1) if "skip_where: {auth" in text]
    assert f"(city.yaml:{at[-1]})" in line
    assert "לפי המיפוי" in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"authority_code": "סמל הרשות 2013", "pupils": "?"}}, "'?'"),
        (
            {
                "columns": {
                    "authority_code": "שם הרשות1",
                    "education_expenditure_nis": 'הוצאות של הרשות לחינוך (אלפי ש"ח) 2013',
                }
            },
            "no row on the first sheet",
        ),
    ],
)
def test_a_sheet_that_does_not_fit_beside_the_first_is_told_with_its_line(
    folder, tmp_path, change, said
):
    settings = yaml.safe_load((FOLDER / "city.yaml").read_text(encoding="utf-8"))
    first = settings["sources"][SOURCE][0]
    first["units"].pop("education_expenditure_nis")
    first["columns"].pop("pupils")
    first["beside"][0] |= change
    settings["sources"] = {SOURCE: [first]}
    settings["roots"] = [str(folder / "raw")]
    (tmp_path / "city.yaml").write_text(
        yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8"
    )
    error = rehearse(load_sources(tmp_path), checked=False).unreadable[SOURCE]
    assert isinstance(error, CityError)
    for part in ("2013.xls", "נתונים כספיים", said, "city.yaml:"):
        assert part in error.en
    assert "2013.xls" in error.he
