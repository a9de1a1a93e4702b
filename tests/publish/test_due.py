"""What is due is read from the current release, the city's inputs and the warehouse."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.commands.pages import main
from pipelines.publish.due import what_is_due
from pipelines.publish.release import (
    ReleaseError,
    baseline,
    current_release,
    manifest,
    publish,
    verify,
    what_stays,
)
from pipelines.settings.workspace import Workspace
from pipelines.sources.fingerprint import RunInputs, fingerprints
from pipelines.warehouse.database import Warehouse, swap


@pytest.fixture
def space(small_city, tmp_path):
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    return Workspace(
        city_folder=str(folder),
        marts_folder=str(tmp_path / "marts"),
        work_folder=str(tmp_path / "work"),
    )


@pytest.fixture
def warehouse(space):
    space.warehouse_path.parent.mkdir()
    return Warehouse(path=str(space.warehouse_path))


def released(root, text, made_from=None, compared_with=None):
    def build(folder):
        (folder / "page.html").write_text(text, encoding="utf-8")

    origin = {"made_from": made_from and asdict(made_from), "compared_with": compared_with}
    return publish(root, build, lambda _: None, about={"scope": "all"}, origin=origin)


def make_a_table(warehouse):
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE mart.one__next AS SELECT 1 AS a")
        swap(connection, "mart.one")


def test_the_id_is_of_the_content_and_not_of_its_origin(space, tmp_path):
    inputs = fingerprints(space.city())
    release = released(tmp_path, "a", inputs, "0" * 16)
    before = {path.name: path.read_bytes() for path in release.iterdir()}
    assert released(tmp_path, "a", inputs, "0" * 16) == release
    assert {path.name: path.read_bytes() for path in release.iterdir()} == before
    assert released(tmp_path, "a", None, None) == release
    assert manifest(release)["made_from"] is None
    assert released(tmp_path, "b", inputs) != release


def test_a_damaged_release_is_replaced_by_the_whole_one(tmp_path):
    release = released(tmp_path, "a")
    (release / "page.html").write_text("changed", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"page\.html"):
        verify(tmp_path)
    assert released(tmp_path, "a") == release == verify(tmp_path)
    (release / "manifest.json").write_text("{", encoding="utf-8")
    assert released(tmp_path, "a") == release == verify(tmp_path)
    assert [path.name for path in (tmp_path / "releases").iterdir()] == [release.name]


def test_a_release_is_compared_with_the_current_one_unless_its_inputs_are_the_same(space, tmp_path):
    inputs = fingerprints(space.city())
    assert baseline(tmp_path, inputs.whole) is None
    one = released(tmp_path, "a")
    assert baseline(tmp_path, inputs.whole) == one
    two = released(tmp_path, "b", inputs, one.name)
    assert baseline(tmp_path, inputs.whole) == one
    assert baseline(tmp_path, "other") == baseline(tmp_path, None) == two


def test_what_is_due(space, warehouse, tmp_path):
    marts, folder = tmp_path / "marts", space.city().folder
    assert (what_is_due(space).what, what_is_due(space).why) == ("chain", "there is no release yet")
    released(marts, "a")
    assert "one whole run" in what_is_due(space).why
    inputs = fingerprints(space.city())
    release = released(marts, "a", inputs)
    assert what_is_due(space).what == "nothing"

    (folder / "scenarios" / "need_blind.yaml").unlink()
    assert what_is_due(space).what == "chain"  # nobody knows what is in the warehouse
    make_a_table(warehouse)
    warehouse.set_made_from(inputs.upstream)
    assert what_is_due(space).what == "scenarios"
    with warehouse.run_lock(str):
        assert what_is_due(space).what == "scenarios"  # the command asks while it holds the lock
    make_a_table(warehouse)
    assert what_is_due(space).what == "chain"

    warehouse.set_made_from(inputs.upstream)
    file = folder / "files" / "merges.csv"
    file.write_bytes(file.read_bytes() + b"\n")
    assert "files, policy or code" in what_is_due(space).why
    file.unlink()
    assert "missing" in what_is_due(space).why
    (release / "page.html").write_text("changed", encoding="utf-8")
    file.write_bytes(b"")
    assert "not as it was published" in what_is_due(space).why


def test_a_run_claims_its_inputs_only_if_it_answers_for_all_of_them(space):
    inputs = fingerprints(space.city())
    whole = RunInputs(inputs, {"raw", "mart", "scenario", "release"}, {"scenario", "release"})
    some, every = {"scenario", "release"}, whole.chain
    assert whole.made_by(every, None, is_every_year=True) == inputs
    assert whole.made_by(every, None, is_every_year=False) is None
    assert whole.made_by(some, inputs.upstream, is_every_year=False) == inputs
    assert whole.made_by(some, "other", is_every_year=True) is None
    assert whole.made_by({"release"}, inputs.upstream, is_every_year=True) is None
    unreadable = RunInputs(None, whole.chain, whole.after_scenarios)
    assert unreadable.made_by(every, None, is_every_year=True) is None


def test_a_first_failure_does_not_promise_an_earlier_release(tmp_path):
    assert "no earlier release" in what_stays(tmp_path)[0]
    assert "אין פרסום קודם" in what_stays(tmp_path)[1]
    released(tmp_path, "a")
    assert current_release(tmp_path)
    assert "stays in" in what_stays(tmp_path)[0]


@pytest.mark.parametrize("audience", ["principals", "parents", None])
def test_pages_drawn_anew_are_due_again_where_those_of_single_schools_are_old(
    space, warehouse, monkeypatch, capsys, audience
):
    inputs = fingerprints(space.city())
    make_a_table(warehouse)
    warehouse.set_made_from(inputs.upstream)

    def build(folder):
        names = ["committee/index.html", *([f"{audience}/900001/index.html"] if audience else [])]
        for name in names:
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text("old", encoding="utf-8")

    def draw(folder, release, _):
        shutil.copytree(release, folder, ignore=lambda *_: ["manifest.json"], dirs_exist_ok=True)
        (folder / "committee" / "index.html").write_text("new", encoding="utf-8")

    old = inputs.drawn_by("the code of yesterday")
    publish(Path(space.marts_folder), build, lambda _: None, origin={"made_from": asdict(old)})
    assert what_is_due(space).what == "scenarios"
    monkeypatch.setattr("pipelines.publish.redraw.draw_again", draw)
    monkeypatch.setattr("pipelines.publish.redraw.audit_pages", lambda *_: None)
    monkeypatch.setattr("pipelines.commands.pages.workspace", lambda _: space)
    assert main([]) == 0
    said = capsys.readouterr().out
    assert what_is_due(space).what == ("scenarios" if audience else "nothing")
    assert (
        (f"single schools ({audience})" in said) == ("בתי הספר הבודדים" in said) == bool(audience)
    )
