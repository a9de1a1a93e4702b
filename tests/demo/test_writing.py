"""Writing the city: same bytes for same arguments, nothing half-made, plain messages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from models.demo import generate
from models.demo.streams import Streams
from pipelines.commands import demo_city as command
from pipelines.demo import write as demo_city

TEMPLATE = (
    "profile: $profile\nseed: $seed\nyears: [$years_first, $years_last]\nexpected: $expected\n"
)


@pytest.fixture
def templates(tmp_path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    for name in ("city.yaml", "policy.yaml"):
        (folder / name).write_text(TEMPLATE, encoding="utf-8")
    return folder


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_runs_of_small_are_the_same_bytes(tmp_path, templates):
    """The second run is another process with another hash seed and another number of threads."""
    demo_city.write_city(generate(profile="small"), tmp_path / "one", templates)
    script = (
        "from pathlib import Path; from models.demo import generate;from"
        " pipelines.demo.write import write_city;write_city(generate(profile='small'),"
        f" Path({str(tmp_path / 'two')!r}), Path({str(templates)!r}))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"}
    root = Path(demo_city.__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, env=environment)
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")


def test_two_generations_of_clean_are_equal_and_seeds_differ(clean):
    again = generate(1, "clean")
    assert list(again.files) == list(clean.files)
    for one, two in ((clean.files, again.files), (clean.truth, again.truth)):
        for name, frame in one.items():
            assert_frame_equal(frame, two[name], check_exact=True)
    other = generate(2, "small")
    assert not other.files["pupils_2026.csv"].equals(generate(1, "small").files["pupils_2026.csv"])


def test_streams_are_independent_of_each_other():
    streams = Streams(1)
    first = streams("pupils").random(5)
    streams("another table").random(100)
    assert (streams("pupils").random(5) == first).all()
    assert (streams("scores").random(5) != first).all()


def test_written_folder(tmp_path, templates, city_of):
    city = city_of("small")
    folder = tmp_path / "demo"
    demo_city.write_city(city, folder, templates)
    assert {p.name for p in (folder / "files").iterdir()} == set(city.files)
    assert {p.stem for p in (folder / "truth").iterdir()} == set(city.truth)
    written = yaml.safe_load((folder / "city.yaml").read_text(encoding="utf-8"))
    assert written["expected"] == city.expected
    assert (written["profile"], written["seed"], written["years"]) == ("small", 1, [2022, 2026])
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    text = (folder / "files" / "pupils_2026.csv").read_text(encoding="utf-8")
    assert ",true," in text
    assert ",2026-05-02," in (folder / "files" / "pupil_scores_2026.csv").read_text()
    budget = (folder / "files" / "budget_2026.csv").read_text().splitlines()[1]
    assert all(len(part.split(".")[1]) == 2 for part in budget.split(",")[-2:])
    register = pl.read_excel(folder / "files" / "schools_2026.xlsx", engine="calamine")
    assert_frame_equal(register, city.files["schools_2026.xlsx"], check_dtypes=False)
    assert register["סמל מוסד"].dtype == pl.String


def test_an_interrupted_run_leaves_the_last_city(tmp_path, templates, city_of, monkeypatch):
    city, folder = city_of("small"), tmp_path / "demo"
    demo_city.write_city(city, folder, templates)
    before = _hashes(tmp_path)
    written = []

    def fails_later(frame, path, layout):
        written.append(path)
        if len(written) == 5:
            raise OSError("disk full")

    monkeypatch.setattr(demo_city, "_write_file", fails_later)
    with pytest.raises(OSError, match="disk full"):
        demo_city.write_city(replace(city, seed=2), folder, templates)
    assert len(written) == 5
    assert _hashes(tmp_path) == before


def test_other_folders_are_never_replaced(tmp_path, templates, city_of):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a generated city"):
        demo_city.write_city(city_of("small"), folder, templates)
    assert (folder / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("text", ["$nothing", "cost $ 5"])
def test_bad_template_is_named(tmp_path, templates, city_of, text):
    (templates / "policy.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"policy\.yaml.*known are \$expected"):
        demo_city.write_city(city_of("small"), tmp_path / "demo", templates)
    assert not (tmp_path / "demo").exists()


def test_missing_template_is_named(tmp_path, city_of):
    with pytest.raises(FileNotFoundError, match=r"city\.yaml is missing"):
        demo_city.write_city(city_of("small"), tmp_path / "demo", tmp_path)


def test_command_line(tmp_path, templates, monkeypatch, capsys):
    monkeypatch.setattr(demo_city.write_city, "__defaults__", (templates,))
    folder = tmp_path / "demo"
    arguments = ["--profile", "small", "--years", "2025-2026", "--out", str(folder)]
    assert command.main(arguments) == 0
    assert "6 schools, 2,146 pupils in 2026" in capsys.readouterr().out
    before = _hashes(folder)
    assert command.main([*arguments, "--seed", "2"]) == 0
    assert "nothing done" in capsys.readouterr().out
    assert _hashes(folder) == before
    assert command.main([*arguments, "--seed", "2", "--force"]) == 0
    assert _hashes(folder) != before


@pytest.mark.parametrize(
    "bad", [["--years", "2026"], ["--years", "2026-2022"], ["--seed", "-1"], ["--profile", "x"]]
)
def test_bad_command_line_is_refused(bad, capsys):
    with pytest.raises(SystemExit):
        command.main(bad)
    assert "error" in capsys.readouterr().err
