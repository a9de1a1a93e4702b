"""The bill of materials is that of the lock file, and a licence that is not allowed is named."""

import json
import re
from importlib import metadata

import pytest

from tests.supply.bill import LOCK, Part, bill, main, refused

TEXT = LOCK.read_text(encoding="utf-8")


def test_every_pinned_package_is_listed_with_all_its_hashes():
    listed = bill(TEXT)["components"]
    # Counted otherwise: lines that begin with a name, and all hashes of the file.
    assert len(listed) == len(re.findall(r"^[^\s#-]\S*==", TEXT, re.M)) > 100
    hashes = [one["content"] for part in listed for one in part["externalReferences"][0]["hashes"]]
    assert len(hashes) == TEXT.count("sha256:")
    assert len({part["bom-ref"] for part in listed}) == len(listed)
    by_name = {part["name"]: part for part in listed}
    assert by_name["duckdb"]["version"] == metadata.version("duckdb")
    assert by_name["duckdb"]["licenses"] == [{"expression": "MIT"}]


def test_the_same_lock_gives_the_same_bytes(tmp_path):
    for name in "ab":
        assert main(["--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text(encoding="utf-8"))["bomFormat"] == "CycloneDX"


def test_all_licences_are_allowed():
    assert refused(TEXT) == []


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("GPL-3.0-only", None),
        ("AGPL-3.0-or-later", None),
        ("", None),
        ("MIT AND GPL-2.0-only", None),
        ("GPL-2.0-only OR MIT", "MIT"),
        ("MPL-2.0 AND MIT", "MIT AND MPL-2.0"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ("Proprietary", None),
    ],
)
def test_a_licence_is_allowed_whole_or_not(monkeypatch, said, licence):
    part = Part("duckdb", "1", ("0" * 64,))
    monkeypatch.setattr(Part, "said", property(lambda _: said))
    assert part.licence == licence
    found = refused(f"duckdb==1 \\\n    --hash=sha256:{'0' * 64}\n")
    assert bool(found) == (licence is None)


def test_a_package_without_a_hash_is_named():
    (said,) = refused("duckdb==1\n")
    assert "no hash" in said
