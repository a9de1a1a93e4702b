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
from pipelines.commands.rebuild import _lend_known
from pipelines.publish.build import build_release
from pipelines.publish.known import (
    FOLDER,
    MOMENTS,
    is_kept,
    keep,
    note,
    of_schools,
    publications,
    published_on,
    published_until,
)
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.redraw import context_of
from pipelines.publish.release import hashes, publish
from pipelines.publish.workbook import WORKBOOK
from pipelines.settings.audiences import AUDIENCES
from pipelines.settings.city import load_city
from tests.examples import part_of
from tests.runs import place_at

DAYS = ("2026-03-01", "2026-04-01")


@pytest.fixture(scope="module")
def place(published, tmp_path_factory):
    """The small city with two releases that say other things, of which only the last is left."""
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


@pytest.mark.sampled
@pytest.mark.parametrize(("number", "day"), part_of([(0, "2026-03-31"), (1, DAYS[1])], 2))
def test_what_was_published_is_drawn_again_byte_for_byte(place, tmp_path, number, day):
    """A day between two releases knows the first; the day of one, in `make validate`, that one."""
    assert len(list((place.marts / "releases").iterdir())) == 1  # the other is pruned
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


def test_the_day_of_a_release_and_those_after_it_know_that_one(place):
    first, second = publications(place.marts)[:2]
    days = (*DAYS, "2026-03-31", "2026-05-01")
    found = [published_on(place.marts, date.fromisoformat(day)) for day in days]
    assert found == [first, second, first, second]


def test_a_day_before_all_releases_knows_nothing(place):
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
    keep(tmp_path, release)
    note(tmp_path, release.name, datetime(2026, 1, 5, tzinfo=UTC))
    with (tmp_path / MOMENTS).open("a") as file:
        file.write("2026-02-0")
    assert [one.release for one in publications(tmp_path)] == [release.name]
    assert published_on(tmp_path, date(2026, 1, 4)) is None
    keep(tmp_path, release)
    note(tmp_path, release.name, datetime(2026, 2, 5, tzinfo=UTC))  # still current: no further line
    assert len(publications(tmp_path)) == 1
    later = release.rename(release.with_name("fedcba9876543210"))
    keep(tmp_path, later)
    note(tmp_path, later.name, datetime(2026, 2, 6, tzinfo=UTC))
    assert [one.release for one in publications(tmp_path)] == [release.name, later.name]


def written(text):
    def build(folder):
        for audience in AUDIENCES[:2]:
            (folder / audience).mkdir()
            (folder / audience / "mart_city.parquet").write_text(text, encoding="utf-8")

    return build


def test_the_moment_is_noted_when_the_release_is_current_and_not_before(tmp_path):
    first = publish(tmp_path, written("1"), lambda _: None)
    with (
        patch("pipelines.publish.release._make_current", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        publish(tmp_path, written("2"), lambda _: None)
    assert (tmp_path / "current").resolve().name == first.name
    assert [one.release for one in publications(tmp_path)] == [first.name]
    assert len(list((tmp_path / FOLDER).iterdir())) == 2  # kept before it would be current


def test_a_moment_that_a_kill_left_unnoted_is_noted_by_the_next_run(tmp_path):
    publish(tmp_path, written("1"), lambda _: None)
    with (
        patch("pipelines.publish.release.note_known", side_effect=[None, KeyboardInterrupt]),
        pytest.raises(KeyboardInterrupt),
    ):
        publish(tmp_path, written("2"), lambda _: None)
    second = (tmp_path / "current").resolve().name
    made = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    os.utime(tmp_path / "current", (made.timestamp(),) * 2, follow_symlinks=False)
    third = publish(tmp_path, written("3"), lambda _: None)
    found = publications(tmp_path)
    assert [one.release for one in found[1:]] == [second, third.name]
    assert found[1].moment == made


def test_what_was_published_until_a_release_came_back_is_all_that_was_before(tmp_path):
    names = [publish(tmp_path, written(text), lambda _: None).name for text in "12131"]
    one, two, again, three, _ = names
    assert one == again
    assert published_until(tmp_path, two) == {one, two}
    assert published_until(tmp_path, three) == {one, two, three}
    assert published_until(tmp_path, one) == {one, two, three}
    (tmp_path / MOMENTS).unlink()  # as before moments were noted
    assert published_until(tmp_path, two) == {one, two}


@pytest.mark.parametrize("audience", ["principals", "parents"])
def test_whose_version_is_of_single_schools_is_seen_by_its_folders(tmp_path, audience):
    for name in (f"{audience}/900001/index.html", "committee/schools/900001.html"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert of_schools(tmp_path) == (audience,)
    assert is_kept(f"{audience}/900001/index.html")
    assert is_kept(f"{audience}/900001/workbook.xlsx")
    assert not is_kept("principals/workbook.xlsx")
    assert not is_kept("committee/schools/900001.html")
    assert is_kept("committee/mart_city.parquet")


def test_a_release_that_is_rebuilt_is_lent_what_was_known_before_it(tmp_path):
    own, anew = tmp_path / "own", tmp_path / "anew"
    one, two, three = (publish(own, written(text), lambda _: None).name for text in "123")
    anew.mkdir()
    _lend_known(own, anew, two)
    assert {path.name for path in (anew / FOLDER).iterdir()} == {one, three}  # tickets name both
    assert [said.release for said in publications(anew)] == [one]
    before = sorted(path for path in own.rglob("*"))
    assert publish(anew, written("2"), lambda _: None).name == two
    assert sorted(path for path in own.rglob("*")) == before
