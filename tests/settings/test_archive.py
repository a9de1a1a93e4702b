"""Who reads a city is not disturbed by who is deciding meanwhile."""

import os
from unittest.mock import patch

from pipelines.settings.archive import BUILDING, FOLDER, LOCK, signature


def test_what_is_being_built_and_what_is_gone_when_looked_at_do_not_count(tmp_path):
    root = tmp_path / FOLDER
    for name in ("2027/v1/decision.json", f"{BUILDING}7/release/manifest.json", LOCK, "gone"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")
    look = os.stat

    def vanished(path, **options):
        if str(path).endswith("gone"):
            raise FileNotFoundError(path)
        return look(path, **options)

    with patch("pipelines.settings.archive.os.stat", vanished):
        ((name, size, _),) = signature(tmp_path)
    assert name.endswith("2027/v1/decision.json")
    assert size == 1


def test_a_change_of_an_archive_is_seen(tmp_path):
    record = tmp_path / FOLDER / "2027" / "v1" / "decision.json"
    assert signature(tmp_path) == ()
    record.parent.mkdir(parents=True)
    record.write_text("x", encoding="utf-8")
    before = signature(tmp_path)
    record.write_text("xy", encoding="utf-8")
    assert signature(tmp_path) != before
