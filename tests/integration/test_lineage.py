"""Which sources each published table comes from (R116)."""

import polars as pl
import pytest

from pipelines.act.lineage import lineage
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary


@pytest.fixture(scope="module")
def rows(small_city):
    return lineage(load_city(small_city), {})["mart_lineage"]


def test_a_table_names_the_sources_that_feed_it_and_no_other(rows):
    feeds = {
        name: set(rows.filter(table_name=name)["source_id"]) for name in rows["table_name"].unique()
    }
    assert feeds["mart_practice"] == {"voice__practices", "register__schools", "register__merges"}
    assert "tests__pupil_scores" in feeds["mart_gap_school"]
    assert "finance__ledger" not in feeds["mart_gap_school"]
    assert "voice__cards" not in feeds["mart_allocation"]
    assert {"tests__pupil_scores", "voice__cards"} <= feeds["mart_finding"]
    of_no_source = {"mart_parameter", "mart_city", "mart_decided", "mart_evidence"}
    made_here = {"mart_news", "mart_quality_drift", "mart_distribution", "mart_suppressed"}
    assert set(dictionary().sheets) - set(feeds) <= made_here | of_no_source


def test_only_sources_of_the_city_and_published_tables_are_named(rows, small_city):
    assert set(rows["source_id"]) <= set(load_city(small_city).city.sources)
    assert set(rows["table_name"]) <= set(dictionary().sheets)
    assert not rows.select(pl.struct("table_name", "source_id").is_duplicated().any()).item()


def test_pages_lead_to_it(published):
    quality = (published.current / "committee" / "annex" / "quality.html").read_text("utf-8")
    assert 'id="lineage"' in quality
    for page in (published.current / "committee").rglob("*.html"):
        is_without_numbers = page.name == "guide.html"
        if page.name != "quality.html" and not is_without_numbers:
            assert "quality.html#lineage" in page.read_text(encoding="utf-8"), page
