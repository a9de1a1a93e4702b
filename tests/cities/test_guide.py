"""Every command of the guides is run on the town of five schools, in the order of the guide."""

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
from unittest.mock import patch

import pytest
import yaml

from tests.cities.first_day import ANSWERS
from tests.cities.five_schools import write_year
from tests.cities.test_five_schools import expect_published
from tests.conftest import QUICK_ACCOUNT
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
    env = place.env | {"MAKEFLAGS": ""}
    told = subprocess.run(
        [*shlex.split(command), "--just-print"],
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


def test_the_first_day_by_the_guide_alone(tmp_path):
    """One run of the city serves both guides: their commands are the same."""
    place = place_at(tmp_path, "my_town")
    for year in (2025, 2026):
        write_year(place.raw / "files", year)
    first, *others = commands("guide.he.md")
    assert made(first, place)[0] != 0  # something is asked, and nobody is there to answer
    answers = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    kept = place.raw / "answers.yaml"
    kept.write_text(yaml.safe_dump(answers, allow_unicode=True), encoding="utf-8")
    for command in (first, *others):
        if shlex.split(command)[1] in ELSEWHERE:
            continue
        code, said = made(command, place)
        if command == first:  # the town's own decisions, and fewer draws
            with (place.raw / "policy.yaml").open("a", encoding="utf-8") as policy:
                policy.write(QUICK_ACCOUNT)
        assert code == 0, f"{command}\n{said[-5000:]}"
    expect_published(place, 2027)
    assert (place.raw / "decided" / "2027").is_dir()
    assert list((place.raw / "forms").glob("*.xlsx"))
