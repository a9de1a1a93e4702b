"""Every command of the guides is run on the town of five schools, in the order of the guide."""

import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
from unittest.mock import patch

import polars as pl
import pytest
import yaml

from pipelines.commands.new_city import main as new_city
from tests.cities.first_day import (
    ANSWERS,
    PROGRAMME,
    account_quickly,
    fill_in,
    write_forecast,
)
from tests.cities.five_schools import write_year
from tests.cities.test_five_schools import expect_published
from tests.cities.test_forecast import expect_sized
from tests.runs import PROJECT, place_at

GUIDES = ("guide.he.md", "guide.md")
# What does not end by itself, or needs a mail server: the test that starts it.
ELSEWHERE = {
    "serve": "tests/integration/test_serve.py",
    "send": "tests/publish/test_sending.py",
}


def commands(guide):
    text = (PROJECT / "docs" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_guides_name_the_same_commands():
    def said(guide):
        return [[part.partition("=")[0] for part in shlex.split(c)] for c in commands(guide)]

    he, en = (sorted(said(guide)) for guide in GUIDES)
    assert he == en


def test_every_make_of_a_guide_is_a_command():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for guide in GUIDES:
        text = (PROJECT / "docs" / guide).read_text(encoding="utf-8")
        named = set(re.findall(r"make ([a-z-]+)", text))
        assert named <= targets, guide
        assert named == {shlex.split(one)[1] for one in commands(guide)}, guide


@pytest.mark.parametrize("path", ELSEWHERE.values())
def test_what_is_run_elsewhere_is(path):
    [target] = [one for one, where in ELSEWHERE.items() if where == path]
    assert f"pipelines.commands.{target}" in (PROJECT / path).read_text(encoding="utf-8")


def test_readme_links_the_guide_first():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"\]\((?!http)([^)]+)\)", text)
    assert first[1] == "docs/guide.he.md"


def made(command, place):
    """What a command of make returns and says: what it would run, in this process.

    Make itself says what that is; a new process would only import all there is once more.
    """
    words = shlex.split(command)
    # What stands on the line of a make is in the environment of what it runs.
    env = place.env | {"MAKEFLAGS": ""} | dict(word.split("=", 1) for word in words[2:])
    told = subprocess.run(
        [*words, "--just-print"],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (one for one in told.stdout.splitlines() if " -m pipelines.commands." in one)
    _, _, module, *arguments = shlex.split(line)
    said = io.StringIO()
    with (
        patch.dict(os.environ, env),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        code = importlib.import_module(module).main(arguments)
    return code, said.getvalue()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The town after its first day by the guide alone, with a forecast and a programme of its own.

    One run of it serves both guides, whose commands are the same, and what else is asked of a town
    that is published.
    """
    place = place_at(tmp_path_factory.mktemp("guided"), "my_town")
    for year in (2025, 2026):
        write_year(place.raw / "files", year)
    write_forecast(place.raw / "files")
    first, *others = commands("guide.he.md")
    assert made(first, place)[0] == 1  # something is asked, and nobody is there to answer
    answers = yaml.safe_load(ANSWERS.read_text(encoding="utf-8")) | {PROGRAMME: "new=orchestra"}
    kept = place.raw / "answers.yaml"
    kept.write_text(yaml.safe_dump(answers, allow_unicode=True), encoding="utf-8")
    assert made(first, place)[0] == 1  # what a programme of its own is for, the town has to say
    fill_in(place.raw)
    account_quickly(place.raw)
    for command in (first, *others):
        if shlex.split(command)[1] not in ELSEWHERE:
            code, said = made(command, place)
            assert code == 0, f"{command}\n{said[-5000:]}"
    return place


def test_the_first_day_by_the_guide_alone(town):
    expect_published(town, 2027)
    assert (town.raw / "decided" / "2027").is_dir()
    assert list((town.raw / "forms").glob("*.xlsx"))


def test_its_release_says_what_the_plan_is_sized_by(town):
    expect_sized(town.current, by_forecast=True)


def test_a_programme_of_its_own_is_in_the_plan_and_next_year_asks_nothing(town, tmp_path, capsys):
    plan = pl.read_parquet(town.current / "analyst" / "mart_allocation.parquet")
    assert "orchestra" in set(plan["response_id"])
    folder = tmp_path / "my_town"
    shutil.copytree(town.raw, folder, ignore=shutil.ignore_patterns("decided"))
    write_year(folder / "files", 2027)
    assert new_city([str(folder)]) == 0
    assert " 0 open" in capsys.readouterr().out
