"""Words follow numbers in generated cities and in the real one (R124)."""

import os

import pytest

from models.demo import generate
from pipelines.demo.write import write_city
from tests.conftest import QUICK_ACCOUNT
from tests.integration.test_real_city import city_of
from tests.runs import run_of
from tests.words.checks import faults
from tests.words.concepts import CONCEPTS
from tests.words.reading import read_release
from tests.words.studio import studio_text

SEEDS = int(os.environ.get("TIKKUN_WORD_SEEDS", "3"))


def read(run):
    assert run.code == 0, run.said
    current = run.place.current
    return read_release(current, run.said, studio_text(current))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 2 + SEEDS))
def test_no_word_of_a_generated_city_contradicts_a_number(seed, tmp_path):
    city = tmp_path / "demo_city"
    write_city(generate(seed=seed, profile="small"), city)
    with (city / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
    assert faults(read(run_of(city))) == []


@pytest.mark.slow
def test_no_word_of_the_real_city_contradicts_a_number(shared_data, tmp_path):
    release = read(run_of(city_of(tmp_path)))
    assert faults(release) == []
    # What the public files lack leaves some concepts without a number; the others are told.
    told = [concept for concept in CONCEPTS if concept.reckon(release.tables) is not None]
    assert len(told) >= 40


@pytest.mark.slow
def test_the_real_city_says_first_what_it_assumes(shared_data, tmp_path):
    release = read(run_of(city_of(tmp_path)))
    first = release.texts["findings"].split("\n")[0]
    for text in (release.texts["terminal"], release.texts["workbook: שער"]):
        assert first in text
    assert release.texts["annex/report.html"].index(first) < release.texts[
        "annex/report.html"
    ].index("מתוך")
    # Nobody knows the newcomers of its schools, so nobody is given lessons for them by calculation.
    plan = release.tables["mart_allocation"]
    assert "hebrew_immigrants" not in plan["response_id"]
    assert "group.immigrant_10" in release.tables["mart_not_measured"]["item_id"]
