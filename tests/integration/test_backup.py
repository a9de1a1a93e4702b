"""What the README says to copy is enough: restored elsewhere nothing is lost, and a city that an
earlier version ran is run by this one.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from unittest.mock import patch

import pytest

from pipelines.publish.due import what_is_due
from pipelines.publish.known import publications
from pipelines.publish.release import is_whole, verify
from tests.integration.conftest import hashes
from tests.runs import PROJECT, place_at


def backed_up(place, archive, *, with_work=True):
    """Copy what `make backup` copies, by the command that it runs."""
    env = place.env | {
        "CITY": place.raw.name,
        "OUT": str(archive),
        "RAW": str(place.raw.parent),
        "MARTS": str(place.marts.parent),
        "WORK": place.env["TIKKUN_WORK"],
    }
    done = subprocess.run(
        ["sh", str(PROJECT / "docs" / "backup.sh")], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return archive


def restored(archive, folder, name):
    with tarfile.open(archive) as whole:
        whole.extractall(folder, filter="fully_trusted")
    return place_at(folder, name)


@pytest.fixture
def archive(published, tmp_path):
    return backed_up(published, tmp_path / "backup.tar.gz")


def test_a_file_that_another_links_meanwhile_is_copied_again(published, tmp_path):
    """As tests link a release's database, and publishing what it keeps."""
    fake = tmp_path / "bin" / "tar"
    fake.parent.mkdir()
    said = tmp_path / "said"
    fake.write_text(
        f"#!/bin/sh\necho x >> {said}\n[ $(wc -l < {said}) -lt 2 ] && exit 1\n"
        f'exec {shutil.which("tar")} "$@"\n'
    )
    fake.chmod(0o755)
    with patch.dict(published.env, {"PATH": f"{fake.parent}:{os.environ['PATH']}"}):
        archive = backed_up(published, tmp_path / "backup.tar.gz")
        with tarfile.open(archive) as whole:
            assert whole.getnames()
        assert said.read_text() == "x\nx\n"
        fake.write_text("#!/bin/sh\nexit 2\n")
        with pytest.raises(AssertionError):
            backed_up(published, tmp_path / "other.tar.gz")


def test_what_is_copied_is_whole_elsewhere(published, archive, tmp_path):
    place = restored(archive, tmp_path / "there", published.raw.name)
    assert verify(place.marts).name == published.current.resolve().name
    assert hashes(place) == hashes(published)
    kept = publications(place.marts)
    assert [one.release for one in kept] == [one.release for one in publications(published.marts)]
    assert all(is_whole(one.folder) for one in kept)
    with patch.dict(os.environ, place.env):
        assert what_is_due(place.workspace()).what == "nothing"
    # What older versions of files said is in the warehouse alone.
    tables = place.workspace().warehouse_path
    assert tables.read_bytes() == published.workspace().warehouse_path.read_bytes()
    assert oct(archive.stat().st_mode & 0o777) == "0o600"  # it holds children's rows
    with tarfile.open(archive) as whole:
        names = whole.getnames()
    assert not [name for name in names if "/memory" in name or "dagster" in name]


def test_without_the_working_folder_the_releases_stand(published, archive, tmp_path):
    place = restored(archive, tmp_path / "there", published.raw.name)
    shutil.rmtree(tmp_path / "there" / "work")
    assert is_whole(verify(place.marts))
    with patch.dict(os.environ, place.env):
        assert what_is_due(place.workspace()).what == "nothing"
        scenario = place.raw / "scenarios" / "need_blind.yaml"
        scenario.unlink()
        assert what_is_due(place.workspace()).what == "chain"


EARLIER = os.environ.get("TIKKUN_EARLIER", "HEAD~25")
"""The commit whose version ran the city before."""


@pytest.mark.slow
def test_a_city_of_the_version_before_is_run_by_this_one(tmp_path):
    """Its own generator, its own run; then this version, over the same folders."""
    earlier = tmp_path / "earlier"
    done = subprocess.run(
        ["git", "worktree", "add", "--detach", str(earlier), EARLIER],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"the earlier version is not in this clone: {done.stderr.strip()}")
    try:
        place = place_at(tmp_path / "place", "demo_city")
        script = (
            "import sys; from pathlib import Path; from models.demo import generate;"
            "from pipelines.demo.write import write_city; from tests.conftest import QUICK_ACCOUNT;"
            "f = Path(sys.argv[1]); f.parent.mkdir(parents=True);"
            "write_city(generate(seed=1, profile='small'), f);"
            "open(f / 'policy.yaml', 'a', encoding='utf-8').write(QUICK_ACCOUNT)"
        )
        env = place.env | {"PYTHONPATH": str(earlier)}
        for command in (
            ["-c", script, str(place.raw)],
            ["-m", "pipelines.commands.run", "demo_city"],
        ):
            ran = subprocess.run(
                [sys.executable, *command], cwd=earlier, env=env, capture_output=True, text=True
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(earlier)], cwd=PROJECT)
    before, known = place.current.resolve(), publications(place.marts)
    ran = place.run()
    assert "Traceback" not in ran.stdout + ran.stderr
    assert all(is_whole(one.folder) for one in known)
    assert known == publications(place.marts)[: len(known)]
    if ran.returncode:  # settings of before may be refused: then as a person can read it
        assert re.search("[א-ת]{3}", ran.stdout), ran.stdout
        assert place.current.resolve() == before
    else:
        assert is_whole(verify(place.marts))
