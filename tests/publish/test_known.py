"""What was published on a day is told and drawn again, long after its folder is gone (R118)."""

import contextlib
import io
import json
import os
import shutil
from datetime import UTC, date, datetime
from unittest.mock import patch

import polars as pl
import pytest

from pipelines.commands.as_of import main
from pipelines.publish.build import WORKBOOK, build_release
from pipelines.publish.known import FOLDER, MOMENTS, is_kept, keep, publications, published_on
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.redraw import context_of
from pipelines.publish.release import hashes, publish
from pipelines.settings.city import load_city
from tests.runs import place_at

DAYS = ("2026-03-01", "2026-04-01", "2026-05-01")


@pytest.fixture(scope="module")
def place(published, tmp_path_factory):
    """The small city with three releases that say other things, of which only the last is left."""
    place = place_at(tmp_path_factory.mktemp("known"), published.raw.name)
    shutil.copytree(published.raw, place.raw)
    city = load_city(place.raw)
    from pipelines.publish.audiences import readers_of

    tables = read_database(published.current / "analyst" / DATABASE)
    for number, day in enumerate(DAYS):
        said = tables | {
            "mart_finding": tables["mart_finding"].with_columns(
                finding_en=pl.format("day {}: {}", pl.lit(number), "finding_en")
            )
        }

        def build(folder, said=said):
            build_release(folder, said, context_of(city), readers_of(city.policy))
            for name in ("city.yaml", "policy.yaml"):
                shutil.copyfile(published.current / "analyst" / name, folder / "analyst" / name)

        publish(place.marts, build, lambda _: None, keep=1)
        _move(place.marts, number, f"{day}T10:00:00+00:00")
    return place


def _move(marts, number, moment):
    """Let a publication have been at another moment."""
    lines = (marts / MOMENTS).read_text(encoding="utf-8").splitlines()
    lines[number] = f"{moment}\t{lines[number].partition(chr(9))[2]}"
    (marts / MOMENTS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _command(place, *arguments):
    said = io.StringIO()
    with patch.dict(os.environ, place.env), contextlib.redirect_stdout(said):
        code = main([place.raw.name, *arguments])
    return code, said.getvalue()


@pytest.mark.parametrize(("number", "day"), enumerate(DAYS))
def test_what_was_published_is_drawn_again_byte_for_byte(place, tmp_path, number, day):
    assert len(list((place.marts / "releases").iterdir())) == 1  # the others are pruned
    out = tmp_path / "then"
    code, said = _command(place, day, "--out", str(out))
    assert code == 0, said
    assert "byte for byte" in said
    assert f"day {number}: " in said
    was = publications(place.marts)[number]
    listed = json.loads((was.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert hashes(out) == listed
    assert {f"committee/{WORKBOOK}", f"public/{DATABASE}", "committee/annex/report.html"} <= set(
        listed
    )


def test_a_day_between_two_releases_knows_the_first_and_one_before_all_nothing(place):
    assert "day 0: " in _command(place, "2026-03-31")[1]
    code, said = _command(place, "2026-02-28")
    assert code == 1
    assert "nothing was published by 2026-02-28; the first on 2026-03-01" in said
    assert "לא פורסם דבר" in said


def test_what_other_code_draws_is_told(place):
    with patch("pipelines.publish.workbook.COVER", "עטיפה"):
        code, said = _command(place, DAYS[0])
    assert code == 1
    assert "workbook.xlsx" in said
    assert "analyst/mart_finding.parquet" not in said


def test_what_did_not_change_is_kept_once_and_nothing_that_can_be_drawn(place):
    first, second = (one.folder for one in publications(place.marts)[:2])
    same, other = "analyst/mart_city.parquet", "analyst/mart_finding.parquet"
    assert (first / same).samefile(second / same)
    assert not (first / other).samefile(second / other)
    kept = [path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()]
    assert all(is_kept(name) for name in kept)
    assert not [name for name in kept if name.startswith("committee") and "html" in name]


def test_a_torn_line_and_a_half_kept_release_are_passed_over(tmp_path):
    release = tmp_path / "releases" / "0123456789abcdef"
    release.mkdir(parents=True)
    (release / "manifest.json").write_text("{}")
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / ".building-1").mkdir()
    keep(tmp_path, release, datetime(2026, 1, 5, tzinfo=UTC))
    with (tmp_path / MOMENTS).open("a") as file:
        file.write("2026-02-0")
    assert [one.release for one in publications(tmp_path)] == [release.name]
    assert published_on(tmp_path, date(2026, 1, 4)) is None
    keep(tmp_path, release)  # again, and still current: no further line
    assert len(publications(tmp_path)) == 1
    later = release.rename(release.with_name("fedcba9876543210"))
    keep(tmp_path, later)
    assert [one.release for one in publications(tmp_path)] == [release.name, later.name]
