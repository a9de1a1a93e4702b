"""`make fetch` against a portal on this computer: what arrives is whole, right, fetched once."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pipelines.sources.fetch import ELSEWHERE, OPEN_FILES, FetchError, OpenFile, Portal, fetch

from .fetch_portal import PACKAGE_SHOW, FakePortal, Fault, Published, serving

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TIKKUN_SHARED_DATA") or PROJECT / "../shared/data")
REAL = SHARED / "israel" / "rama_meitzav_scores_background"
HTML = b"<!DOCTYPE html><html><body>Request rejected</body></html>"
ALL_REAL = all((REAL / file.file_name).is_file() for file in OPEN_FILES)


def made_bytes(file: OpenFile) -> bytes:
    """A small file of the right shape and encoding, its header padded like the real one."""
    header = ",".join(f"{name} " for name in file.required_columns)
    rows = "".join(
        ",".join(f"אשקלון{row}" for _ in file.required_columns) + "\n" for row in range(50)
    )
    return f"{header}\n{rows}".encode(file.encoding)


def contents() -> dict[str, bytes]:
    if ALL_REAL:
        return {file.file_name: (REAL / file.file_name).read_bytes() for file in OPEN_FILES}
    return {file.file_name: made_bytes(file) for file in OPEN_FILES}


FILES = OPEN_FILES if ALL_REAL else tuple(replace(file, min_rows=50) for file in OPEN_FILES)
SCORES = FILES[0]


class Run:
    """One city folder, one portal, and the waits and lines of the last fetch."""

    def __init__(self, fake: FakePortal, folder: Path) -> None:
        self.fake, self.folder = fake, folder
        self.waits: list[float] = []
        self.lines: list[str] = []
        self.scores = fake.published[0]

    def __call__(self, **changes):
        options = {"base_url": self.fake.base_url, "files": FILES, "sleep": self.waits.append}
        self.waits.clear()
        self.lines.clear()
        return fetch(self.folder, Portal(**options | changes), report=self.lines.append)

    def refused(self, **changes) -> FetchError:
        with pytest.raises(FetchError) as caught:
            self(**changes)
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
        assert any("א" <= letter <= "ת" for letter in caught.value.he)
        return caught.value

    def path(self, suffix: str = "") -> Path:
        return self.folder / "files" / f"{SCORES.file_name}{suffix}"

    def break_scores(self, *faults: Fault) -> None:
        self.fake.faults[self.scores.path].extend(faults)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    held = contents()
    published = [
        Published(file.resource_id, file.file_name, held[file.file_name]) for file in FILES
    ]
    with serving(FakePortal(FILES[0].package, published)) as fake:
        yield Run(fake, tmp_path)


def test_files_arrive_byte_for_byte_with_their_source_beside_them(run):
    fetched = run()

    assert [each.path.name for each in fetched] == [
        "school_results.csv",
        "school_background_info.csv",
    ]
    for one, published in zip(fetched, run.fake.published, strict=True):
        assert one.downloaded
        assert one.path.read_bytes() == published.content
        assert json.loads(one.path.with_name(f"{one.path.name}.source.json").read_text()) == {
            "bytes": len(published.content),
            "etag": published.etag,
            "last_modified": None,
            "resource_id": published.resource_id,
            "sha256": hashlib.sha256(published.content).hexdigest(),
            "url": run.fake.base_url + published.path,
        }
    assert sorted(path.name for path in (run.folder / "files").iterdir()) == sorted(
        name for file in FILES for name in (file.file_name, f"{file.file_name}.source.json")
    )
    assert len(run.fake.asked(PACKAGE_SHOW)) == 1
    assert run.waits == []


@pytest.mark.skipif(
    not ALL_REAL, reason="the shared real data are not here; set TIKKUN_SHARED_DATA"
)
def test_the_real_files_pass_the_shipped_checks(run):
    run(files=OPEN_FILES)
    assert run.path().read_bytes() == (REAL / SCORES.file_name).read_bytes()


def test_the_files_that_are_not_open_are_listed_last_with_publisher_and_folder(run):
    run()
    listed = "\n".join(run.lines[len(FILES) :])
    assert str(run.folder / "files") in listed
    for file_name, origin in ELSEWHERE.items():
        assert f"{file_name}: {origin}" in listed
    (run.folder / "files" / "budget_clean.csv").touch()
    run()
    assert "budget_clean.csv (already there)" in "\n".join(run.lines)


def test_a_second_run_downloads_nothing(run):
    run()
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (run.folder / "files").iterdir()
    }
    run.fake.file_bytes_sent = 0

    assert [each.downloaded for each in run()] == [False, False]
    assert run.fake.file_bytes_sent == 0
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    assert len(list((run.folder / "files").iterdir())) == len(before)


def test_without_etags_the_listed_hash_says_that_nothing_changed(run):
    for published in run.fake.published:
        published.with_etag = False
        published.hash = f"md5:{hashlib.md5(published.content).hexdigest()}"
    run()
    asked = len(run.fake.asked(run.scores.path))
    assert [each.downloaded for each in run()] == [False, False]
    assert len(run.fake.asked(run.scores.path)) == asked

    run.path(".source.json").unlink()
    assert [each.downloaded for each in run()] == [True, False]
    assert run.path(".source.json").exists()


def test_without_etags_the_date_of_change_says_that_nothing_changed(run):
    for published in run.fake.published:
        published.with_etag, published.last_modified = False, "Wed, 21 Oct 2026 07:28:00 GMT"
    run()
    run.fake.file_bytes_sent = 0
    assert [each.downloaded for each in run()] == [False, False]
    assert run.fake.file_bytes_sent == 0


def test_a_new_version_and_a_file_changed_by_hand_are_both_fetched_again(run):
    run()
    run.scores.content += run.scores.content.splitlines(keepends=True)[-1]
    assert [each.downloaded for each in run()] == [True, False]
    assert run.path().read_bytes() == run.scores.content

    run.path().write_bytes(b"changed by hand")
    assert [each.downloaded for each in run()] == [True, False]
    assert run.path().read_bytes() == run.scores.content


def test_a_cut_download_is_asked_for_again_and_no_half_is_kept(run):
    run.break_scores(Fault(cut_after=1_000))
    run()
    assert len(run.fake.asked(run.scores.path)) == 2
    assert run.path().read_bytes() == run.scores.content
    assert run.waits == [1.0]
    assert not run.path(".part").exists()


def test_a_download_cut_to_the_end_leaves_nothing_and_the_next_run_has_it(run):
    run.break_scores(Fault(cut_after=1_000))
    run.refused(attempts=1)
    assert not run.path().exists()
    assert not run.path(".part").exists()
    run()
    assert run.path().read_bytes() == run.scores.content


def test_503_is_tried_again_after_waits_that_double(run):
    run.break_scores(*[Fault(status=503)] * 3)
    run.fake.faults[PACKAGE_SHOW].append(Fault(status=502))
    run()
    assert run.waits == [1.0, 1.0, 2.0, 4.0]
    assert run.path().read_bytes() == run.scores.content


def test_a_portal_that_stays_down_is_given_up_with_the_reason(run):
    run.break_scores(*[Fault(status=503)] * 9)
    said = str(run.refused())
    assert "503" in said
    assert "5 attempts" in said
    assert len(run.fake.asked(run.scores.path)) == 5
    assert run.waits == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": "Wed, 21 Oct 2026 07:28:07 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
    ],
)
def test_429_waits_as_long_as_the_portal_asks(run, headers):
    run.break_scores(Fault(status=429, headers=headers))
    run()
    assert run.waits == [7.0]


def test_a_portal_that_asks_for_an_hour_is_not_waited_for(run):
    run.break_scores(Fault(status=429, headers={"Retry-After": "3600"}))
    assert "asks to wait 3600 s" in str(run.refused())
    assert run.waits == []


def test_an_html_page_with_status_200_is_not_taken_for_the_file(run):
    run()
    good = run.path().read_bytes()
    run.break_scores(Fault(headers={"Content-Type": "text/html"}, body=HTML))
    assert "web page" in str(run.refused())
    assert run.path().read_bytes() == good
    assert not run.path(".part").exists()


def test_an_html_page_instead_of_the_package_is_explained(run):
    run.fake.faults[PACKAGE_SHOW].append(Fault(headers={"Content-Type": "text/html"}, body=HTML))
    assert "did not answer with a CKAN package" in str(run.refused())


def test_wrong_columns_are_named(run):
    run.scores.content = run.scores.content.replace(b"shichva", b"kita")
    assert "lacks the columns shichva;" in str(run.refused())
    assert not run.path().exists()


def test_too_few_rows_are_refused(run):
    run.scores.content = b"".join(run.scores.content.splitlines(keepends=True)[:-1])
    fewer = replace(SCORES, min_rows=run.scores.content.count(b"\n"))
    assert "rows and at least" in str(run.refused(files=(fewer,)))


def test_bytes_that_are_not_in_the_encoding_are_refused(run):
    run.scores.content += b"\xff\xff\n"
    assert "cannot be read as CSV in cp1255" in str(run.refused())


def test_a_body_cut_at_the_same_place_every_time_is_never_accepted(run):
    run.scores.with_etag = False
    run.break_scores(*[Fault(cut_after=1_000)] * 9)
    run.refused()
    assert not run.path().exists()


def test_a_body_shorter_than_the_size_the_portal_lists_is_refused(run):
    run.scores.size = len(run.scores.content)
    run.scores.content = run.scores.content[:1_000]
    assert f"the portal lists {run.scores.size:,}" in str(
        run.refused(files=(replace(SCORES, min_rows=1),))
    )
    assert not run.path().exists()
    assert not run.path(".part").exists()


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_the_listed_hash_must_agree(run, algorithm):
    run.scores.hash = hashlib.new(algorithm, run.scores.content).hexdigest()
    run()
    run.scores.content += run.scores.content.splitlines(keepends=True)[-1]
    run.path().unlink()
    assert "hash differs" in str(run.refused())


def test_a_resource_that_left_the_package_is_named_with_what_is_there(run):
    run.scores.resource_id = "00000000-1111-2222-3333-444444444444"
    said = str(run.refused())
    assert SCORES.resource_id in said
    assert "00000000-1111-2222-3333-444444444444 school_results.csv" in said


def test_a_missing_package_and_a_missing_file_say_404(run):
    assert "answered 404" in str(run.refused(files=(replace(SCORES, package="nowhere"),)))
    run.break_scores(Fault(status=404))
    assert "answered 404" in str(run.refused())
    assert run.waits == []


def test_a_redirect_is_followed_on_the_portal_only(run):
    moved = run.fake.published[1]
    run.break_scores(Fault(status=302, headers={"Location": "http://example.invalid/x.csv"}))
    assert "example.invalid" in str(run.refused())
    run.break_scores(Fault(status=302, headers={"Location": run.scores.path + "?moved"}))
    run()
    assert run.path().read_bytes() == run.scores.content
    run.fake.faults[moved.path].extend([Fault(status=302, headers={"Location": moved.path})] * 5)
    (run.folder / "files" / moved.name).unlink()
    assert "answered 302" in str(run.refused())


def test_only_the_portal_and_hosts_under_it_are_the_portal():
    holds = Portal("https://data.gov.il").holds
    assert holds(httpx.URL("https://data.gov.il/x"))
    assert holds(httpx.URL("https://e.data.gov.il/x"))
    assert not holds(httpx.URL("https://evildata.gov.il/x"))
    assert not holds(httpx.URL("http://data.gov.il/x"))


@pytest.mark.parametrize("host", ["https://example.invalid", "https://evildata.gov.il", ""])
def test_a_file_the_portal_lists_elsewhere_is_not_contacted(run, host):
    run.scores.listed_host = host
    assert "not on the portal" in str(run.refused())
    assert run.fake.asked(run.scores.path) == []


def test_a_portal_that_cannot_be_reached_is_explained(run):
    with socket.socket() as taken:  # bound, never listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert closed in str(run.refused(base_url=closed))
    assert run.waits == [1.0, 2.0, 4.0, 8.0]
    assert list(run.folder.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["data.gov.il", "http://data.gov.il", "ftp://127.0.0.1", "http://[", ""]
)
def test_an_address_that_is_not_https_is_refused_before_anything_is_asked(address):
    with pytest.raises(FetchError, match="not an https address"):
        Portal(address)


def test_a_city_folder_that_is_absent_or_closed_is_explained(run):
    (run.folder / "files").write_text("a file where the folder should be")
    assert "Could not write" in str(run.refused())
    run.folder = run.folder / "nowhere"
    assert "no city folder" in str(run.refused())


def command(folder: Path, base_url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.commands.fetch", "--city-folder", str(folder), *options],
        cwd=PROJECT,
        env=os.environ | {"TIKKUN_PORTAL": base_url, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(
    not ALL_REAL, reason="the shared real data are not here; set TIKKUN_SHARED_DATA"
)
def test_the_command_takes_the_portal_from_the_environment(run):
    done = command(run.folder, run.fake.base_url)
    assert done.returncode == 0, done.stderr
    assert run.path().read_bytes() == run.scores.content
    assert "Central Bureau of Statistics" in done.stdout


def test_the_command_fails_with_one_sentence_in_each_language(run):
    run.scores.resource_id = "gone"
    done = command(run.folder, "https://unused.invalid", "--portal", run.fake.base_url)
    assert done.returncode == 1
    english, hebrew = done.stderr.splitlines()
    assert "is no longer in package rama_meitzav" in english
    assert "אינו עוד במאגר" in hebrew
