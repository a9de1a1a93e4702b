"""A run that tests share is found by its content, and only if it has ended."""

import subprocess

import pytest

from tests import runs


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A function that asks for the run of a city of one file, and all runs that were made."""
    city, made = tmp_path / "a_city", []
    city.mkdir()

    def fail(place, *arguments, **_):
        made.append(arguments)
        return subprocess.CompletedProcess(arguments, 1, f"no. {len(made)}", "")

    def ask(text, *arguments):
        (city / "city.yaml").write_text(text, encoding="utf-8")
        return runs.run_of(city, *arguments)

    monkeypatch.setattr(runs, "RUNS", tmp_path / "kept")
    monkeypatch.setattr(runs.Place, "call", fail)
    return ask, made


def test_the_same_content_is_run_once_and_another_anew(asked):
    ask, made = asked
    assert ask("a") == ask("a")
    assert ask("a").said == "no. 1"
    assert ask("a", "--force").said == "no. 2"
    assert ask("b").said == "no. 3"
    assert ask("a").said == "no. 1"
    assert made == [(), ("--force",), ()]


def test_a_run_that_broke_off_is_made_again(asked):
    ask, _ = asked
    [ended] = ask("a").place.raw.parents[1].glob("ended.json")
    ended.write_text('{"code": 1, "sa', encoding="utf-8")
    assert ask("a").said == "no. 2"
    ended.unlink()
    assert ask("a").said == "no. 3"


def test_a_run_that_failed_in_another_session_is_made_again(asked, monkeypatch):
    ask, _ = asked
    assert ask("a").said == "no. 1"
    monkeypatch.setattr(runs, "SESSION", "another one")
    assert ask("a").said == "no. 2"
    assert ask("a").said == "no. 2"


def test_a_run_whose_release_is_not_whole_is_made_again(asked):
    ask, _ = asked
    [ended] = ask("a").place.raw.parents[1].glob("ended.json")
    ended.write_text('{"code": 0, "said": "published"}', encoding="utf-8")
    assert ask("a").said == "no. 2"


def test_the_runs_last_asked_for_are_kept(asked, monkeypatch):
    ask, made = asked
    monkeypatch.setattr(runs, "RUNS_KEPT", 2)
    for text in ("a", "b", "a", "c"):
        ask(text)
    assert len(made) == 3
    assert len(list(runs.RUNS.glob("*/ended.json"))) == 2
    ask("a")
    assert len(made) == 3
    ask("b")
    assert len(made) == 4
