"""A country's first layer: districts and authorities, and a page an authority (three of them)."""

import re
from dataclasses import replace

import polars as pl
import pytest

from pipelines.publish.pages.base import is_plain
from pipelines.publish.pages.first.responses import render_every_response
from pipelines.publish.site import FAMILIES, PAGES
from pipelines.settings.fields import dictionary

CODES = ("10", "20", "30")
NAMES = {"10": "עיר גדולה", "20": "עיר קטנה", "30": None}
DISTRICTS = {"10": "דרום", "20": "צפון", "30": None}


@pytest.fixture(scope="module")
def country(tables, context):
    """The small city's tables as those of a country of three authorities."""
    plan = tables["mart_allocation_school"].sort("semel_mosad")
    of = plan.select(
        "semel_mosad",
        authority_code=pl.Series([CODES[i % len(CODES)] for i in range(plan.height)]),
    )
    sums = pl.col("pupils", "cost_agorot").sum()
    own = plan.join(of, on="semel_mosad")
    each = pl.col("cost_agorot") // pl.col("pupils")
    authorities = (
        own.group_by("authority_code")
        .agg(
            sums,
            schools=pl.len().cast(pl.Int32),
            schools_measured=pl.lit(1, pl.Int32),
            schools_without=pl.lit(0, pl.Int32),
            municipal_agorot=pl.col("municipal_agorot").sum(),
        )
        .with_columns(
            authority_name=pl.col("authority_code").replace_strict(NAMES),
            district_name=pl.col("authority_code").replace_strict(DISTRICTS),
            per_pupil_agorot=each,
        )
    )
    tiers = (
        own.group_by("authority_code", "need_tier")
        .agg(sums, schools=pl.len().cast(pl.Int32))
        .with_columns(per_pupil_agorot=each)
    )
    made = {
        "mart_authority": authorities,
        "mart_authority_tier": tiers,
        "mart_authority_school": of,
    }
    laid_out = {
        name: frame.select(dictionary().tables[name].columns) for name, frame in made.items()
    }
    return tables | laid_out, replace(context, is_country=True)


@pytest.fixture(scope="module")
def pages(country):
    return FAMILIES["authorities"](*country)


def cells(page):
    return dict(re.findall(r'data-cell="([^"]*)" data-value="([^"]*)"', page))


def test_a_city_has_no_pages_of_authorities(tables, context):
    assert FAMILIES["authorities"](tables, context) == {}
    assert FAMILIES["schools"](tables, context)


def test_a_country_has_one_of_each_authority_and_none_of_schools(country, pages):
    assert set(pages) == set(CODES)
    assert FAMILIES["schools"](*country) == {}


def test_every_school_stands_on_the_page_of_its_authority_alone(country, pages):
    shown, _ = country
    for code, page in pages.items():
        own = shown["mart_authority_school"].filter(authority_code=code)["semel_mosad"]
        assert sorted(re.findall(r'<tr id="s(\d+)"', page)) == sorted(own)
        assert is_plain(page)


def test_the_list_holds_every_authority_with_its_money_and_its_schools_by_tier(country):
    shown, context = country
    page = PAGES["schools.html"](shown, context)
    told = cells(page)
    for row in shown["mart_authority"].to_dicts():
        code = row["authority_code"]
        assert f'href="authorities/{code}.html"' in page
        assert told[f"mart_authority/authority_code={code}/cost_agorot"] == str(row["cost_agorot"])
    for row in shown["mart_authority_tier"].to_dicts():
        key = f"authority_code={row['authority_code']};need_tier={row['need_tier']}"
        assert told[f"mart_authority_tier/{key}/schools"] == str(row["schools"])


def test_districts_add_up_to_the_country(country):
    shown, context = country
    page = PAGES["schools.html"](shown, context)
    body = page.split("<h2>המחוזות</h2>")[1].split("</tbody>")[0]
    for name in ("דרום", "צפון"):
        assert name in body
    for total in (
        shown["mart_authority"].group_by("district_name").agg(pl.col("pupils").sum())["pupils"]
    ):
        assert f"{total:,}" in body


def test_no_page_sets_a_need_beside_the_name_of_a_school(country, pages):
    shown, context = country
    for page in (*pages.values(), PAGES["schools.html"](shown, context)):
        assert not [cell for cell in cells(page) if cell.endswith(("/need", "/need_lo", "/gap_sd"))]


def test_who_gets_a_response_leads_to_the_page_of_its_authority(country):
    shown, context = country
    pages = render_every_response(shown, context)
    links = re.findall(r'href="\.\./authorities/(\d+)\.html#s(\d+)"', "".join(pages.values()))
    of = dict(shown["mart_authority_school"].iter_rows())
    assert links
    assert all(of[school] == code for code, school in links)
