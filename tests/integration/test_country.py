"""A country from files to a release: three authorities of the real national files, and all of them.

The three are few enough for a programme of all schools at once; the whole country is taken apart.
"""

import csv
import re
import shutil

import polars as pl
import pytest

from tests.runs import PROJECT, run_of

AUTHORITIES = ("אבן יהודה", "אורנית", "אזור")
PLAN = "mart_allocation"


@pytest.fixture(scope="module")
def three(shared_data, tmp_path_factory):
    """The national files with the schools of three authorities alone."""
    city = tmp_path_factory.mktemp("country") / "israel_public"
    shutil.copytree(PROJECT / "data_raw" / "israel_public", city)
    israel, files = shared_data / "israel", city / "files"
    files.mkdir(exist_ok=True)
    kept = set()
    for folder, name, encoding, code, authority in (
        ("moe_school_budget_2014_15", "budget_clean.csv", "utf-8-sig", "semel", "authority_name"),
        (
            "rama_meitzav_scores_background",
            "school_background_info.csv",
            "cp1255",
            "semel_mosad",
            None,
        ),
        ("rama_meitzav_scores_background", "school_results.csv", "cp1255", "semel_mosad", None),
    ):
        with (israel / folder / name).open(encoding=encoding, newline="") as source:
            rows = csv.DictReader(source)
            own = [
                row
                for row in rows
                if (row[authority] in AUTHORITIES if authority else row[code] in kept)
            ]
        kept |= {row[code] for row in own}
        with (files / name).open("w", encoding=encoding, newline="") as target:
            writer = csv.DictWriter(target, own[0].keys())
            writer.writeheader()
            writer.writerows(own)
    run = run_of(city)
    assert run.code == 0, run.said
    return run.place.current


@pytest.fixture(scope="module")
def whole(shared_data, tmp_path_factory):
    """The release of the whole country."""
    city = tmp_path_factory.mktemp("nation") / "israel_public"
    shutil.copytree(PROJECT / "data_raw" / "israel_public", city)
    run = run_of(city)
    assert run.code == 0, run.said
    return run.place.current


def mart(release, name):
    return pl.read_parquet(release / "analyst" / f"{name}.parquet")


def holds_together(release):
    """What is told of authorities adds up to the plan, and each has its page with its schools."""
    authorities, schools = mart(release, "mart_authority"), mart(release, "mart_allocation_school")
    of = mart(release, "mart_authority_school")
    assert authorities["cost_agorot"].sum() == mart(release, PLAN)["cost_agorot"].sum()
    assert authorities["schools"].sum() == schools.height == of.height
    place = release / "committee"
    pages = {path.stem for path in (place / "authorities").glob("*.html")}
    assert pages == set(authorities["authority_code"])
    assert not (place / "schools").exists()  # no page of a single school
    for code, own in of.group_by("authority_code"):
        text = (place / "authorities" / f"{code[0]}.html").read_text(encoding="utf-8")
        assert {f's{school}"' for school in own["semel_mosad"]} <= set(re.findall(r's\d{6}"', text))
    first = (place / "index.html").read_text(encoding="utf-8")
    for name in authorities["district_name"].drop_nulls().unique():
        assert name in first
    assert not (release / "principals").exists()
    return authorities


def test_three_authorities_are_published(three):
    authorities = holds_together(three)
    assert set(authorities["authority_name"]) == set(AUTHORITIES)
    assert mart(three, "mart_allocation_certificate")["solve_method"].item() == "milp"


@pytest.mark.slow
def test_the_whole_country_is_published(whole):
    """2,599 schools: the plan proven, its account there, envy told before and after."""
    holds_together(whole)
    assert mart(whole, "mart_allocation_school").height == 2599
    certificate = mart(whole, "mart_allocation_certificate").row(0, named=True)
    assert certificate["solve_method"] == "decomposition"
    assert certificate["best_gap_pct"] <= 0.1
    assert certificate["optimality_gap_pct"] <= 1.2  # the band of fairness, and the gap of worth
    assert certificate["envy_agorot"] <= certificate["envy_best_agorot"]
    assert certificate["envy_bound_agorot"] is None
    for name in (
        "mart_allocation_stability",
        "mart_frontier",
        "mart_rule_price",
        "mart_robust_plan",
    ):
        assert mart(whole, name).height
    envied = mart(whole, "mart_allocation_envy")
    assert envied.height == certificate["envied_lines"]
    assert envied["worth_loss"].null_count() == envied.height  # no price is sought, and none told
