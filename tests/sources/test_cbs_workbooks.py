"""Four real CBS workbooks, read by the mappings of data_raw/cbs_workbooks, against the tidy panel.

The panel was made from the same workbooks by other code, so agreement cell by cell says that the
mappings point at the right sheets, header rows, columns and units.
"""

import polars as pl
import pytest
import yaml

from pipelines.city import City, CityFolder, load_city
from pipelines.sources.files import read_source
from pipelines.sources.mapping import SourceMapping
from tests.conftest import PROJECT

SOURCE = "context__authority_years"
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
# workbook → year, authorities, measures that both the workbook's main sheet and the panel hold
PHYSICAL = {
    "2013.xls": (2013, 201, ["population", "pupils", "pupils_elementary", "bagrut_pct", "ses_cluster_cbs"]),
    "2016.xlsx": (2016, 255, ["population", "pupils", "pupils_elementary", "bagrut_pct", "ses_cluster_cbs", "ses_value_cbs"]),
    "2021.xlsx": (2021, 255, ["population", "pupils", "pupils_elementary", "dropout_pct", "bagrut_pct", "ses_cluster_cbs", "ses_value_cbs"]),
}  # fmt: skip
# Education expenditure stands on another sheet, which no mapping of the same workbook can read too.
_REGULAR = "הוצאות בתקציב הרגיל של הרשויות המקומיות / שנת עדכון: 2016 (אלא אם צוין אחרת)"
MONEY = {
    "2013.xls": {
        "sheet": "נתונים כספיים - עיריות ומ.מקומי",
        "columns": {
            "authority_name": "שם הרשות1",
            "authority_code": "סמל הרשות 2013",
            "education_expenditure_nis": 'הוצאות של הרשות לחינוך (אלפי ש"ח) 2013',
        },
    },
    "2016.xlsx": {
        "sheet": "נתוני תקציב",
        "header_row": 2,
        "header_rows": 4,
        "columns": {
            "authority_name": "שנת עדכון: 2016 (אלא אם צוין אחרת) / שם הרשות",
            "authority_code": "שנת עדכון: 2016 (אלא אם צוין אחרת) / סמל הרשות",
            "education_expenditure_nis": f'{_REGULAR} / הוצאות של הרשות לחינוך / אלפי ש"ח',
        },
    },
    "2021.xlsx": {
        "sheet": "נתוני תקציב",
        "header_row": 3,
        "header_rows": 2,
        "columns": {
            "authority_name": "שם הרשות",
            "authority_code": "סמל הרשות",
            "education_expenditure_nis": "תשלומים בתקציב הרגיל - לפי פרקי תקציב / שירותים ממלכתיים: חינוך",
        },
    },
}


@pytest.fixture(scope="module")
def folder(shared_data):
    found = shared_data / "israel" / "cbs_local_authorities_2013_2021"
    if not (found / "raw").is_dir():
        pytest.skip(f"the CBS workbooks are not at {found}/raw")
    return found


@pytest.fixture(scope="module")
def city(folder) -> CityFolder:
    raw = PROJECT / "data_raw"
    mapping_only = City.model_validate(
        yaml.safe_load((raw / "cbs_workbooks" / "city.yaml").read_text(encoding="utf-8"))
    )
    # Its policy decides nothing here; a city folder cannot be without one.
    policy = load_city(raw / "ashkelon_public").policy
    return CityFolder(folder=raw / "cbs_workbooks", city=mapping_only, policy=policy)


@pytest.fixture(scope="module")
def rows(city) -> pl.DataFrame:
    return _authorities(city)


@pytest.fixture(scope="module")
def panel(folder) -> pl.DataFrame:
    frame = pl.read_csv(folder / "cbs_authority_education_panel_2013_2021.csv", infer_schema=False)
    return frame.select(
        "year",
        "authority_code",
        "authority",
        *(pl.col(name).cast(pl.Float64).alias(f"panel_{name}") for name in IN_PANEL.values()),
    )


def _authorities(city: CityFolder) -> pl.DataFrame:
    """Read the source as it stands in raw, without the footnotes that staging sets aside."""
    rows = read_source(city, SOURCE, city.city.school_years.all()).rows
    is_authority = pl.col("authority_code").str.contains(r"^\d{2,4}$")
    return rows.filter(is_authority & pl.col("authority_name").is_not_null())


def _differences(rows: pl.DataFrame, panel: pl.DataFrame, measure: str, scale: float = 1):
    ours = pl.col(measure).cast(pl.Float64, strict=False)
    theirs = pl.col(f"panel_{IN_PANEL[measure]}") * scale
    # Numbers of a workbook come as texts of nine decimals, hence the absolute part.
    near = (ours - theirs).abs() <= 1e-6 * theirs.abs() + 1e-9
    both = rows.join(panel, on="authority_code", how="left", validate="1:1")
    assert both[f"panel_{IN_PANEL[measure]}"].count() > 0
    same = pl.when(ours.is_null() | theirs.is_null()).then(ours.is_null() & theirs.is_null())
    return both.filter(~same.otherwise(near)).select("authority_name", measure).rows()


@pytest.mark.parametrize(
    ("workbook", "measure"),
    [(workbook, measure) for workbook, (_, _, held) in PHYSICAL.items() for measure in held],
)
def test_every_value_is_the_panels(rows, panel, workbook, measure):
    year, _, _ = PHYSICAL[workbook]
    read = rows.filter(pl.col("file_name") == workbook)
    assert _differences(read, panel.filter(pl.col("year") == str(year)), measure) == []


@pytest.mark.parametrize("workbook", PHYSICAL)
def test_every_authority_is_there_once_under_its_name(rows, panel, workbook):
    year, authorities, _ = PHYSICAL[workbook]
    read = rows.filter(pl.col("file_name") == workbook)
    named = panel.filter(pl.col("year") == str(year))
    assert len(read) == authorities
    assert set(read["school_year"]) == {str(year)}
    assert sorted(read.select("authority_code", "authority_name").rows()) == sorted(
        named.select("authority_code", "authority").rows()
    )


def test_what_the_footnotes_bring_has_no_full_key(city):
    read = read_source(city, SOURCE, city.city.school_years.all())
    is_code = pl.col("authority_code").str.contains(r"^\d{2,4}$").fill_null(value=False)
    others = read.rows.filter(~is_code | pl.col("authority_name").is_null())
    assert others.drop_nulls(["authority_name", "authority_code"]).is_empty()
    # 54 regional councils and five footnotes of t02.xls; remarks and legend under 2013.xls
    assert dict(others["file_name"].value_counts().iter_rows()) == {"t02.xls": 59, "2013.xls": 14}


def test_the_index_of_2013_is_the_one_of_the_workbooks_of_2015_and_2016(rows, panel):
    index = rows.filter(pl.col("file_name") == "t02.xls")
    assert len(index) == 201
    assert _differences(index, panel.filter(pl.col("year") == "2015"), "ses_cluster_cbs") == []
    later = index.join(panel.filter(pl.col("year") == "2016"), on="authority_code", validate="1:1")
    # The yearly workbook gives the value to three decimals, the table of the index to five.
    off = (later["ses_value_cbs"].cast(pl.Float64) - later["panel_ses_value"]).abs()
    assert off.len() == 201
    assert off.max() < 0.0005 + 1e-9


def test_the_index_of_2008_agrees_with_its_own_clusters(rows):
    """The panel has no value of 2008; its clusters are intervals of the value, one above the other."""
    bounds = (
        rows.filter(pl.col("file_name") == "2013.xls", pl.col("ses_value_cbs").is_not_null())
        .group_by(pl.col("ses_cluster_cbs").cast(pl.Int32))
        .agg(
            pl.col("ses_value_cbs").cast(pl.Float64).min().alias("low"),
            pl.col("ses_value_cbs").cast(pl.Float64).max().alias("high"),
        )
        .sort("ses_cluster_cbs")
    )
    assert bounds["ses_cluster_cbs"].to_list() == list(range(1, 11))
    assert (bounds["low"][1:] > bounds["high"][:-1]).all()


@pytest.mark.parametrize("workbook", MONEY)
def test_education_expenditure_of_the_budget_sheets(city, panel, workbook):
    year, _, _ = PHYSICAL[workbook]
    mapping = SourceMapping(
        file=workbook,
        format=workbook.split(".")[1],
        constants={"school_year": str(year)},
        units={"education_expenditure_nis": "thousand"},
        nulls=("..", "-"),
        **MONEY[workbook],
    )
    money = city.model_copy(
        update={"city": city.city.model_copy(update={"sources": {SOURCE: (mapping,)}})}
    )
    read = _authorities(money)
    held = panel.filter(pl.col("year") == str(year))
    assert _differences(read, held, "education_expenditure_nis", scale=1000) == []
    # Authorities without a report of money have no row on the sheet, and no value in the panel.
    absent = held.join(read, on="authority_code", how="anti")
    assert absent["panel_exp_education_k_nis"].count() == 0
